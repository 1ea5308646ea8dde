"""The files of the pages, from memory: read at the first request.

The timeline names its files below `page/v-DIGEST/`, by the digest of all of them, so that browsers and a CDN may
keep them for good: what is released next has other names. While two releases run side by side, one may be asked
for the other's: it gives its own, to be kept by nobody.
"""

import re
from functools import cache
from hashlib import blake2b
from pathlib import Path

from starlette.responses import Response

from app.errors import NotFound
from app.headers import of_page

KEPT = "public, max-age=31536000, immutable"  # a year
_ROOT = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
_TIMELINE = "timeline/"
_VERSIONED = re.compile(rf"{_TIMELINE}v-(?P<digest>[0-9a-f]+)/(?P<name>.+)")


def static(name: str) -> Response:
    """The file `name` below app/page. Raises NotFound."""
    found = _VERSIONED.fullmatch(name)
    plain = f"{_TIMELINE}{found['name']}" if found else name
    try:
        body = _files()[plain]
    except KeyError:
        raise NotFound from None
    policy = of_page(makes_markup=name.startswith("docs/"))
    if found and found["digest"] == _digest():
        policy["Cache-Control"] = KEPT
    return Response(body, headers={"Content-Type": _TYPES[Path(plain).suffix], **policy})


@cache
def _files() -> dict[str, bytes]:
    index = f"{_TIMELINE}index.html"
    versioned = _read()[index].replace(b'="page/', b'="page/v-%b/' % _digest().encode())
    return {**_read(), index: versioned}


@cache
def _digest() -> str:
    files = sorted((name, body) for name, body in _read().items() if name.startswith(_TIMELINE))
    return blake2b(b"\0".join(name.encode() + b"\0" + body for name, body in files), digest_size=8).hexdigest()


@cache
def _read() -> dict[str, bytes]:
    # A fixed list made from the folder: no name that a client sends is ever a path.
    return {str(path.relative_to(_ROOT)): path.read_bytes() for path in _ROOT.rglob("*") if path.suffix in _TYPES}
