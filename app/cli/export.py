"""Reads events of a collector, as many as there are, one line of JSON after the other. httpx.

A connection that breaks is made again, after the last event that came: memory holds one piece of the answer.
"""

from collections.abc import Iterator

import httpx
import msgspec

from app.cli.caller import Caller, Waits

NDJSON = {"Accept": "application/x-ndjson"}


class _Numbered(msgspec.Struct):
    seq: int


_numbered = msgspec.json.Decoder(_Numbered).decode


def lines(
    caller: Caller, parameters: list[tuple[str, str]], waits: Waits, *, limit: int | None
) -> Iterator[bytes]:
    """Every event that matches, each as one line, without its end. Raises Away, Refused."""
    left, seq = limit, None
    while left is None or left > 0:
        more = [] if seq is None else [("cursor", str(seq))]
        more += [] if left is None else [("limit", str(left))]
        try:
            with caller.stream("/events", [*parameters, *more], NDJSON) as answer:
                for line in _split(answer.iter_bytes()):
                    yield line
                    seq = _numbered(line).seq
                    left = None if left is None else left - 1
                    waits.well()
                left = 0
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            waits.after(error, caller.url)


def _split(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
