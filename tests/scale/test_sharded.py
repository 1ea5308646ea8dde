"""Sources over two PostgreSQL servers: what of the promises holds, and what does not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.errors import Unavailable
from app.events import Event
from app.query import Filter, PageQuery, StatsQuery
from app.store import Kept
from app.store.keep import ORDER_LOCK
from tests.databases import create_database, database_name, execute, migrate
from tests.scale.sharded import SeveralServers, Sharded
from tests.servers import PostgresServer
from tests.store.bases import postgres_store
from tests.store.make import event

SERVERS = 2
ASCENDING = PageQuery(filter=Filter(), order="asc", limit=1000)
# A second writer's commit, as far as it has got when it has its number: under the lock, and not yet visible.
HALF_COMMITTED = f"""
SELECT pg_advisory_xact_lock({ORDER_LOCK});
INSERT INTO events (seq, received_at, time, source, action, id)
SELECT setval('event_seq', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint), now(), now(), '%s', 'a', '1'
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[list[tuple[PostgresServer, str]]]:
    """Servers of their own, each with the name of a database that has the schema."""
    with ExitStack() as stack:
        started = [stack.enter_context(PostgresServer()) for _ in range(SERVERS)]
        templates = [asyncio.run(create_database(server.url())) for server in started]
        for url in templates:
            migrate(url)
        yield [(server, database_name(url)) for server, url in zip(started, templates, strict=True)]


@pytest.fixture
async def urls(servers: list[tuple[PostgresServer, str]]) -> list[str]:
    """A fresh database on each."""
    return [await create_database(server.url(), template=name) for server, name in servers]


@pytest.fixture
async def sharded(urls: list[str]) -> AsyncIterator[Sharded]:
    found = Sharded([postgres_store(url) for url in urls])
    yield found
    await found.close()


def sources_on(sharded: Sharded) -> tuple[str, str]:
    """A source on each server."""
    names = [f"web-{number}" for number in range(100)]
    first, second = (next(name for name in names if sharded.place(name) == place) for place in range(SERVERS))
    return first, second


def states(kept: list[Kept]) -> list[str]:
    return [one.state for one in kept]


async def test_a_receipt_is_of_all_servers_in_order(sharded: Sharded) -> None:
    one, other = sources_on(sharded)
    events = [event(str(n), source=source) for n in range(3) for source in (one, other)]
    assert states(await sharded.keep(events, strict=False)) == ["new"] * 6
    assert states(await sharded.keep([events[1], event("new", source=one), events[0]], strict=False)) == [
        "duplicate", "new", "duplicate",
    ]  # fmt: skip
    changed = event("0", source=other, subject="changed")
    assert states(await sharded.keep([changed], strict=False)) == ["conflict"]


async def test_counts_add_up_and_sources_are_told_once(sharded: Sharded) -> None:
    one, other = sources_on(sharded)
    events = [event(source=source, action=action) for source in (one, other) for action in ("a", "a", "b")]
    await sharded.keep(events, strict=False)
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    query = StatsQuery(filter=Filter(), by=("action",), since=now - hour, until=now + hour, step=2 * hour)
    counts = await sharded.counts(query)
    assert [(count.labels, count.events) for count in counts] == [(("a",), 4), (("b",), 2)]
    assert [(found.source, found.events) for found in await sharded.sources()] == [
        (s, 3) for s in sorted((one, other))
    ]


async def test_a_strict_batch_is_for_one_server(sharded: Sharded) -> None:
    one, other = sources_on(sharded)
    with pytest.raises(SeveralServers):
        await sharded.keep([event("1", source=one), event("1", source=other)], strict=True)
    assert await sharded.page(ASCENDING) == []
    assert states(await sharded.keep([event("1", source=one), event("2", source=one)], strict=True)) == ["new"] * 2


async def test_where_one_server_is_away_the_answer_is_unknown_and_others_have_committed(
    sharded: Sharded, servers: list[tuple[PostgresServer, str]]
) -> None:
    one, other = sources_on(sharded)
    servers[1][0].stop()
    try:
        with pytest.raises(Unavailable) as raised:
            await sharded.keep([event("1", source=one), event("1", source=other)], strict=False)
        assert raised.value.outcome == "unknown"
        assert states(await sharded.keep([event("1", source=one)], strict=False)) == ["duplicate"]
    finally:
        servers[1][0].start()
    again = await once_back(sharded, [event("1", source=one), event("1", source=other)])
    assert states(again) == ["duplicate", "new"]


async def once_back(sharded: Sharded, events: list[Event]) -> list[Kept]:
    """What becomes of them once every server can be reached; for a moment after a failure none is asked."""
    async with asyncio.timeout(60):
        while True:
            with suppress(Unavailable):
                return await sharded.keep(events, strict=False)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def half_committed(url: str, source: str) -> AsyncIterator[None]:
    """While this is open another writer has a number on this server, and commits at its end."""
    async with AsyncExitStack() as stack:
        connection = await asyncpg.connect(url)
        stack.push_async_callback(connection.close)
        async with connection.transaction():
            await connection.execute(HALF_COMMITTED % source)
            yield


async def test_one_position_for_all_misses_what_another_server_commits_late(
    sharded: Sharded, urls: list[str]
) -> None:
    one, other = sources_on(sharded)
    async with half_committed(urls[0], one):
        (kept,) = await sharded.keep([event("1", source=other)], strict=False)
        assert [found.seq for found in await sharded.page(ASCENDING)] == [kept.seq]
    followed = PageQuery(filter=Filter(), order="asc", cursor=kept.seq, limit=1000)
    assert await sharded.page(followed) == [], "the event that came late has a lower number"
    late, seen = await sharded.page(ASCENDING)
    assert (late.source, late.seq < seen.seq) == (one, True), "and who reads anew finds it before the other one"


async def test_a_position_for_each_misses_nothing_and_shows_another_order(
    sharded: Sharded, urls: list[str]
) -> None:
    one, other = sources_on(sharded)
    async with half_committed(urls[0], one):
        (kept,) = await sharded.keep([event("1", source=other)], strict=False)
        first, positions = await sharded.after((0, 0), Filter(), 1000)
    second, _ = await sharded.after(positions, Filter(), 1000)
    assert [found.source for found in (*first, *second)] == [other, one]
    assert second[0].seq < first[0].seq == kept.seq, "numbers no longer say what was committed first"


async def test_a_number_is_of_one_server_alone(sharded: Sharded, urls: list[str]) -> None:
    one, other = sources_on(sharded)
    ahead = int((datetime.now(UTC) + timedelta(hours=1)).timestamp() * 1_000_000)
    for url in urls:  # two clocks that agree, and a moment later than now
        await execute(url, f"SELECT setval('event_seq', {ahead})")
    kept = await sharded.keep([event("1", source=one), event("1", source=other)], strict=False)
    assert kept[0].seq == kept[1].seq
    assert len(await sharded.events(kept[0].seq)) == 2


async def test_another_number_of_servers_forgets_identities(sharded: Sharded, urls: list[str]) -> None:
    sent = [event("1", source=f"web-{number}") for number in range(20)]
    await sharded.keep(sent, strict=False)
    fewer = Sharded([postgres_store(urls[0])])
    again = states(await fewer.keep(sent, strict=False))
    await fewer.close()
    moved = sum(sharded.place(one.source) != 0 for one in sent)
    assert (again.count("new"), again.count("duplicate")) == (moved, len(sent) - moved)
    assert moved
