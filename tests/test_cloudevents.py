"""CloudEvents: the specification's examples in every mode, and what is none."""

import json
from typing import Any

import pytest

from app.cloudevents import HEADERS, KEY, read_batched, read_binary, read_structured
from app.errors import Invalid, Malformed, Problem, TooLarge
from app.events import MAX_EVENT_BYTES, Event
from app.formats import Batch
from tests.cloudevents import BATCH, EXAMPLES, EXTENSIONS, Example, kept_as

LIMIT = 10
LEAST = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


def structured(document: Any) -> Batch:
    return read_structured(json.dumps(document).encode(), LIMIT)


def binary(headers: dict[str, str], body: bytes = b"") -> Batch:
    lines = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return read_binary(body, lines, headers.get("content-type", ""))


def only(batch: Batch) -> Event:
    assert batch.single
    assert not batch.faults
    (event,) = batch.events
    return event


def data_of(event: Event) -> Any:
    return None if event.data is None else json.loads(event.data)


def least(**more: str) -> dict[str, str]:
    return {f"ce-{name}": value for name, value in LEAST.items()} | more


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_is_the_same_event_in_both_modes(example: Example) -> None:
    event = only(structured(example.document))
    assert event == only(binary(example.headers, example.body))
    document = example.document
    assert (event.source, event.action, event.id) == (document["source"], document["type"], document["id"])
    assert event.time is not None
    assert event.time.isoformat() == "2018-04-05T17:31:00+00:00"
    assert event.subject is None
    assert data_of(event) == kept_as(example)


def test_the_batch_of_the_examples() -> None:
    batch = read_batched(json.dumps(BATCH).encode(), LIMIT)
    first, second = batch.events
    assert not batch.single
    assert (first.source, second.source) == ("/mycontext/4", "/mycontext/9")
    assert (first.action, second.action) == ("com.example.someevent", "com.example.someotherevent")
    assert data_of(first)["data_base64"] == "... base64 encoded string ..."
    assert data_of(second) == {"appinfoA": "abc", "appinfoB": 123, "appinfoC": True, KEY: EXTENSIONS}


def test_an_empty_batch_is_one() -> None:
    assert read_batched(b"[]", LIMIT) == Batch([], [], [], single=False)


def test_a_bad_event_of_a_batch_goes_alone() -> None:
    batch = read_batched(json.dumps([LEAST, {**LEAST, "type": ""}, 7, {**LEAST, "id": "2"}]).encode(), LIMIT)
    assert [event.id for event in batch.events] == ["1", "2"]
    assert list(batch.indexes) == [0, 3]
    assert [(fault.index, fault.pointer, fault.detail) for fault in batch.faults] == [
        (1, "/type", "type is empty"),
        (2, None, "a CloudEvent is a JSON object"),
    ]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({}, None),
        ({"data": None}, None),
        ({"data": {"a": 1}}, {"a": 1}),
        ({"data": {"a": 1}, "datacontenttype": "application/json; charset=utf-8"}, {"a": 1}),
        ({"data": [1]}, [1]),
        ({"data": [1], "traceparent": "00-1"}, {"data": [1], KEY: {"traceparent": "00-1"}}),
        ({"traceparent": "00-1"}, {KEY: {"traceparent": "00-1"}}),
        ({"data": {KEY: 1}, "x": True}, {"data": {KEY: 1}, KEY: {"x": "true"}}),
        ({"data": {"a": 1}, "dataschema": "urn:s"}, {"a": 1, KEY: {"dataschema": "urn:s"}}),
        (
            {"data": {"a": 1}, "datacontenttype": "application/vnd.x+json"},
            {"a": 1, KEY: {"datacontenttype": "application/vnd.x+json"}},
        ),
        ({"data_base64": "AAE="}, {"data_base64": "AAE="}),
    ],
)
def test_nothing_that_was_sent_is_lost(sent: Any, kept: Any) -> None:
    assert data_of(only(structured({**LEAST, **sent}))) == kept


