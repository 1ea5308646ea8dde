"""The rollup: `sources` says what a plain GROUP BY of the log says, whatever was summed up, dropped, cut short."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app import worker
from app.errors import Unavailable
from app.events import Event
from app.store import SourceSummary, postgres, rollup, sqlite
from app.store.postgres import PostgresStore
from app.store.sqlite import SqliteStore
from app.store.tables import events, source_rollup
from tests.store.bases import DAY, AnyStore, Base, PostgresBase, SqliteBase, postgres_store, reader_of
from tests.store.make import event
from tests.store.model import T0

STEP = 7  # rows
DAYS = 9  # before today
WRITERS = 3
ROUNDS = 60  # groups a writer
DEADLINE = 20.0  # seconds
ROLLED = "SELECT rolled_through FROM log_state"

PLAIN = (
    select(events.c.source, func.min(events.c.time), func.max(events.c.time), func.count())
    .group_by(events.c.source)
    .order_by(events.c.source)
)


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (postgres, sqlite):
        monkeypatch.setattr(module, "ROLL_STEP", STEP)
    monkeypatch.setattr(sqlite, "PURGE_STEP", 3)


@pytest.fixture
async def log(new_base: Base) -> AsyncIterator[AnyStore]:
    """A store on `new_base`."""
    store = new_base.open()
    yield store
    await store.close()


async def plain(store: AnyStore) -> list[SourceSummary]:
    async with reader_of(store)._engine.connect() as connection:
        return [SourceSummary(*row) for row in await connection.execute(PLAIN)]


async def exact(store: AnyStore) -> list[SourceSummary]:
    found = await store.reader.sources()
    assert found == await plain(store)
    return found


async def rolled(store: AnyStore) -> None:
    """Sum up all there is."""
    while await store.roll_up():
        pass


def some(chance: random.Random, count: int) -> list[Event]:
    """Events of a few sources, some of them of long ago, some of the far future."""
    moments = (T0 + timedelta(days=chance.randrange(-20_000, 20_000)) for _ in range(count))
    return [
        event(source=f"s{chance.randrange(6)}", time=moment.isoformat()) if chance.random() < 0.5 else event()
        for moment in moments
    ]


async def old_days(base: Base, chance: random.Random) -> None:
    """A few events of `old` and of other sources on every day there was, in the order of the log."""
    today = await base.today()
    for day in range(today - DAYS, today):
        for seq in sorted(chance.sample(range(DAY), 4)):
            await base.put(day * DAY + seq, f"{day}/{seq}")


@pytest.mark.parametrize("seed", range(3))
async def test_it_is_exact_after_any_steps_in_any_order(new_base: Base, log: AnyStore, seed: int) -> None:
    chance = random.Random(seed)
    await old_days(new_base, chance)
    keep_days = DAYS + 1
    for _ in range(40):
        turn = chance.randrange(5)
        if turn <= 1:
            await log.keep(some(chance, chance.choice((1, 5, 30))), strict=False)
        elif turn <= 3:
            await log.roll_up()
        elif keep_days > 1:
            keep_days -= 1
            await log.maintain(keep_days)
        await exact(log)
    await rolled(log)
    await log.maintain(1)
    left = await exact(log)
    assert await new_base.rows("SELECT sum(events) FROM source_rollup") == [(sum(one.events for one in left),)]


async def test_what_was_summed_up_is_not_read_again(new_base: Base, log: AnyStore) -> None:
    await log.keep(some(random.Random(1), 50), strict=False)
    before = await log.reader.sources()
    assert await log.roll_up()
    await rolled(log)
    await new_base.rows("DELETE FROM events")
    assert await log.reader.sources() == before


async def test_there_may_be_many_sources(log: AnyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (postgres, sqlite):
        monkeypatch.setattr(module, "ROLL_STEP", 1500)
    for turn in range(2):
        await log.keep([event(f"{turn}/{n}", source=f"source {n}") for n in range(2000)], strict=False)
    await log.roll_up()
    assert len(await exact(log)) == 2000
    await rolled(log)
    assert {one.events for one in await exact(log)} == {2}


async def test_a_step_that_has_nothing_to_do_says_so(new_base: Base, log: AnyStore) -> None:
    assert not await log.roll_up()
    await log.keep([event() for _ in range(STEP)], strict=False)
    assert await log.roll_up()
    assert not await log.roll_up()
    assert await new_base.rows(ROLLED) == [(await log.reader.head(),)]


@pytest.mark.parametrize("steps", [0, 1, 2, 9])
async def test_it_is_exact_between_the_steps_of_a_deletion(sqlite_base: SqliteBase, steps: int) -> None:
    store: SqliteStore = sqlite_base.open()
    await old_days(sqlite_base, random.Random(2))
    await store.keep(some(random.Random(3), 20), strict=False)
    for _ in range(steps):
        await store.roll_up()
    # Across the edge that the sums have reached, and within a day.
    edge = (await sqlite_base.today() - 2) * DAY
    while await store._do(lambda connection: sqlite._purge(connection, edge)):
        await exact(store)
        await store.roll_up()
        await exact(store)
    await rolled(store)
    assert [one.events for one in await exact(store) if one.source == "old"] == [8]
    await store.close()


async def test_a_clock_that_was_ahead_for_a_while_costs_nothing(sqlite_base: SqliteBase) -> None:
    store: SqliteStore = sqlite_base.open()
    await store.keep(some(random.Random(4), 20), strict=False)
    await rolled(store)
    ahead = (await sqlite_base.today() + 5) * DAY
    await store._do(lambda connection: sqlite._purge(connection, ahead))
    for _ in range(3):
        await store.keep(some(random.Random(5), 20), strict=False)
        await rolled(store)
        await exact(store)
    await store.close()


async def test_a_step_that_is_cut_short_leaves_nothing_behind(sqlite_base: SqliteBase) -> None:
    store: SqliteStore = sqlite_base.open()
    await store.keep(some(random.Random(6), 20), strict=False)
    await store.roll_up()
    (before,) = await sqlite_base.rows(ROLLED)
    await sqlite_base.rows(
        "CREATE TRIGGER cut BEFORE UPDATE OF rolled_through ON log_state BEGIN SELECT RAISE(ABORT, 'cut'); END"
    )
    with pytest.raises(Exception, match="cut"):
        await store.roll_up()
    assert await sqlite_base.rows(ROLLED) == [before]
    await exact(store)
    await sqlite_base.rows("DROP TRIGGER cut")
    await rolled(store)
    await exact(store)
    await store.close()


async def test_a_step_that_dies_before_its_commit_held_back_nobody(postgres_base: PostgresBase) -> None:
    store = postgres_store(postgres_base.url)
    await store.keep(some(random.Random(7), 20), strict=False)
    await store.roll_up()
    dying = await asyncpg.connect(postgres_base.url)
    await dying.execute("BEGIN")
    assert await dying.fetchval("SELECT collector_roll_up(5)") == 5
    assert not await store.roll_up()  # another is at it
    assert [one.state for one in await store.keep([event()], strict=False)] == ["new"]
    await exact(store)
    dying.terminate()
    await until_rolled(store, postgres_base)
    await exact(store)
    await store.close()


async def until_rolled(store: AnyStore, base: Base) -> None:
    async with asyncio.timeout(DEADLINE):
        while await base.rows(ROLLED) != [(await store.reader.head(),)]:
            await store.roll_up()


async def test_retention_and_a_step_do_not_meet(postgres_base: PostgresBase) -> None:
    store = postgres_store(postgres_base.url)
    await old_days(postgres_base, random.Random(8))
    step = await asyncpg.connect(postgres_base.url)
    await step.execute("BEGIN; SELECT collector_roll_up(20)")
    with pytest.raises(Unavailable):
        await store.maintain(retention_days=3)
    await exact(store)
    await step.execute("COMMIT")
    await step.close()
    await exact(store)
    await store.maintain(retention_days=3)
    assert [one.events for one in await exact(store)] == [12]
    await rolled(store)
    await exact(store)
    assert await postgres_base.rows("SELECT sum(events) FROM source_rollup") == [(12,)]
    await store.close()


async def written(store: PostgresStore, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        await store.keep(some(chance, chance.choice((1, 20, 120))), strict=False)


async def compared(connection: AsyncConnection) -> tuple[int, int]:
    """Both answers of one snapshot, which must be the same; how many events were summed up, and how many not."""
    async with connection.begin():
        found, wanted = [
            [SourceSummary(*row) for row in await connection.execute(statement)]
            for statement in (rollup.summaries("postgresql"), PLAIN)
        ]
        sums = await connection.scalar(select(func.coalesce(func.sum(source_rollup.c.events), 0)))
    assert found == wanted
    return int(sums or 0), sum(one.events for one in wanted) - int(sums or 0)


async def test_it_is_exact_while_others_write_and_sum_up(
    postgres_base: PostgresBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "ROLL_STEP", 150)
    stores = [postgres_store(postgres_base.url) for _ in range(WRITERS)]
    url = postgres_base.url.replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url, isolation_level="REPEATABLE READ")
    writing = asyncio.gather(*(written(store, n) for n, store in enumerate(stores)))
    rolling = [asyncio.create_task(rolled_until(writing, store)) for store in stores[:2]]
    seen: list[tuple[int, int]] = []
    async with engine.connect() as connection:
        while not writing.done():
            seen.append(await compared(connection))
        await asyncio.gather(writing, *rolling)
        sums, rest = await compared(connection)
    assert rest == 0
    assert sums == (await postgres_base.rows("SELECT count(*) FROM events"))[0][0]
    assert any(one and other for one, other in seen), seen
    await engine.dispose()
    for store in stores:
        await store.close()


async def rolled_until(writing: "asyncio.Future[Any]", store: AnyStore) -> None:
    ended = False
    while not ended:
        ended = writing.done()
        await rolled(store)


async def test_the_loop_sums_up_by_itself(new_base: Base, log: AnyStore) -> None:
    await log.keep(some(random.Random(9), 5 * STEP), strict=False)
    loop = asyncio.create_task(worker.roll_up(log, lambda: None))
    async with asyncio.timeout(DEADLINE):
        while await new_base.rows(ROLLED) != [(await log.reader.head(),)]:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
    loop.cancel()
    await exact(log)
