"""Events: what JSON text becomes, and what is refused for which reason."""

import contextlib
import json
import time as clock
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import RFC_4122, UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import events
from app.events import MAX_DEPTH, Event, NotJson, Parser, Refused, Stored, TooMany, key_of, uuid7
from app.formats import write_ndjson

PLAIN = {"source": "ci", "action": "build", "id": "7"}
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
LIMIT = 1000  # items of an array

# What strict JSON can say within the limits.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)
# Bytes that look like JSON get further than those that do not.
WORDS = (
    rb"""[ ] { } , : " \ \ud800 NaN 1e999 null "source" "action" "a" "data" {"source":"a","action":"b"}""".split()
)
PIECES = st.sampled_from([*WORDS, b"\xff", b"\n", b"9" * 5000, b"[" * 2000])
ODD_BYTES = st.binary(max_size=50) | st.lists(PIECES, max_size=30).map(b"".join)


def text_of(**members: object) -> bytes:
    return json.dumps(PLAIN | members).encode()


def one(text: bytes) -> Event:
    return Parser(new_id=lambda: "made").one(text)


def of(**members: object) -> Event:
    return one(text_of(**members))


def identity(**members: object) -> events.Identity:
    found = of(**members).identity
    assert found is not None
    return found


def exported(event: Event) -> bytes:
    data = b"null" if event.data is None else event.data.encode()
    members = {name: getattr(event, name) for name in ("id", "source", "action", "subject")}
    time = event.time or NOON
    return write_ndjson([Stored(**members, seq=1, received_at=NOON, time=time, data=msgspec.Raw(data))])


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_an_event_bears_what_was_sent() -> None:
    event = of(subject="api", time="2030-01-01T13:00:00+01:00", data={"n": 1, "list": [1.5, None, True]})
    assert (event.source, event.action, event.id, event.subject) == ("ci", "build", "7", "api")
    assert event.time == NOON
    assert event.data == '{"n":1,"list":[1.5,null,true]}'


def test_what_is_absent_is_none_and_the_id_is_made() -> None:
    event = one(b'{"source":"ci","action":"build"}')
    assert (event.subject, event.time, event.data, event.identity) == (None, None, None, None)
    assert event.id == "made"


def test_source_and_action_are_trimmed() -> None:
    event = of(source=" ci\n", action="\u3000build")
    assert (event.source, event.action) == ("ci", "build")


@pytest.mark.parametrize(
    "members",
    [
        {"source": "s" * 200, "action": "ä" * 200, "id": "i" * 200, "subject": "u" * 200},
        {"time": "0001-01-01T00:00:00Z"},
        {"time": "9999-12-31T23:59:59.999999Z"},
        {"time": "2030-01-01T00:00:00.123456789-12:00"},
        {"seq": "not even a number", "received_at": [1]},
        {"data": "\x1b[31m\r\n\u202e\u2028"},
        {"data": "a backslash, then u0000: \\u0000"},
        {"data": "1234567890123456789012345"},
        {"data": [2**63 - 1, -(2**63), 1e308, 5e-324]},
        {"data": nested(MAX_DEPTH)},
        {"data": [[]] * 100},
        {"data": "x" * (events.MAX_EVENT_BYTES - len(text_of(data="")))},
    ],
)
def test_within_the_limits_it_is_kept(members: dict[str, object]) -> None:
    event = of(**members)
    assert json.loads(event.data or "null") == members.get("data")


