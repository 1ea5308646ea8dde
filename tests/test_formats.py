"""Formats: bodies in, with one bad event never spoiling its neighbours; NDJSON and CSV out."""

import contextlib
import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid, Malformed, TooLarge
from app.events import MAX_EVENT_BYTES, Parser, Stored
from app.formats import Batch, read_json, read_ndjson, write_csv, write_ndjson
from tests.test_events import ODD_BYTES, VALUES

LIMIT = 10
GOOD = b'{"source":"ci","action":"build"}'
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)

# What a client may put in `data`, and why it cannot be kept.
DEEP = "data is deeper than 32 levels"
WIDE = "data has an integer past 64 bits"
HUGE = "Integer value out of range"
HALF = "a string has half of a surrogate pair"
POISON = {
    "surrogate in a value": (rb'"\ud800"', HALF),
    "surrogate in a key": (rb'{"\udfff":1}', HALF),
    "NaN": (b"NaN", "NaN is no JSON number"),
    "Infinity": (b"[Infinity]", "Infinity is no JSON number"),
    "-Infinity": (b"-Infinity", "-Infinity is no JSON number"),
    "1e999": (b"1e999", "Number out of range"),
    "-1e999": (b"-1e999", "Number out of range"),
    "2^63": (b"9223372036854775808", WIDE),
    "2^64": (b"18446744073709551616", WIDE),
    "-2^63-1": (b"[-9223372036854775809]", WIDE),
    "5000 digits": (b"9" * 5000, HUGE),
    "-5000 digits": (b"-" + b"9" * 5000, HUGE),
    "NUL in a value": (rb'"a\u0000b"', "data has a NUL character"),
    "NUL in a key": (rb'[{"a\u0000":1}]', "data has a NUL character"),
    "33 levels": (b"[" * 33 + b"]" * 33, DEEP),
    "33 levels of objects": (b'{"a":' * 33 + b"1" + b"}" * 33, DEEP),
    "990 levels": (b"[" * 990 + b"]" * 990, DEEP),
    "5000 levels": (b"[" * 5000 + b"]" * 5000, DEEP),
    "1M brackets": (b"[" * 500_000 + b"]" * 500_000, f"an event may have {MAX_EVENT_BYTES} bytes"),
    "oversize": (b'"' + b"x" * MAX_EVENT_BYTES + b'"', f"an event may have {MAX_EVENT_BYTES} bytes"),
    "oversize, with commas": (
        b"[" + b"1," * MAX_EVENT_BYTES + b"1]",
        f"an event may have {MAX_EVENT_BYTES} bytes",
    ),
    "invalid UTF-8": (b'"\xff"', "the text is not UTF-8"),
    "a surrogate in UTF-8": (b'"\xed\xa0\x80"', "the text is not UTF-8"),
    "a raw NUL, among other poison": (b'["\\u0000", NaN]', "NaN is no JSON number"),
}
# What ends an array for good, but only its own line of NDJSON.
UNBALANCED = {
    "1M open brackets": (b"[" * 1_000_000, f"an event may have {MAX_EVENT_BYTES} bytes"),
    "5000 open brackets": (b"[" * 5000, DEEP),
    "a raw NUL": (b'"\0"', "line 2 is not JSON: "),
    "no value": (b"", "line 2 is not JSON: "),
    "an open string": (b'"', "line 2 is not JSON: "),
}
LINES = POISON | UNBALANCED

Read = Callable[[bytes, Parser, int], Batch]


def bearing(data: bytes) -> bytes:
    return b'{"source":"ci","action":"build","data":' + data + b"}"


def array(*items: bytes) -> Batch:
    return read_json(b"[" + b",".join(items) + b"]", Parser(), LIMIT)


def lines(*items: bytes) -> Batch:
    return read_ndjson(b"\n".join(items) + b"\n", Parser(), LIMIT)


def stored(**members: object) -> Stored:
    plain = {"seq": 1, "id": "7", "source": "ci", "action": "build", "subject": None, "time": NOON}
    return Stored(**{"received_at": NOON, "data": msgspec.Raw(b"null")} | plain | members)  # type: ignore[arg-type]


