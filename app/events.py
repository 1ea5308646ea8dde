"""The event and its limits: JSON text in, values out, and one reason for whatever is refused.

1. What a database, a log line or a client in another language would choke on is refused here, by name, so that
   one event can never spoil its neighbours' commit.
2. Numbers are 64-bit integers or doubles, text is Unicode without NUL: what is stored is what was sent.
3. Nothing that a client sent is echoed at length.
"""

import random
import re
import time as clock
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from itertools import chain, count, islice
from json import JSONDecodeError
from json import loads as lenient_loads
from math import isinf
from typing import Annotated, Any, TypeVar

import msgspec

MAX_EVENT_BYTES = 256 * 1024  # of one event's JSON text
MAX_TEXT = 200  # characters of source, action, id and subject
MAX_DEPTH = 32  # levels of arrays and objects in data
MAX_INTEGER = 2**63 - 1
CROWD = 64  # bytes an item, for as many items as there may be: arrays of smaller ones are counted first
AT_ONCE = MAX_EVENT_BYTES  # bytes of an array that one call decodes: meanwhile nothing else runs
SMALL = 1024  # bytes of an event whose numbers, however dear, are read in two milliseconds
LABELS_KNOWN = 4096  # sources and actions whose check is remembered
MAX_KEY = MAX_TEXT - len("/999999")  # characters of an Idempotency-Key, of which ids are made

Item = TypeVar("Item")

# Seeded by the system. An id must be unique, not hard to guess, and the system's own source costs more.
_chance = random.Random().getrandbits  # noqa: S311

_VARIANT = "89ab"  # the digit that says, in its upper bits, which layout the UUID has
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Control characters, and those that reorder the text around them on a screen.
_UNREADABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_WIDE = re.compile(rb"[19]\d{18}")  # may be an integer from 2**63 on: what is past 2**64 was refused before
# Possessive, and content with a string that never ends: no text costs more than one look at each character.
_SPLIT = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)


