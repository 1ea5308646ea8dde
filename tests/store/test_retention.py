"""Retention: days go as a whole, never early, and room is made for those to come."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.errors import Unavailable
from app.query import Filter, PageQuery
from app.store import sqlite
from app.store.postgres import PostgresStore
from app.store.sqlite import SqliteStore
from tests.store.bases import DAY, AnyStore, Base, PostgresBase, SqliteBase
from tests.store.make import event

PARTITIONS = """SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid
WHERE inhparent = 'events'::regclass ORDER BY relname"""


@pytest.fixture
async def log(new_base: Base) -> AsyncIterator[AnyStore]:
    """A store on `new_base`."""
    store = new_base.open()
    yield store
    await store.close()


async def ids(store: AnyStore) -> list[str]:
    page = await store.reader.page(PageQuery(filter=Filter(), order="asc", limit=1000))
    return [one.id for one in page.events]


async def test_old_days_go_and_the_edge_stays(new_base: Base, log: AnyStore) -> None:
    today = await new_base.today()
    numbers = {
        "long ago": (today - 40) * DAY,
        "the last of its day": (today - 3) * DAY - 1,
        "the first of the edge": (today - 3) * DAY,
        "the last of the edge": (today - 2) * DAY - 1,
    }
    for id_, seq in numbers.items():
        await new_base.put(seq, id_)
    await log.keep([event("now")], strict=False)
    upkeep = await log.maintain(retention_days=3)
    assert await ids(log) == ["the first of the edge", "the last of the edge", "now"]
    assert upkeep.dropped_through == numbers["the last of its day"]
    assert await new_base.rows("SELECT purged_through FROM log_state") == [(upkeep.dropped_through,)]


async def test_identities_go_with_their_events(new_base: Base, log: AnyStore) -> None:
    today = await new_base.today()
    await new_base.put((today - 9) * DAY, "old")
    await new_base.put((today - 2) * DAY, "young")
    await log.keep([event("now")], strict=False)
    await log.maintain(retention_days=3)
    left = await new_base.rows("SELECT seq FROM event_ids ORDER BY seq")
    assert left == await new_base.rows("SELECT seq FROM events ORDER BY seq")
    assert len(left) == 2


async def test_retention_of_zero_days_keeps_all(new_base: Base, log: AnyStore) -> None:
    await new_base.put(DAY, "ancient")
    upkeep = await log.maintain(retention_days=0)
    assert upkeep.dropped_through == 0
    assert await ids(log) == ["ancient"]


async def test_a_second_turn_finds_nothing_to_do(new_base: Base, log: AnyStore) -> None:
    await new_base.put(DAY, "ancient")
    first = await log.maintain(retention_days=3)
    assert first.dropped_through == DAY
    assert await log.maintain(retention_days=3) == first


async def test_what_was_dropped_is_new_when_it_is_sent_again(sqlite_base: SqliteBase) -> None:
    store = sqlite_base.open()
    await store.keep([event("1")], strict=False)
    sqlite_base.clock.at = datetime.now(UTC) + timedelta(days=10)
    await store.maintain(retention_days=3)
    assert [kept.state for kept in await store.keep([event("1")], strict=False)] == ["new"]
    await store.close()


@pytest.mark.parametrize("days", [1, 3])
async def test_no_event_goes_before_its_time(sqlite_base: SqliteBase, days: int) -> None:
    midnight = datetime(2026, 3, 4, tzinfo=UTC)
    sqlite_base.clock.at = midnight - timedelta(microseconds=1)
    store = sqlite_base.open()
    await store.keep([event("the day's last")], strict=False)
    for late in (timedelta(0), timedelta(days=days) - timedelta(microseconds=1)):
        sqlite_base.clock.at = midnight + late
        await store.maintain(retention_days=days)
        assert await ids(store) == ["the day's last"]
    sqlite_base.clock.at = midnight + timedelta(days=days)
    await store.maintain(retention_days=days)
    assert await ids(store) == []
    await store.close()


async def test_sqlite_deletes_in_steps_and_keeps_between_them(
    sqlite_base: SqliteBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: SqliteStore = sqlite_base.open()
    steps = []
    purge = sqlite._purge

    def counted(*given: object) -> bool:
        steps.append(given)
        return purge(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite, "PURGE_STEP", 10)
    monkeypatch.setattr(sqlite, "_purge", counted)
    for n in range(35):
        await sqlite_base.put(DAY + n, f"{n}")
    upkeep, kept = await asyncio.gather(store.maintain(3), store.keep([event("between")], strict=False))
    assert (len(steps), upkeep.dropped_through) == (4, DAY + 34)
    assert [one.state for one in kept] == ["new"]
    assert await ids(store) == ["between"]
    await store.close()


async def test_seven_days_are_made_ahead(postgres_base: PostgresBase, postgres: PostgresStore) -> None:
    for (name,) in await postgres_base.rows(PARTITIONS):
        await postgres_base.rows(f"DROP TABLE {name}")
    assert (await postgres.maintain(retention_days=3)).days_ahead == 7
    today = (await postgres_base.rows("SELECT (now() AT TIME ZONE 'UTC')::date"))[0][0]
    days = [f"events_{today + timedelta(days=n):%Y%m%d}" for n in range(8)]
    assert await postgres_base.rows(PARTITIONS) == [(day,) for day in days]


async def test_days_ahead_are_counted_up_to_the_first_gap(
    postgres_base: PostgresBase, postgres: PostgresStore
) -> None:
    names = [name for (name,) in await postgres_base.rows(PARTITIONS)]
    await postgres_base.rows(f"DROP TABLE {names[4]}")
    assert await postgres_base.rows("SELECT collector_add_days(0)") == [(3,)]


@pytest.mark.parametrize("count", [1, 150])
async def test_a_day_that_is_missing_is_made_by_the_first_event(
    postgres_base: PostgresBase, postgres: PostgresStore, count: int
) -> None:
    for (name,) in await postgres_base.rows(PARTITIONS):
        await postgres_base.rows(f"DROP TABLE {name}")
    results = await postgres.keep([event(f"{n}") for n in range(count)], strict=False)
    assert {kept.state for kept in results} == {"new"}
    assert len(await ids(postgres)) == count


async def test_a_clock_that_went_back_finds_room(postgres_base: PostgresBase, postgres: PostgresStore) -> None:
    ahead = (await postgres_base.today() + 40) * DAY - 2
    await postgres_base.rows("SELECT setval('event_seq', $1)", ahead)
    seqs = [(await postgres.keep([event()], strict=False))[0].seq for _ in range(4)]
    # The attempt that found no room has used up a number.
    assert seqs == [ahead + 2, ahead + 3, ahead + 4, ahead + 5]


async def test_a_drop_gives_up_behind_a_long_reader_and_succeeds_later(
    postgres_base: PostgresBase, postgres: PostgresStore
) -> None:
    await postgres_base.put(DAY, "ancient")
    reader = await asyncpg.connect(postgres_base.url)
    reading = reader.transaction()
    await reading.start()
    await reader.fetch("SELECT * FROM events")
    begin = time.monotonic()
    with pytest.raises(Unavailable):
        await postgres.maintain(retention_days=3)
    assert time.monotonic() - begin < 1.5
    assert await postgres_base.rows("SELECT purged_through FROM log_state") == [(0,)]
    assert await ids(postgres) == ["ancient"]
    await reading.rollback()
    await reader.close()
    assert (await postgres.maintain(retention_days=3)).dropped_through == DAY
    assert await ids(postgres) == []


async def test_replicas_may_keep_house_at_once(postgres_base: PostgresBase, postgres: PostgresStore) -> None:
    for n in range(3):
        await postgres_base.put((n + 1) * DAY, f"{n}")
    found = await asyncio.gather(*(postgres.maintain(3) for _ in range(4)))
    assert {upkeep.dropped_through for upkeep in found} == {3 * DAY}
    assert await ids(postgres) == []
