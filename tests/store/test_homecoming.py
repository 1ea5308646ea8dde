"""Coming home: an event that the log gave its id is known when it is sent again, as an export shows it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from app.events import Event, given_at, uuid7
from app.query import Filter, PageQuery
from app.store import Kept, Stored
from app.store.homecoming import returning
from tests.store.bases import AnyStore
from tests.store.make import event, sent_again

MANY = 120  # above what PostgreSQL gets row by row


async def log(store: AnyStore) -> list[Stored]:
    pages = store.reader.scan(PageQuery(filter=Filter(), order="asc", limit=None))
    return [one async for page in pages for one in page.events]


def exported(events: Sequence[Stored], **but: object) -> list[Event]:
    return [sent_again(one, **but) for one in events]


def states(results: Sequence[Kept]) -> set[str]:
    return {kept.state for kept in results}


def sent(count: int) -> list[Event]:
    shapes: list[dict[str, Any]] = [
        {"data": {"n": 1e22, "text": "a\n"}},
        {"subject": "s"},
        {"time": "2020-01-01T00:00:00+02:00"},
    ]
    return [event(**shapes[n % 3]) for n in range(count)]


@pytest.mark.parametrize("count", [1, 3, MANY])
@pytest.mark.parametrize("strict", [False, True])
async def test_what_comes_home_is_there_already(store: AnyStore, count: int, strict: bool) -> None:
    first = await store.keep(sent(count), False)
    stored = await log(store)
    again = await store.keep(exported(stored), strict)
    assert states(again) == {"duplicate"}
    assert [kept.seq for kept in again] == [kept.seq for kept in first]
    assert await log(store) == stored


async def test_it_comes_among_others(store: AnyStore) -> None:
    await store.keep(sent(2), False)
    home = exported(await log(store))
    others = [event("other"), *sent(2)]
    results = await store.keep([others[0], home[0], others[1], home[1], others[2]], False)
    assert [kept.state for kept in results] == ["new", "duplicate", "new", "duplicate", "new"]
    assert len({kept.seq for kept in results}) == 5


async def test_with_other_content_it_is_a_conflict(store: AnyStore) -> None:
    await store.keep(sent(2), False)
    one, other = await log(store)
    forged = exported([one], data="other")
    assert states(await store.keep(forged, False)) == {"conflict"}
    results = await store.keep([*forged, *exported([other]), *sent(1)], True)
    assert [kept.state for kept in results] == ["conflict", "duplicate", "skipped"]
    assert len(await log(store)) == 2


async def test_elsewhere_it_is_new_and_then_known_by_its_id(store: AnyStore) -> None:
    strangers = [event(uuid7(), time="2026-01-01T00:00:00Z")]
    assert states(await store.keep(strangers, False)) == {"new"}
    assert states(await store.keep(strangers, False)) == {"duplicate"}


async def test_a_moment_at_the_end_of_time_harms_nobody(store: AnyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for millisecond in (0, 2**48 - 1):
        monkeypatch.setattr("app.events.clock.time_ns", lambda found=millisecond: found * 10**6)
        assert states(await store.keep([event(uuid7(), time="2026-01-01T00:00:00Z")], False)) == {"new"}


def test_an_id_tells_when_it_was_given_here_and_others_do_not() -> None:
    now = datetime.now(UTC).timestamp() * 1000
    assert abs((given_at(uuid7()) or 0) - now) < 60_000
    made = uuid7()
    foreign = f"{made[:15]}{(int(made[15:18], 16) ^ 1):03x}{made[18:]}"
    assert [given_at(one) for one in (foreign, str(uuid4()), "", made.upper(), f"{made}0")] == [None] * 5
    assert returning(sent(3)) is None
    assert returning([event(foreign, time="2026-01-01T00:00:00Z")]) is None
