"""Hostile: bodies that are dear to read, nearly all as large as a body may be; legal ones, and refused ones."""

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from app.body import MAX_BODY
from app.events import MAX_DEPTH, MAX_EVENT_BYTES
from app.ingest import INLINE_BYTES
from tests.bench.bodies import BATCH

GOOD = "good: text"
DEAR = b"9e300"  # correct rounding takes the longest for short numbers with a large exponent
_HEAD = b'{"source":"web-01","action":"deploy","data":'


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What one client sends again and again, and the status that each deserves."""

    name: str
    make: Callable[[], bytes]
    status: int = 201
    encoding: str | None = None

    @property
    def legal(self) -> bool:
        """Whether it is kept."""
        return self.status == 201

    @property
    def worst(self) -> bool:
        """Whether it is kept, but dear to read."""
        return self.legal and self.name != GOOD


def kinds() -> Iterator[Kind]:
    """The good one, which all others are compared with, then legal ones, then refused ones."""
    for name, make in (
        (GOOD, _text),
        ("legal: lists in lists", lambda: _many(b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1))),
        ("legal: small objects", lambda: _many(b'{"a":1}')),
        ("legal: keys", _keys),
        ("legal: escapes", lambda: _many(b'"\\u00e9"')),
        ("legal: numbers", lambda: _many(DEAR)),
    ):
        yield Kind(name=name, make=lambda make=make: _batch(_event(make())))  # type: ignore[misc]
    yield Kind(name="legal: 32 KiB of numbers", make=lambda: _event(_many(DEAR, INLINE_BYTES)))
    yield Kind(name="refused: 5 MiB and a byte", make=_too_long, status=413)
    yield Kind(name="refused: large events", make=lambda: _batch(_event(_many(b"[]") + b" " * 99)), status=422)
    yield Kind(name="refused: NaN", make=lambda: _batch(_event(_many(b"NaN"))), status=422)
    yield Kind(name="refused: gzip bomb", make=_bomb, status=413, encoding="gzip")
    yield Kind(name="refused: 1,001 events", make=_too_many, status=413)


def _event(data: bytes) -> bytes:
    return _HEAD + data + b"}"


def _batch(event: bytes) -> bytes:
    """As many of it as a body may hold."""
    return b"[" + b",".join([event] * ((MAX_BODY - 2) // (len(event) + 1))) + b"]"


def _room(size: int = MAX_EVENT_BYTES) -> int:
    """Bytes of data in an event of that size."""
    return size - len(_event(b""))


def _many(item: bytes, size: int = MAX_EVENT_BYTES) -> bytes:
    """A list of it that makes an event of that size."""
    return b"[" + b",".join([item] * ((_room(size) - 1) // (len(item) + 1))) + b"]"


def _keys() -> bytes:
    size = len(b'"12345":0,')
    return b"{" + b",".join(b'"%05x":0' % n for n in range((_room() - 1) // size)) + b"}"


def _text() -> bytes:
    return b'"' + Random(0).randbytes((_room() - 2) // 2).hex().encode() + b'"'


def _too_long() -> bytes:
    body = _batch(_event(_many(b"[]")))
    return body + b" " * (MAX_BODY + 1 - len(body))


def _bomb() -> bytes:
    """Past the limit by a byte: no cheaper to find out."""
    return gzip.compress(b" " * MAX_BODY + b"1")


def _too_many() -> bytes:
    event = _event(b'"' + b"x" * ((MAX_BODY - 2) // (BATCH + 1) - len(_event(b'""')) - 1) + b'"')
    return b"[" + b",".join([event] * (BATCH + 1)) + b"]"
