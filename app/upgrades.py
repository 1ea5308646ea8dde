"""Upgrades: some clients ask for another protocol with each request, as Java's does for HTTP/2. Here is none.

Such a wish may be ignored (RFC 9110, 7.8), but the parser takes what follows it for the other protocol's. So the
head is written down again without the wish, for a parser that has not seen it.
"""

from collections.abc import Iterable, Iterator

Line = tuple[bytes, bytes]

_WISHES = (b"upgrade", b"http2-settings")  # headers, and what Connection calls them


def plain_head(method: bytes, url: bytes, version: str, lines: Iterable[Line]) -> bytes:
    """The head of a request, the empty line included; names of headers in lower case."""
    head = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    head += [b"%b: %b" % line for line in _plain(lines)]
    return b"\r\n".join((*head, b"", b""))


def _plain(lines: Iterable[Line]) -> Iterator[Line]:
    for name, value in lines:
        if name == b"connection":
            kept = [one.strip() for one in value.split(b",") if one.strip().lower() not in _WISHES]
            yield name, b", ".join(kept)
        elif name not in _WISHES:
            yield name, value
