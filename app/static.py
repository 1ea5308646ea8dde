"""The files of the pages, from memory: read at the first request."""

from functools import cache
from pathlib import Path

from starlette.responses import Response

from app.errors import NotFound
from app.headers import of_page

_ROOT = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


def static(name: str) -> Response:
    """The file `name` below app/page. Raises NotFound."""
    try:
        body = _files()[name]
    except KeyError:
        raise NotFound from None
    policy = of_page(makes_markup=name.startswith("docs/"))
    return Response(body, headers={"Content-Type": _TYPES[Path(name).suffix], **policy})


@cache
def _files() -> dict[str, bytes]:
    # A fixed list made from the folder: no name that a client sends is ever a path.
    return {str(path.relative_to(_ROOT)): path.read_bytes() for path in _ROOT.rglob("*") if path.suffix in _TYPES}
