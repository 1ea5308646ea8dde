"""Order: a reader that follows a cursor sees all that is committed, in order, whoever else commits meanwhile."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from app.query import Filter, PageQuery
from app.store.keep import ORDER_LOCK
from app.store.postgres import PostgresStore
from tests.store.bases import PostgresBase, postgres_store
from tests.store.make import event

WRITERS = 4
SECONDS = 1.5  # of writing
DEADLINE = 20.0  # seconds
SIZES = (1, 1, 150, 1, 30)  # events a group: by unnest, and by COPY
Follow = Callable[[int], Awaitable[list[int]]]  # from a position: the numbers of the next page


@pytest.fixture
async def writers(postgres_url: str) -> AsyncIterator[list[PostgresStore]]:
    """Stores with connections of their own, as replicas have."""
    stores = [postgres_store(postgres_url) for _ in range(WRITERS)]
    yield stores
    for store in stores:
        await store.close()


async def followed(follow: Follow, work: Awaitable[list[list[int]]]) -> tuple[list[int], list[int]]:
    """What a reader saw who followed while the writers worked, and what they were told was committed."""
    writing = asyncio.ensure_future(work)
    seen: list[int] = []
    ended = False
    while not ended:
        ended = writing.done()  # asked before the page is read: the last one is then complete
        seen += await follow(seen[-1] if seen else 0)
    return seen, sorted(seq for one in await writing for seq in one)


async def written(store: PostgresStore, name: str) -> list[int]:
    until = time.monotonic() + SECONDS
    seqs: list[int] = []
    turn = 0
    while time.monotonic() < until:
        turn += 1
        group = [event(f"{name}/{turn}/{n}") for n in range(SIZES[turn % len(SIZES)])]
        seqs += [kept.seq for kept in await store.keep(group, strict=False)]
    return seqs


async def test_a_reader_that_follows_misses_nothing(writers: list[PostgresStore], postgres_url: str) -> None:
    tail = postgres_store(postgres_url)

    async def follow(cursor: int) -> list[int]:
        query = PageQuery(filter=Filter(), order="asc", cursor=cursor, limit=1000)
        page = await tail.reader.page(query)
        while not page.last:
            more = await tail.reader.page(PageQuery(filter=Filter(), order="asc", cursor=page.next, limit=1000))
            page = type(page)([*page.events, *more.events], more.next, more.last)
        return [one.seq for one in page.events]

    work = asyncio.gather(*(written(store, f"w{n}") for n, store in enumerate(writers)))
    seen, committed = await followed(follow, work)
    await tail.close()
    assert seen == committed
    assert len(committed) > 1000


async def written_plainly(url: str) -> list[int]:
    """What a collector without a lock would do: a number, some work, a commit."""
    connection = await asyncpg.connect(url)
    chance = random.Random()
    seqs = []
    try:
        for _ in range(50):
            async with connection.transaction():
                seqs.append(await connection.fetchval("INSERT INTO plain DEFAULT VALUES RETURNING seq"))
                await connection.execute("SELECT pg_sleep($1)", chance.random() / 100)
    finally:
        await connection.close()
    return seqs


async def test_the_same_reader_misses_events_of_a_plain_sequence(postgres_base: PostgresBase) -> None:
    await postgres_base.rows("CREATE TABLE plain (seq bigserial PRIMARY KEY)")
    tail = await asyncpg.connect(postgres_base.url)

    async def follow(cursor: int) -> list[int]:
        rows = await tail.fetch("SELECT seq FROM plain WHERE seq > $1 ORDER BY seq", cursor)
        return [row["seq"] for row in rows]

    work = asyncio.gather(*(written_plainly(postgres_base.url) for _ in range(WRITERS)))
    seen, committed = await followed(follow, work)
    await tail.close()
    assert len(committed) == 200
    assert set(seen) < set(committed)


async def wait_for_lock(connection: asyncpg.Connection, waiting: int) -> None:
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted"
    async with asyncio.timeout(DEADLINE):
        while await connection.fetchval(query, ORDER_LOCK) < waiting:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("others", [0, 150])
async def test_of_two_replicas_with_one_new_event_one_keeps_it(
    writers: list[PostgresStore], postgres_url: str, others: int
) -> None:
    gate = await asyncpg.connect(postgres_url)
    for race in range(10):
        await gate.execute("SELECT pg_advisory_lock($1)", ORDER_LOCK)
        # Both statements have their snapshots before either has the lock: neither sees the other's event.
        racing = [
            asyncio.ensure_future(
                store.keep([event(f"{race}"), *(event() for _ in range(others)), event(f"{race}b")], strict=False)
            )
            for store in writers[:2]
        ]
        await wait_for_lock(gate, 2)
        await gate.execute("SELECT pg_advisory_unlock($1)", ORDER_LOCK)
        one, two = await asyncio.gather(*racing)
        for place in (0, -1):
            assert sorted([one[place].state, two[place].state]) == ["duplicate", "new"]
            assert one[place].seq == two[place].seq
        assert {kept.state for kept in (*one[1:-1], *two[1:-1])} <= {"new"}
    await gate.close()


async def test_of_two_replicas_with_other_content_one_is_told_of_the_conflict(
    writers: list[PostgresStore], postgres_url: str
) -> None:
    gate = await asyncpg.connect(postgres_url)
    await gate.execute("SELECT pg_advisory_lock($1)", ORDER_LOCK)
    racing = [
        asyncio.ensure_future(store.keep([event("1", data=n), event(f"other {n}")], strict=True))
        for n, store in enumerate(writers[:2])
    ]
    await wait_for_lock(gate, 2)
    await gate.close()
    results = await asyncio.gather(*racing)
    assert sorted([kept.state for kept in result] for result in results) == [
        ["conflict", "skipped"],
        ["new", "new"],
    ]


async def test_replicas_that_race_freely_keep_every_event_once(
    writers: list[PostgresStore], postgres_base: PostgresBase
) -> None:
    chance = random.Random(1)
    for race in range(40):
        ids = [f"{race}/{n}" for n in range(chance.choice((1, 3, 120)))]
        groups = [chance.sample(ids, len(ids)) for _ in writers]
        results = await asyncio.gather(
            *(
                store.keep([event(id_) for id_ in group], strict=False)
                for store, group in zip(writers, groups, strict=True)
            )
        )
        states = [kept.state for result in results for kept in result]
        assert (states.count("new"), states.count("duplicate")) == (len(ids), len(ids) * (WRITERS - 1))
    assert await postgres_base.rows("SELECT count(*) - count(DISTINCT id) FROM events") == [(0,)]
