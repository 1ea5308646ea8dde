"""The files of the pages, from memory: read at the first request, sent with a strict content policy."""

from functools import cache
from pathlib import Path

from starlette.responses import Response

from app.errors import NotFound

_ROOT = Path(__file__).parent / "page"
_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css"}
# Swagger UI sets styles from its script; scripts come from our own files alone.
_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"


def static(name: str) -> Response:
    """The file `name` below app/page. Raises NotFound."""
    try:
        body = _files()[name]
    except KeyError:
        raise NotFound from None
    headers = {
        "Content-Type": _TYPES[Path(name).suffix],
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
    return Response(body, headers=headers)


@cache
def _files() -> dict[str, bytes]:
    # A fixed list made from the folder: no name that a client sends is ever a path.
    return {str(path.relative_to(_ROOT)): path.read_bytes() for path in _ROOT.rglob("*") if path.suffix in _TYPES}