def refused_alone(batch: Batch, reason: str) -> None:
    assert list(batch.indexes) == [0, 2]
    assert [event.source for event in batch.events] == ["ci", "ci"]
    assert [fault.index for fault in batch.faults] == [1]
    assert batch.faults[0].detail.startswith(reason)


@pytest.mark.parametrize("name", POISON)
def test_poison_in_an_array_is_refused_alone(name: str) -> None:
    poison, reason = POISON[name]
    refused_alone(array(GOOD, bearing(poison), GOOD), reason)


@pytest.mark.parametrize("name", LINES)
def test_poison_in_a_line_is_refused_alone(name: str) -> None:
    poison, reason = LINES[name]
    refused_alone(lines(GOOD, bearing(poison), GOOD), reason)


@pytest.mark.parametrize("name", POISON)
def test_poison_by_itself_is_refused_with_the_same_reason(name: str) -> None:
    poison, reason = POISON[name]
    with pytest.raises((Invalid, TooLarge, Malformed)) as caught:
        read_json(bearing(poison), Parser(), LIMIT)
    # Bytes that are no text at all are no JSON either; what is JSON is named for what it holds.
    assert caught.value.detail.removeprefix("the body is not JSON: ") in (reason, "it is not UTF-8")
    assert isinstance(caught.value, Malformed) is (reason == "the text is not UTF-8")


def test_all_poisons_of_an_array_are_refused_together() -> None:
    small = [bearing(poison) for poison, _ in POISON.values() if len(poison) < 50]
    body = b"[" + b",".join([GOOD, *small, GOOD]) + b"]"
    batch = read_json(body, Parser(), len(small) + 2)
    assert list(batch.indexes) == [0, len(small) + 1]
    assert [fault.index for fault in batch.faults] == list(range(1, len(small) + 1))


@pytest.mark.parametrize("source", ["", " ", "\t\r\n", "\u00a0\u3000", "\x1c\x1f"])
def test_empty_source_is_rejected(source: str) -> None:
    empty = json.dumps({"source": source, "action": "build"}).encode()
    with pytest.raises(Invalid) as caught:
        read_json(empty, Parser(), LIMIT)
    for batch in (array(GOOD, empty, GOOD), lines(GOOD, empty, GOOD)):
        refused_alone(batch, "source is empty")
        assert batch.faults[0].pointer == "/source"
    assert [fault.pointer for fault in caught.value.errors] == ["/source"]


def test_one_event_is_no_list_of_one() -> None:
    assert read_json(b"\n " + GOOD, Parser(), LIMIT).single
    assert not read_json(b"\n [" + GOOD + b"]\n", Parser(), LIMIT).single
    assert not lines(GOOD).single


@pytest.mark.parametrize("batch", [array(), lines(), read_ndjson(b"", Parser(), LIMIT)])
def test_nothing_is_no_error(batch: Batch) -> None:
    assert not batch.events
    assert not batch.faults


def test_lines_may_end_in_crlf_or_be_blank_and_keep_their_numbers() -> None:
    batch = read_ndjson(b"\r\n" + GOOD + b"\r\n \n" + GOOD + b"\n{\n" + GOOD, Parser(), LIMIT)
    assert list(batch.indexes) == [1, 3, 5]
    assert [fault.index for fault in batch.faults] == [4]
    assert batch.faults[0].detail.startswith("line 5 is not JSON: ")


def test_a_key_gives_lines_ids_by_their_place() -> None:
    batch = read_ndjson(b"\n" + GOOD + b"\n\n" + GOOD, Parser(key="k"), LIMIT)
    assert [event.id for event in batch.events] == ["k/1", "k/3"]