@pytest.mark.parametrize(
    ("body", "content_type", "kept"),
    [
        (b'{"a":1}', "application/json; charset=utf-8", {"a": 1}),
        (b"[1]", "application/json", [1]),
        (b"", "application/json", None),
        (b"", "", None),
        (b"text", "text/plain", {"data": "text", KEY: {"datacontenttype": "text/plain"}}),
        (b"\xfft", "text/plain", {"data_base64": "/3Q=", KEY: {"datacontenttype": "text/plain"}}),
        (b"a\0", "text/plain", {"data_base64": "YQA=", KEY: {"datacontenttype": "text/plain"}}),
        (b"bytes", "", {"data_base64": "Ynl0ZXM="}),
    ],
)
def test_a_body_is_kept_as_what_its_type_says(body: bytes, content_type: str, kept: Any) -> None:
    headers = least() | ({"content-type": content_type} if content_type else {})
    assert data_of(only(binary(headers, body))) == kept


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("Euro%20%e2%82%ac", "Euro €"),
        ('"with a \\"quote\\""', 'with a "quote"'),
        ("a%2525b", "a%25b"),
        ("%41BC", "ABC"),
        ("Stra\u00c3\u009fe", "Straße"),  # UTF-8 that nobody encoded
    ],
)
def test_a_header_is_decoded_once(header: str, value: str) -> None:
    assert only(binary(least(**{"ce-subject": header}))).subject == value


@pytest.mark.parametrize("header", ["%C0%A0", "%FF", "\u00ff"])
def test_a_header_that_is_not_utf_8_is_refused(header: str) -> None:
    with pytest.raises(Invalid, match="ce-subject is not UTF-8"):
        binary(least(**{"ce-subject": header}))


@pytest.mark.parametrize(
    ("change", "pointer", "reason"),
    [
        ({"id": None}, "/id", "id is missing"),
        ({"type": None}, "/type", "type is missing"),
        ({"source": ""}, "/source", "source is empty"),
        ({"type": "a\u0007"}, "/type", "type has a control character"),
        ({"id": ""}, "/id", "id must have 1 to 200 characters"),
        ({"specversion": "0.3"}, "/specversion", "0.3"),
        ({"time": "yesterday"}, "/time", "RFC3339"),
        ({"time": "2018-04-05T17:31:00"}, "/time", "timezone"),
        ({"source": 7}, "/source", "Expected `str`"),
        ({"data": 1, "data_base64": "AA=="}, "/data_base64", "not both"),
        ({"data_base64": 7}, "/data_base64", "no text"),
        ({"Upper": "x"}, "/Upper", "lower-case"),
        ({"deep": {"a": 1}}, "/deep", "whole number"),
        ({"half": 0.5}, "/half", "whole number"),
        ({"data": "\0"}, "/data", "NUL"),
    ],
)
def test_what_is_no_cloudevent_is_refused_by_name(change: Any, pointer: str, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        structured({**LEAST, **change})
    (fault,) = caught.value.errors
    assert (fault.index, fault.pointer) == (0, pointer)
    assert reason in fault.detail


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_is_missing_is_named(name: str) -> None:
    headers = least()
    del headers[name]
    with pytest.raises(Invalid, match=f"{name[3:]} is missing"):
        binary(headers)


@pytest.mark.parametrize("name", ["ce-data", "ce-data_base64", "ce-datacontenttype", "ce-Type"])
def test_headers_that_there_are_not(name: str) -> None:
    with pytest.raises(Invalid):
        binary(least(**{name: "x"}))


def test_a_header_that_came_twice_is_refused() -> None:
    lines = [(name.encode(), value.encode()) for name, value in least().items()]
    with pytest.raises(Invalid, match="ce-id"):
        read_binary(b"", [*lines, (b"ce-id", b"2")], "")


TOO_LARGE = b'"' + b"x" * MAX_EVENT_BYTES + b'"'


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (lambda: structured([LEAST]), Malformed),
        (lambda: read_batched(json.dumps(LEAST).encode(), LIMIT), Malformed),
        (lambda: read_batched(json.dumps([LEAST] * (LIMIT + 1)).encode(), LIMIT), TooLarge),
        (lambda: structured({**LEAST, "data": "x" * MAX_EVENT_BYTES}), TooLarge),
        (lambda: binary(least() | {"content-type": "application/json"}, TOO_LARGE), TooLarge),
        (lambda: binary(least() | {"content-type": "application/json"}, b"{"), Malformed),
        (lambda: binary(least() | {"content-type": "application/json"}, b"NaN"), Invalid),
        (lambda: structured("text"), Invalid),
        (lambda: read_structured(b"{", LIMIT), Malformed),
        (lambda: read_structured(b"", LIMIT), Malformed),
    ],
)
def test_what_cannot_be_read(read: Any, problem: type[Problem]) -> None:
    with pytest.raises(problem):
        read()
