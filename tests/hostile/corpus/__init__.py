"""The corpus: hostile and odd input as data, with what each is to be answered. TOML files, one a family.

A *text* is what bytes are written as: a string (its UTF-8), a list of texts (one after the other), or a table of
one key: `{ base64 = "…" }`, `{ repeat = [text, times] }`, `{ gzip = text }`, `{ zstd = text }`.

- `[[event]]`: what is odd about one event. `fields` are texts of JSON by name, in place of `source`, `action`
  or beside them; or `text` is the whole event. It goes every way that there is for one (`ways.py`).
- `[[request]]`: a whole request, with its `method`, `path`, `headers` and `body`.
- `[[delivery]]`: a body that a webhook's sender has signed.
- `[[wire]]`: bytes on a connection, `send`, and the statuses that come back, `answers`, until it is closed.

What is expected is `status`, and of what is refused a part of the `reason` and the `pointer` of its place. An event
is expected alike of all ways: `[event.<way>]` says where one of them differs, and `<way> = false` leaves it out.
"""

import base64
import gzip
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What is to be answered. `left_out`: a part of the reason why a webhook's data could not be kept."""

    status: int = 201
    reason: str = ""
    pointer: str | None = None
    left_out: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OddEvent:
    """An event; `ways`: what differs, by way, None where that way has none like it."""

    name: str
    fields: Mapping[str, bytes]
    text: bytes | None
    expected: Expected
    ways: Mapping[str, Mapping[str, Any] | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class OddRequest:
    """A request; `headers` in the order of the file."""

    name: str
    method: str = "POST"
    path: bytes = b"/events"
    headers: tuple[tuple[bytes, bytes], ...] = ((b"Content-Type", b"application/json"),)
    body: bytes = b""
    expected: Expected


@dataclass(frozen=True, kw_only=True, slots=True)
class OddDelivery:
    """What a sender has signed; `action`: of the event that is kept."""

    name: str
    sender: str = "standard"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    action: str | None = None
    events: int = 1
    expected: Expected


@dataclass(frozen=True, kw_only=True, slots=True)
class OddWire:
    """Bytes; `answers`: the statuses that come back, in order; `kept`: how many events are, as many as 201 unless
    it is said: where what comes after a request is no HTTP, its answer is left out."""

    name: str
    send: bytes
    answers: tuple[int, ...]
    kept: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """What one file holds."""

    name: str
    events: tuple[OddEvent, ...]
    requests: tuple[OddRequest, ...]
    deliveries: tuple[OddDelivery, ...]
    wires: tuple[OddWire, ...]


def families(folder: Path = HERE) -> list[Family]:
    """Every family, by name."""
    return [_family(path) for path in sorted(folder.glob("*.toml"))]


def text_of(spec: Any) -> bytes:
    """The bytes that a text of the corpus stands for. Raises ValueError."""
    match spec:
        case str():
            return spec.encode()
        case list():
            return b"".join(map(text_of, spec))
        case {"base64": str(text)}:
            return base64.b64decode(text, validate=True)
        case {"repeat": [text, int(times)]}:
            return text_of(text) * times
        case {"gzip": text}:
            return gzip.compress(text_of(text), mtime=0)
        case {"zstd": text}:
            return zstd.compress(text_of(text))
    raise ValueError(f"no text: {str(spec)[:100]}")


def _family(path: Path) -> Family:
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    found = Family(
        name=path.stem,
        events=tuple(map(_event, document.pop("event", []))),
        requests=tuple(map(_request, document.pop("request", []))),
        deliveries=tuple(map(_delivery, document.pop("delivery", []))),
        wires=tuple(map(_wire, document.pop("wire", []))),
    )
    for kind in (found.events, found.requests, found.deliveries, found.wires):
        if len({one.name for one in kind}) < len(kind):
            raise ValueError(f"{path.name} has a name twice")
    if document:
        raise ValueError(f"{path.name} has unknown tables: {[*document]}")
    return found


def _event(table: dict[str, Any]) -> OddEvent:
    expected = _expected(table)
    name, text, fields = table.pop("name"), table.pop("text", None), table.pop("fields", {})
    return OddEvent(
        name=name,
        fields={key: text_of(value) for key, value in fields.items()},
        text=None if text is None else text_of(text),
        expected=expected,
        ways={way: differs or None for way, differs in table.items()},
    )


def _request(table: dict[str, Any]) -> OddRequest:
    expected = _expected(table)
    for name in {"path", "body"} & table.keys():
        table[name] = text_of(table[name])
    if "headers" in table:
        table["headers"] = tuple(_headers(table["headers"]))
    return OddRequest(expected=expected, **table)


def _headers(table: Mapping[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in table.items():
        for one in value if isinstance(value, list) else [value]:
            yield name.encode(), text_of(one)


def _delivery(table: dict[str, Any]) -> OddDelivery:
    expected = _expected(table)
    table["body"] = text_of(table.get("body", ""))
    return OddDelivery(expected=expected, **table)


def _wire(table: dict[str, Any]) -> OddWire:
    answers = tuple(table.pop("answers"))
    return OddWire(send=text_of(table.pop("send")), answers=answers, **{"kept": answers.count(201), **table})


def _expected(table: dict[str, Any]) -> Expected:
    names = {"status", "reason", "pointer", "left_out"} & table.keys()
    return Expected(**{name: table.pop(name) for name in names})
