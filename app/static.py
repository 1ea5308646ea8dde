"""The files of the pages, from memory: read at the first request, sent with a strict content policy."""

from functools import cache
from pathlib import Path

from starlette.responses import Response

from app.errors import NotFound

_ROOT = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
_OURS = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_POLICIES = {
    # What events say is only ever text: the browser itself refuses to make markup of it.
    "timeline": f"{_OURS}; require-trusted-types-for 'script'",
    # Swagger UI sets styles from its script; scripts come from our own files alone.
    "docs": f"{_OURS}; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
}


def static(name: str) -> Response:
    """The file `name` below app/page. Raises NotFound."""
    try:
        body = _files()[name]
    except KeyError:
        raise NotFound from None
    headers = {
        "Content-Type": _TYPES[Path(name).suffix],
        "Content-Security-Policy": _POLICIES[name.partition("/")[0]],
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
    return Response(body, headers=headers)


@cache
def _files() -> dict[str, bytes]:
    # A fixed list made from the folder: no name that a client sends is ever a path.
    return {str(path.relative_to(_ROOT)): path.read_bytes() for path in _ROOT.rglob("*") if path.suffix in _TYPES}