@pytest.mark.parametrize(
    ("members", "pointer", "reason"),
    [
        ({"source": 5}, "/source", "Expected `str`, got `int`"),
        ({"source": None}, "/source", "Expected `str`, got `null`"),
        ({"source": "s" * 201}, "/source", "source has more than 200 characters"),
        ({"source": "a\tb"}, "/source", "source has a control character, or one that reorders text"),
        ({"source": "a\x9bb"}, "/source", "source has a control character, or one that reorders text"),
        ({"action": "a\u202eb"}, "/action", "action has a control character, or one that reorders text"),
        ({"action": "a\0b"}, "/action", "action has a control character, or one that reorders text"),
        ({"action": " "}, "/action", "action is empty"),
        ({"id": ""}, "/id", "id must have 1 to 200 characters"),
        ({"id": "i" * 201}, "/id", "id must have 1 to 200 characters"),
        ({"id": "a\0b"}, "/id", "id has a NUL character"),
        ({"id": 7}, "/id", "Expected `str | null`, got `int`"),
        ({"subject": "s" * 201}, "/subject", "subject must have 1 to 200 characters"),
        ({"subject": "\0"}, "/subject", "subject has a NUL character"),
        ({"time": 1893499200}, "/time", "Expected `datetime | null`, got `int`"),
        ({"time": "yesterday"}, "/time", "Invalid RFC3339 encoded datetime"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "/time", "time is outside the years 1 to 9999 in UTC"),
        ({"time": "9999-12-31T23:00:00-14:00"}, "/time", "time is outside the years 1 to 9999 in UTC"),
        ({"sauce": 1}, None, "Object contains unknown field `sauce`"),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_place(
    members: dict[str, object], pointer: str | None, reason: str
) -> None:
    with pytest.raises(Refused) as caught:
        of(**members)
    assert (caught.value.pointer, caught.value.detail) == (pointer, reason)


def test_a_time_without_an_offset_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        of(time="2030-01-01T12:00:00")
    assert caught.value.pointer == "/time"
    assert "timezone" in caught.value.detail


@pytest.mark.parametrize("text", [b"[]", b"null", b'"text"', b"5", b'{"source":"ci"}', b"{}"])
def test_json_that_is_no_event_is_refused(text: bytes) -> None:
    with pytest.raises(Refused):
        one(text)


@pytest.mark.parametrize("text", [b"", b" ", b"{", b"\xef\xbb\xbf{}", b"source=ci", b"{'source':'ci'}", b"\0"])
def test_what_is_no_json_is_told_apart(text: bytes) -> None:
    with pytest.raises(NotJson):
        one(text)


def test_nothing_is_echoed_at_length() -> None:
    with pytest.raises(Refused) as caught:
        one(b'{"%s": 1}' % (b"k" * 10_000))
    assert len(caught.value.detail) <= 200


def test_of_a_key_given_twice_the_last_wins() -> None:
    assert one(b'{"source":"a","action":"b","source":"c"}').source == "c"


def test_a_key_gives_ids_by_place_to_events_without_one() -> None:
    parser = Parser(key="k")
    found = parser.many(b'[{"source":"a","action":"b"},' + text_of() + b',{"source":"a","action":"b"}]', LIMIT)
    assert [event.id for event in found if isinstance(event, Event)] == ["k/0", "7", "k/2"]
    assert all(isinstance(event, Event) and event.identity for event in found)


def test_the_same_said_otherwise_is_the_same() -> None:
    plain = identity(data={"a": 1, "b": {"c": "A", "d": 100.0}}, time="2030-01-01T12:00:00Z")
    other = one(
        b' { "data" : {"b":{"d":1e2, "c":"\\u0041"},\n"a":1} , "time":"2030-01-01T14:00:00.000+02:00",'
        b'"id":"7","action":" build","source":"ci ", "seq": 9, "received_at":"2031-01-01T00:00:00Z"}'
    )
    assert other.identity == plain


@pytest.mark.parametrize(
    "members", [{"action": "b"}, {"subject": "s"}, {"data": 1}, {"data": [1.0]}, {"data": {}}]
)
def test_other_content_has_another_digest_under_the_same_key(members: dict[str, object]) -> None:
    assert identity(**members).key == identity().key
    assert identity(**members).content != identity().content
    assert identity(**members).untimed != identity().untimed


def test_the_time_is_content_only_where_the_client_sent_it() -> None:
    plain, timed = identity(), identity(time="2030-01-01T12:00:00Z")
    assert plain.content == plain.untimed == timed.untimed
    assert timed.content != timed.untimed


def test_source_and_id_make_the_key() -> None:
    assert len({identity().key, identity(source="cd").key, identity(id="8").key}) == 3
    assert identity().key == key_of("ci", "7")


def test_digests_are_those_of_every_release_before() -> None:
    found = identity(subject="api", time="2030-01-01T12:00:00Z", data={"b": [1, 2.5, "ä"], "a": None})
    digests = (found.key.hex(), found.content.hex(), found.untimed.hex())
    assert digests == (
        "5c0c1248778feea47218e319a0813a25",
        "8ac42af32d0bc323fced94d4b5a8aba0",
        "ea60488ea1803625f263897b8a8ed7be",
    )


@given(VALUES, st.booleans(), st.sampled_from([None, "2030-06-01T10:00:00.123456+02:00"]))
def test_any_value_comes_back_and_its_export_is_the_same_event(
    value: object, ascii_: bool, time: str | None
) -> None:
    sent = json.dumps(PLAIN | {"data": value, "time": time}, ensure_ascii=ascii_, allow_nan=False)
    event = one(sent.encode())
    assert json.dumps(json.loads(event.data or "null")) == json.dumps(value)
    assert event.identity is not None
    again = one(exported(event))
    assert again.data == event.data
    assert again.identity is not None
    assert again.identity.key == event.identity.key
    assert again.identity.untimed == event.identity.untimed
    if time is not None:
        assert again.identity == event.identity


@given(VALUES, st.integers(0, 4))
def test_white_space_and_order_never_make_another_event(value: object, indent: int) -> None:
    members: Mapping[str, object] = {"data": value} | PLAIN
    spelled = json.dumps(members, indent=indent, sort_keys=True, ensure_ascii=indent % 2 == 0)
    assert one(spelled.encode()).identity == identity(data=value)


@given(ODD_BYTES)
def test_any_bytes_raise_only_what_is_documented(text: bytes) -> None:
    for read in (lambda: Parser().one(text), lambda: Parser().many(text, 5)):
        with contextlib.suppress(Refused, NotJson, TooMany):
            read()


@given(st.lists(VALUES | st.just(5.5), max_size=5), st.sampled_from([None, 1]))
def test_cutting_an_array_by_hand_agrees_with_reading_it(values: list[object], indent: int | None) -> None:
    valid = json.dumps([PLAIN | {"data": value} for value in values], indent=indent, ensure_ascii=False).encode()
    assert [json.loads(item) for item in events._split(valid, LIMIT) if item.strip()] == json.loads(valid)
    # An item that only a lenient reader takes makes the parser cut.
    poisoned = valid.rstrip(b"]") + (b"," if values else b"") + b"NaN]"
    *kept, last = Parser().many(poisoned, LIMIT)
    assert kept == Parser().many(valid, LIMIT)
    assert isinstance(last, Refused)


@pytest.mark.parametrize(
    "text", [b"5", b'""', b"{}", b"[NaN}", b"{NaN]", b"[NaN", b"[NaN]]", b"[NaN,]", b"[,NaN]"]
)
def test_what_is_no_array_is_not_json(text: bytes) -> None:
    with pytest.raises(NotJson):
        Parser().many(text, LIMIT)


@pytest.mark.parametrize(
    "item", [b"1", b"{}", b'{"source":"a","action":"b"}', b"NaN", b'"', b""], ids=lambda item: item.decode()
)
def test_an_array_of_too_many_is_not_read_further(item: bytes) -> None:
    # Looked at one by one, a million items would take a minute.
    with pytest.raises((TooMany, NotJson)):
        Parser().many(b"[" + b",".join([item] * 1_000_000) + b"]", LIMIT)


def test_as_many_as_allowed_are_read() -> None:
    item = b'{"source":"a","action":"b","data":[1,2,3]}'
    assert len(Parser().many(b"[" + b",".join([item] * LIMIT) + b"]", LIMIT)) == LIMIT
    with pytest.raises(TooMany):
        Parser().many(b"[" + b",".join([item] * (LIMIT + 1)) + b"]", LIMIT)


def test_a_string_that_never_ends_is_looked_at_once() -> None:
    # Begun again at each of its quotes, this would take hours.
    with pytest.raises(NotJson):
        Parser().many(b'["' + b'\\"' * 1_000_000, LIMIT)


def test_made_ids_are_uuids_of_version_7_and_differ() -> None:
    made = {uuid7() for _ in range(10_000)}
    assert len(made) == 10_000
    assert {(UUID(id_).version, UUID(id_).variant, str(UUID(id_)) == id_) for id_ in made} == {(7, RFC_4122, True)}


def test_made_ids_sort_by_the_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    def made_at(millisecond: int) -> str:
        monkeypatch.setattr(clock, "time_ns", lambda: millisecond * 10**6 + 999_999)
        return uuid7()

    start = int(NOON.timestamp() * 1000)
    made = [made_at(start + step) for step in (0, 1, 2, 255, 256, 65_536, 10**9)]
    assert made == sorted(made)
    assert UUID(made[0]).int >> 80 == start
