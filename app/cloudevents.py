"""CloudEvents 1.0: JSON, alone and in batches, and binary mode, whose attributes are headers, to events.

1. An attribute that an event has a field for goes there: `type` is the action, all others keep their names.
2. What there is no field for is not lost: extensions, `dataschema` and a content type other than JSON's are in
   `data` under the name KEY, beside what was sent. They are text, since the same event has to be the same in every
   mode, and a header knows no numbers.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import unquote_to_bytes

import msgspec

from app.errors import Malformed
from app.events import Event, NotJson, Parser, Refused, Sent, decoded, explained, fit, items
from app.formats import JSON, Batch, alone, media_type, read_json, refusal

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
FAMILY = "application/cloudevents"  # what the media types of all its formats begin with
REQUIRED = ("id", "source", "specversion", "type")
HEADERS = tuple(f"ce-{name}" for name in REQUIRED)
KEY = "cloudevent"  # in `data`: the attributes that have no field of their own

_NAME = re.compile("[a-z0-9]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_JSON = re.compile(r"[^/]+/(?:json|[^/]+\+json)")
_TEXT = re.compile(r"text/[^/]+|[^/]+/(?:xml|[^/]+\+xml)")
_PAYLOAD = ("data", "data_base64")


class _Attributes(msgspec.Struct, kw_only=True):
    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    subject: str | None = None
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None


class CloudEvents:
    """Turns the JSON format into events, as `Parser` does for our own."""

    def __init__(self) -> None:
        self._parser = Parser()

    def one(self, text: bytes, index: int = 0) -> Event:
        """One JSON object. Raises Refused, or NotJson where it is no JSON at all."""
        fit(text)
        document = decoded(text)
        if not isinstance(document, dict):
            raise Refused("a CloudEvent is a JSON object")
        return self.event(document, index)

    def many(self, text: bytes, limit: int) -> list[Event | Refused]:
        """A JSON array of at most `limit` objects, each an Event or why it is none. Raises NotJson, TooMany."""
        return [self._attempt(item, index) for index, item in enumerate(items(text, limit))]

    def event(self, document: Mapping[str, Any], index: int = 0) -> Event:
        """The event that attributes and data make. Raises Refused."""
        # Null is as good as nothing, but for data, where it is both.
        given = {name: value for name, value in document.items() if value is not None}
        for name in REQUIRED:
            if name not in given:
                raise Refused(f"{name} is missing", f"/{name}")
        try:
            known = msgspec.convert(given, _Attributes)
        except msgspec.ValidationError as error:
            raise explained(error) from None
        sent = Sent(
            source=known.source,
            action=known.type,
            id=known.id,
            subject=known.subject,
            time=known.time,
            data=_data(given, known),
        )
        try:
            return self._parser.event(sent, index)
        except Refused as refused:
            raise _in_their_words(refused) from None

    def _attempt(self, item: bytes, index: int) -> Event | Refused:
        try:
            return self.one(item, index)
        except Refused as refused:
            return refused


_READER = CloudEvents()


def read_structured(body: bytes, max_events: int) -> Batch:
    """One CloudEvent. Raises Malformed, TooLarge, Invalid."""
    if body.lstrip().startswith(b"["):
        raise Malformed(f"an array of CloudEvents is {BATCHED}")
    return read_json(body, _READER, max_events)


def read_batched(body: bytes, max_events: int) -> Batch:
    """An array of CloudEvents. Raises Malformed, TooLarge, Invalid."""
    if not body.lstrip().startswith(b"["):
        raise Malformed(f"a batch of CloudEvents is an array; one alone is {STRUCTURED}")
    return read_json(body, _READER, max_events)


def read_binary(body: bytes, headers: Iterable[tuple[bytes, bytes]], content_type: str) -> Batch:
    """One CloudEvent in binary mode. Raises Malformed, TooLarge, Invalid."""
    try:
        fit(body)
        document = _from_headers(headers)
        if content_type:
            document["datacontenttype"] = content_type
        return alone(_READER.event(document | _from_body(body, content_type)))
    except Refused as refused:
        raise refusal(refused) from None
    except NotJson as error:
        raise Malformed(f"the body is not the JSON that Content-Type says: {error}") from None


def _from_headers(lines: Iterable[tuple[bytes, bytes]]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for header, value in lines:
        if not header.startswith(b"ce-"):
            continue
        name = header[3:].decode("latin-1")
        if name in attributes or name in (*_PAYLOAD, "datacontenttype"):
            raise Refused(f"the header ce-{name[:100]} came twice, or is none that there is")
        attributes[name] = _header_value(value, name)
    return attributes


def _header_value(value: bytes, name: str) -> str:
    text = value.decode("latin-1").strip()
    if quoted := _QUOTED.fullmatch(text):
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise Refused(f"the header ce-{name[:100]} is not UTF-8", f"/{name[:100]}") from None


def _from_body(body: bytes, content_type: str) -> dict[str, Any]:
    media, charset = media_type(content_type)
    if not body:
        return {}
    if _JSON.fullmatch(media):
        return {"data": decoded(body)}
    if _TEXT.fullmatch(media) and charset == "utf-8" and b"\0" not in body:
        try:
            return {"data": body.decode()}
        except UnicodeDecodeError:
            pass  # as bytes, then
    return {"data_base64": b64encode(body).decode()}


def _data(given: Mapping[str, Any], known: _Attributes) -> Any:
    """What was sent as data, and with it what else there is to keep."""
    if all(name in given for name in _PAYLOAD):
        raise Refused("there is data or data_base64, not both", "/data_base64")
    rest = _rest(given, known)
    sent = given.get("data")
    if "data_base64" in given:
        if not isinstance(given["data_base64"], str):
            raise Refused("data_base64 is no text", "/data_base64")
        sent = {"data_base64": given["data_base64"]}
    if not rest:
        return sent
    if isinstance(sent, dict) and KEY not in sent:
        return {**sent, KEY: rest}
    return {KEY: rest} if sent is None else {"data": sent, KEY: rest}


def _rest(given: Mapping[str, Any], known: _Attributes) -> dict[str, str]:
    rest = {
        name: _extension(name, value)
        for name, value in given.items()
        if name not in _Attributes.__struct_fields__ and name not in _PAYLOAD
    }
    if known.dataschema is not None:
        rest["dataschema"] = known.dataschema
    # JSON goes without saying.
    if known.datacontenttype is not None and media_type(known.datacontenttype) != (JSON, "utf-8"):
        rest["datacontenttype"] = known.datacontenttype
    return rest


def _extension(name: str, value: object) -> str:
    if not _NAME.fullmatch(name):
        raise Refused("the name of an attribute is of lower-case letters and digits", f"/{name[:100]}")
    match value:
        case bool():
            return "true" if value else "false"
        case int() | str():
            return str(value)
    raise Refused("an attribute is text, a whole number or a boolean", f"/{name[:100]}")


def _in_their_words(refused: Refused) -> Refused:
    if refused.pointer != "/action":
        return refused
    return Refused(refused.detail.replace("action", "type", 1), "/type")
