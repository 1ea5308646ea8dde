"""Formats: a body in JSON or NDJSON to events, events to NDJSON and CSV; `cloudevents` reads those of others."""

import csv
import io
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import Protocol

import msgspec

from app.errors import Fault, Invalid, Malformed, NotAcceptable, TooLarge
from app.events import Event, NotJson, Parser, Refused, Stored, TooMany

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_FIRST = (0,)
_FIELDS = ("seq", "id", "source", "action", "subject", "time", "received_at", "data")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet would run

_encode = msgspec.json.Encoder().encode


class Batch(msgspec.Struct, frozen=True, gc=False):
    """What a body held: `events[i]` stood at place `indexes[i]`; `faults` name the others by their places.

    `single`: the body was one event, not a list of one.
    """

    events: Sequence[Event]
    indexes: Sequence[int]
    faults: Sequence[Fault]
    single: bool


class Reads(Protocol):
    """Turns JSON text into events, in whatever dialect."""

    def one(self, text: bytes, index: int = 0) -> Event:
        """One event. Raises Refused, NotJson."""
        ...

    def many(self, text: bytes, limit: int) -> list[Event | Refused]:
        """An array of at most `limit` events. Raises NotJson, TooMany."""
        ...


def read_json(body: bytes, parser: Reads, max_events: int) -> Batch:
    """An event or an array of events. Raises Malformed, TooLarge, Invalid."""
    text = body.lstrip(b" \t\r\n")
    try:
        if not text.startswith(b"["):
            return alone(_one(body, parser))
        return _batch(enumerate(parser.many(body, max_events)))
    except NotJson as error:
        raise Malformed(f"the body is not JSON: {_hint(body) or error}") from None
    except TooMany:
        raise _too_many(max_events) from None


def read_ndjson(body: bytes, parser: Parser, max_events: int) -> Batch:
    """One event a line; blank lines are passed over. Raises Malformed, TooLarge."""
    if body.startswith(_GZIP):
        raise Malformed(f"the body is not JSON: {_hint(body)}")
    # No more of them than it takes to know: there may be millions.
    told = ((index, line) for index, line in enumerate(io.BytesIO(body)) if line.strip())
    lines = list(islice(told, max_events + 1))
    if len(lines) > max_events:
        raise _too_many(max_events)
    return _batch((index, _line(line, index, parser)) for index, line in lines)


def alone(event: Event) -> Batch:
    """The batch of a body that was one event."""
    return Batch((event,), _FIRST, (), single=True)


def refusal(refused: Refused) -> TooLarge | Invalid:
    """The problem of a body that was one event, and none that can be kept."""
    return TooLarge(refused.detail) if refused.oversize else Invalid(refused.detail, errors=[_fault(0, refused)])


def write_ndjson(events: Iterable[Stored]) -> bytes:
    """One event a line, as POST takes them."""
    return b"".join(_encode(event) + b"\n" for event in events)


def write_csv(events: Iterable[Stored], *, header: bool) -> bytes:
    """RFC 4180; a cell that a spreadsheet would take for a formula gets an apostrophe before it."""
    text = io.StringIO()
    rows = csv.writer(text)
    if header:
        rows.writerow(_FIELDS)
    for event in events:
        rows.writerow([_cell(getattr(event, field)) for field in _FIELDS])
    return text.getvalue().encode()


def media_type(content_type: str) -> tuple[str, str]:
    """The media type and the charset that a Content-Type names, in lower case."""
    media, _, parameters = content_type.lower().partition(";")
    return media.strip(), parameters.replace(" ", "").partition("charset=")[2].strip('"') or "utf-8"


@lru_cache(256)
def accepted(accept: str) -> str:
    """The media type to answer with. Raises NotAcceptable."""
    wanted: dict[str, float] = {}
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        wanted[media] = float(quality) if quality.replace(".", "", 1).isdecimal() else 1.0
    offers = {media: _quality(media, wanted) for media in (JSON, NDJSON, CSV)}
    best = max(offers, key=lambda media: offers[media])
    if not offers[best]:
        raise NotAcceptable(f"there is {JSON}, {NDJSON} and {CSV}")
    return best


def _quality(media: str, wanted: dict[str, float]) -> float:
    ranges = (media, media.split("/", maxsplit=1)[0] + "/*", "*/*")
    return next((wanted[one] for one in ranges if one in wanted), 0.0)


def _one(body: bytes, parser: Reads) -> Event:
    try:
        return parser.one(body)
    except Refused as refused:
        if not refused.oversize and not _is_utf8(body):
            raise Malformed(f"the body is not JSON: {_hint(body) or 'it is not UTF-8'}") from None
        if not refused.oversize and body.startswith(_GZIP):
            raise Malformed(f"the body is not JSON: {_hint(body)}") from None
        raise refusal(refused) from None


def _line(line: bytes, index: int, parser: Parser) -> Event | Refused:
    try:
        return parser.one(line.strip(), index)
    except Refused as refused:
        return refused
    except NotJson as error:
        return Refused(f"line {index + 1} is not JSON: {_hint(line) or error}")


def _batch(items: Iterable[tuple[int, Event | Refused]]) -> Batch:
    events, indexes, faults = [], [], []
    for index, item in items:
        if isinstance(item, Refused):
            faults.append(_fault(index, item))
        else:
            events.append(item)
            indexes.append(index)
    return Batch(events, indexes, faults, single=False)


def _fault(index: int, refused: Refused) -> Fault:
    return Fault(detail=refused.detail, index=index, pointer=refused.pointer)


def _too_many(max_events: int) -> TooLarge:
    return TooLarge(f"a request may carry {max_events} events, this one has more")


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _hint(body: bytes) -> str | None:
    if body.startswith(_BOM):
        return "it begins with a byte order mark; send UTF-8 without one"
    if body.startswith(_GZIP):
        return "it is gzip; say so with Content-Encoding: gzip"
    if not body.strip():
        return "it is empty"
    return None


def _cell(value: object) -> object:
    if value is None or isinstance(value, int):
        return value
    # Times and data as JSON spells them.
    text = value if isinstance(value, str) else _encode(value).decode().strip('"')
    if isinstance(value, msgspec.Raw):
        text = "" if bytes(value) == b"null" else bytes(value).decode()
    return f"'{text}" if text.startswith(_FORMULA) else text