class Refused(Exception):
    """This event cannot be kept. `pointer` (RFC 6901) names the part; `oversize` tells the one cause apart."""

    def __init__(self, detail: str, pointer: str | None = None, *, oversize: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer
        self.oversize = oversize


class NotJson(Exception):
    """The text is not JSON; the message says where."""


class TooMany(Exception):
    """The array holds more items than it may."""


class Identity(msgspec.Struct, frozen=True):
    """What makes a resend recognisable: three BLAKE2b digests of 16 bytes."""

    key: bytes  # of source and id
    content: bytes  # of all that the client sent
    untimed: bytes  # the same without `time`: an export shows the time that the server filled in


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event that can be kept. `time` is UTC, None where the client gave none; `data` is compact JSON text.

    `received_at`: when it was answered, where that was before its commit. `by_id`: whoever sends it means the same
    event whenever the id is the same, whatever else has changed.
    """

    source: str
    action: str
    id: str
    subject: str | None
    time: datetime | None
    data: str | None
    identity: Identity | None
    received_at: datetime | None = None
    by_id: bool = False


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is kept, ready to be written as JSON."""

    seq: int
    id: str
    source: str
    action: str
    subject: str | None
    time: datetime
    received_at: datetime
    data: msgspec.Raw


class Spooled(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is kept and not yet committed: as Stored, without a number."""

    id: str
    source: str
    action: str
    subject: str | None
    time: datetime
    received_at: datetime
    data: msgspec.Raw


class Sent(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An event as a client tells it, not yet looked at: types alone are right."""

    source: str
    action: str
    id: str | None = None
    subject: str | None = None
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    data: Any = None
    seq: Any = None  # given by the server: taken and ignored, so that an export can be sent again
    received_at: Any = None


def _number(text: str) -> float:
    """A double. msgspec's own reading takes 13 µs for one like 9e300, thirty times as long as Python's."""
    value = float(text)
    if isinf(value):
        raise ValueError("a number is past what a double can hold")
    return value


_decode_small = msgspec.json.Decoder(Sent).decode
_decode_large = msgspec.json.Decoder(Sent, float_hook=_number).decode
_decode_list = msgspec.json.Decoder(list[Sent], float_hook=_number).decode
_decode_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_data = msgspec.json.Decoder().decode
_decode_value = msgspec.json.Decoder(float_hook=_number).decode
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class _Uuids:
    """Makes UUIDv7s (RFC 9562): a millisecond, 26 bits of chance with it, and a number that chance began.

    Any thread may call it: the number is taken in one step, and who finds a new millisecond begins anew.
    """

    def __init__(self) -> None:
        self._made = (0, "", count())

    def __call__(self) -> str:
        now = clock.time_ns() // 1_000_000
        made, prefix, numbers = self._made
        if now != made:
            chance = f"{_chance(24):06x}"
            digits = f"{now:012x}"
            prefix = f"{digits[:8]}-{digits[8:]}-7{chance[:3]}-{_VARIANT[_chance(2)]}{chance[3:]}-"
            numbers = count(_chance(47))
            self._made = (now, prefix, numbers)
        return f"{prefix}{next(numbers):012x}"


uuid7 = _Uuids()


class Parser:
    """Turns JSON text into events. `new_id` makes an id; `key` is the request's Idempotency-Key, if it had one."""

    def __init__(self, *, key: str | None = None, new_id: Callable[[], str] = uuid7) -> None:
        self._key = key
        self._new_id = new_id

    def one(self, text: bytes, index: int = 0) -> Event:
        """One JSON object. Raises Refused, or NotJson where it is no JSON at all."""
        fit(text)
        return self.event(_read(text, _decode_small if len(text) <= SMALL else _decode_large), index)

    def many(self, text: bytes, limit: int) -> list[Event | Refused]:
        """A JSON array of at most `limit` objects, each an Event or why it is none. Raises NotJson, TooMany."""
        sent = _decoded_at_once(text, limit)
        if sent is None:
            return [self._attempt(item, index) for index, item in enumerate(items(text, limit))]
        return [self._attempt(one, index) for index, one in enumerate(sent)]

    def _attempt(self, item: Sent | bytes, index: int) -> Event | Refused:
        try:
            return self.event(item, index) if isinstance(item, Sent) else self.one(item, index)
        except Refused as refused:
            return refused

    def event(self, sent: Sent, index: int = 0) -> Event:
        """The event that can be kept. Raises Refused."""
        source = _label(sent.source, "source")
        action = _label(sent.action, "action")
        subject = None if sent.subject is None else _text(sent.subject, "subject")
        time = None if sent.time is None else _utc(sent.time)
        data = None if sent.data is None else _data(sent.data)
        given = f"{self._key}/{index}" if sent.id is None and self._key is not None else sent.id
        if given is None:
            id_, identity = self._new_id(), None
        else:
            id_ = _text(given, "id")
            identity = _identity(sent.data, source=source, action=action, id_=id_, subject=subject, time=time)
        return Event(
            source=source, action=action, id=id_, subject=subject, time=time, data=data, identity=identity
        )


def fit(text: bytes) -> None:
    """Raises Refused where this is too large for one event."""
    if len(text) > MAX_EVENT_BYTES:
        raise Refused(f"an event may have {MAX_EVENT_BYTES} bytes", oversize=True)


def decoded(text: bytes) -> Any:
    """What JSON text of any size stands for. Raises Refused, or NotJson where it is no JSON at all."""
    return _read(text, _decode_value)


def items(text: bytes, limit: int) -> list[bytes]:
    """The texts of an array's items, also where some item is no strict JSON. Raises NotJson, TooMany."""
    if _crowded(text, limit):
        raise TooMany
    try:
        return [bytes(raw) for raw in _few(_decode_raws(text), limit)]
    except (msgspec.DecodeError, RecursionError):
        found = _split(text, limit)
    for item in found:
        if isinstance(fault := _diagnosed(item, None), NotJson):
            raise fault
    return found


def key_of(source: str, id_: str) -> bytes:
    """The 16 bytes by which an event with an id is found."""
    return blake2b(f"{source}\0{id_}".encode(), digest_size=16).digest()


def identified(event: Event) -> Event:
    """The event with an identity, also where its id was made here: kept twice, it is stored once."""
    if event.identity is not None:
        return event
    data = None if event.data is None else _decode_data(event.data)
    identity = _identity(
        data, source=event.source, action=event.action, id_=event.id, subject=event.subject, time=event.time
    )
    return msgspec.structs.replace(event, identity=identity)


def _identity(
    data: Any, *, source: str, action: str, id_: str, subject: str | None, time: datetime | None
) -> Identity:
    # Keys are sorted and white space is gone, so that neither makes a resend look like another event.
    content = blake2b(_encode_sorted((source, action, subject, data)), digest_size=16)
    untimed = content.digest()
    if time is not None:
        content.update(b"@%d" % ((time - _EPOCH) // _MICROSECOND))
    return Identity(key_of(source, id_), content.digest(), untimed)


def _label(value: str, name: str) -> str:
    # Few distinct ones come again and again. What is long is not remembered: it may be mostly white space.
    return _known_label(value, name) if len(value) <= MAX_TEXT else _checked_label(value, name)


def _checked_label(value: str, name: str) -> str:
    trimmed = value.strip()
    if not trimmed:
        raise Refused(f"{name} is empty", f"/{name}")
    if len(trimmed) > MAX_TEXT:
        raise Refused(f"{name} has more than {MAX_TEXT} characters", f"/{name}")
    if _UNREADABLE.search(trimmed):
        raise Refused(f"{name} has a control character, or one that reorders text", f"/{name}")
    return trimmed


_known_label = lru_cache(LABELS_KNOWN)(_checked_label)


def _text(value: str, name: str) -> str:
    if not 0 < len(value) <= MAX_TEXT:
        raise Refused(f"{name} must have 1 to {MAX_TEXT} characters", f"/{name}")
    if "\0" in value:
        raise Refused(f"{name} has a NUL character", f"/{name}")
    return value


def _utc(value: datetime) -> datetime:
    if value.tzinfo is UTC:
        return value
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise Refused("time is outside the years 1 to 9999 in UTC", "/time") from None


def _data(value: Any) -> str:
    try:
        text = _encode(value)
    except OverflowError:
        raise Refused("data has an integer past 64 bits", "/data") from None
    fit(text)  # numbers may be longer written out, and what was kept can be sent again
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH or b"\\u0000" in text or _WIDE.search(text):
        _inspect([value])
    return text.decode()


def _inspect(level: list[Any]) -> None:
    """Look through what looked suspicious, one level at a time, which costs far less than value by value."""
    for _ in range(MAX_DEPTH + 1):
        lists = [value for value in level if type(value) is list]
        dicts = [value for value in level if type(value) is dict]
        for value in level:
            if type(value) is int and not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:
                raise Refused("data has an integer past 64 bits", "/data")
        if any("\0" in value for value in level if type(value) is str):
            raise Refused("data has a NUL character", "/data")
        if not lists and not dicts:
            return
        level = [*chain.from_iterable(lists), *chain.from_iterable(chain(one, one.values()) for one in dicts)]
    raise Refused(f"data is deeper than {MAX_DEPTH} levels", "/data")


def _read(text: bytes, decode: Callable[[bytes], Item]) -> Item:
    try:
        return decode(text)
    except msgspec.ValidationError as error:
        raise explained(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _diagnosed(text, error) from None


def _decoded_at_once(text: bytes, limit: int) -> list[Sent] | None:
    """All of an array in one call; None where some item needs to be looked at alone. Raises TooMany."""
    try:
        if len(text) > AT_ONCE:
            return None
        # The items are counted before they are read: a body of `[1,1,1` may hold thousands.
        if text.count(b",") >= limit:
            _few(_decode_raws(text), limit)
        return _decode_list(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _few(items: list[Item], limit: int) -> list[Item]:
    if len(items) > limit:
        raise TooMany
    return items


def _split(text: bytes, limit: int) -> list[bytes]:
    """Cut an array at its own commas by counting brackets, whatever the items hold. Raises NotJson, TooMany."""
    if not text.rstrip().endswith(b"]"):
        raise NotJson("the array does not end where the body does")
    characters = text.decode(errors="surrogateescape").strip()
    depth, start, items = 1, 1, []
    for token, depth in _cuts(characters):
        items.append(characters[start : token.start()])
        start = token.end()
        _few(items, limit)
    if depth != 0 or start != len(characters) or characters[0] + characters[-1] != "[]":
        raise NotJson("the array does not end where the body does")
    return [item.encode(errors="surrogateescape") for item in items]


def _cuts(characters: str) -> Iterator[tuple[re.Match[str], int]]:
    """An array's own commas and its end, each with the depth that it leaves."""
    depth = 0
    for token in _SPLIT.finditer(characters):
        mark = token[0]
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        if (mark == "," and depth == 1) or depth == 0:
            yield token, depth
        if depth == 0:
            return


def _crowded(text: bytes, limit: int) -> bool:
    """Whether the beginning of an array holds too many items already. To read a million keeps everybody waiting."""
    end = CROWD * limit
    if text.count(b",", 0, end) < limit:
        return False
    commas = (depth for _, depth in _cuts(text[:end].decode("latin-1").lstrip()) if depth == 1)
    return len(list(islice(commas, limit))) == limit


def explained(error: msgspec.ValidationError) -> Refused:
    """msgspec's "Expected `str`, got `int` - at `$.source`", with the place as a pointer."""
    detail, _, path = str(error).partition(" - at `$")
    pointer = path.rstrip("`").replace(".", "/").replace("[...]", "") or None
    return Refused(detail[:200], pointer if pointer is None or len(pointer) <= MAX_TEXT else None)


def _diagnosed(text: bytes, error: Exception | None) -> Refused | NotJson:
    """Tell what no JSON reader takes from what only a lenient one does. `error` is what the strict one said."""
    constants: list[str] = []
    try:
        lenient_loads(text.decode(), parse_constant=constants.append)
    except UnicodeDecodeError:
        return Refused("the text is not UTF-8")
    except JSONDecodeError as fault:
        return NotJson(str(error or fault)[:200])
    except RecursionError:
        return Refused(f"data is deeper than {MAX_DEPTH} levels", "/data")
    except ValueError:
        return Refused("data has an integer past 64 bits", "/data")
    if constants:
        return Refused(f"{constants[0]} is no JSON number")
    return Refused("a string has half of a surrogate pair")