@pytest.mark.parametrize("read", [read_json, read_ndjson])
@pytest.mark.parametrize("item", [GOOD, b"{}", b"NaN", b"1"])
def test_more_events_than_allowed_are_too_large(read: Read, item: bytes) -> None:
    items = [item] * (LIMIT + 1)
    body = b"[" + b",".join(items) + b"]" if read is read_json else b"\n".join(items)
    with pytest.raises(TooLarge, match="a request may carry 10 events, this one has more"):
        read(body, Parser(), LIMIT)


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (b"", "it is empty"),
        (b" \r\n", "it is empty"),
        (b"\xef\xbb\xbf" + GOOD, "it begins with a byte order mark; send UTF-8 without one"),
        (b"source=ci&action=build", ""),
        (b"[" + GOOD, ""),
        (b"[" + GOOD + b"] trailing", ""),
        (b"[" + GOOD + b",]", ""),
        (b"[" + GOOD + b"}", ""),
        (b"[" * 1_000_000, ""),
        (b"[" + bearing(b"[" * 1_000_000) + b"]", ""),
    ],
)
def test_a_body_that_is_no_json_is_malformed(body: bytes, hint: str) -> None:
    with pytest.raises(Malformed) as caught:
        read_json(body, Parser(), LIMIT)
    assert caught.value.detail.startswith(f"the body is not JSON: {hint}")


@pytest.mark.parametrize("read", [read_json, read_ndjson])
def test_gzip_without_its_header_is_named(read: Read) -> None:
    with pytest.raises(Malformed, match="it is gzip; say so with Content-Encoding: gzip"):
        read(gzip.compress(GOOD), Parser(), LIMIT)


@given(ODD_BYTES)
def test_any_bytes_raise_only_what_is_documented(body: bytes) -> None:
    with contextlib.suppress(Malformed, TooLarge, Invalid):
        read_json(body, Parser(), 5)
    with contextlib.suppress(Malformed, TooLarge):
        read_ndjson(body, Parser(), 5)


@given(st.lists(VALUES, max_size=5))
def test_arrays_and_lines_say_the_same(values: list[object]) -> None:
    items = [
        json.dumps({"source": "ci", "action": "build", "id": "7", "data": value}).encode() for value in values
    ]
    assert array(*items).events == lines(*items).events


def test_what_is_written_as_lines_is_read_again() -> None:
    members = {"subject": "api", "data": msgspec.Raw(b'{"n":[1,null]}')}
    batch = read_ndjson(write_ndjson([stored(**members), stored(id="8")]), Parser(), LIMIT)
    first, second = batch.events
    assert (first.id, first.subject, first.time, first.data) == ("7", "api", NOON, '{"n":[1,null]}')
    assert (second.id, second.subject, second.data) == ("8", None, None)


def test_a_line_shows_an_event_as_json() -> None:
    assert write_ndjson([stored(data=msgspec.Raw(b"[1]"))]) == (
        b'{"seq":1,"id":"7","source":"ci","action":"build","subject":null,'
        b'"time":"2030-01-01T12:00:00Z","received_at":"2030-01-01T12:00:00Z","data":[1]}\n'
    )


def rows(*found: Stored) -> list[list[str]]:
    return list(csv.reader(io.StringIO(write_csv(found, header=False).decode(), newline="")))


def test_csv_begins_with_its_header_once() -> None:
    header = b"seq,id,source,action,subject,time,received_at,data\r\n"
    assert write_csv([], header=True) == header
    row = b"1,7,ci,build,,2030-01-01T12:00:00Z,2030-01-01T12:00:00Z,\r\n"
    assert write_csv([stored()], header=True) == header + row
    assert write_csv([stored()], header=False) == row


@pytest.mark.parametrize("text", ['a "b"', "a,b", "a\r\nb", "ä", "a\nb", "'a", "\x00"])
def test_csv_gives_text_back(text: str) -> None:
    assert rows(stored(subject=text))[0][4] == text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
@pytest.mark.parametrize("place", ["id", "source", "action", "subject"])
def test_csv_never_begins_a_cell_as_a_formula(start: str, place: str) -> None:
    cells = rows(stored(**{place: f"{start}cmd|' /c calc'!A1"}))[0]
    assert not [cell for cell in cells if cell.startswith(start)]
    assert f"'{start}cmd|' /c calc'!A1" in cells


@pytest.mark.parametrize(
    ("data", "cell"), [(b"-5", "'-5"), (b'"=1+1"', '"=1+1"'), (b"null", ""), (b'{"a":"b,c"}', '{"a":"b,c"}')]
)
def test_csv_shows_data_as_json(data: bytes, cell: str) -> None:
    assert rows(stored(data=msgspec.Raw(data)))[0][7] == cell
