"""Faults: every call answers or says Unavailable in time, tells what became of a write, and heals by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from urllib.parse import urlsplit

import asyncpg
import pytest

from app.errors import Outcome, Unavailable
from app.query import Filter, PageQuery
from app.store.postgres import PostgresStore
from tests.databases import create_database, database_name, drop_database
from tests.proxy import Mode, Proxy
from tests.store.bases import PostgresBase, postgres_store
from tests.store.conftest import Server
from tests.store.make import event, sent_again

PROMISE = 5.0  # seconds in which every call answers
HEALED = 1.0  # seconds in which every call works again
LOCKED = 2.5  # seconds in which a locked table is reported
DEADLINE = 10.0  # seconds
MODES: tuple[Mode, ...] = ("refuse", "reset", "stall", "stall-replies", "drop-replies")
ALL = PageQuery(filter=Filter(), order="asc", limit=1000)
WRITERS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'collector writer' AND datname = current_database()"
)

STUCK = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN ({WRITERS})"


@pytest.fixture
async def postgres_url(newest: Server) -> AsyncIterator[str]:
    """A database of the newest alone: what is tried here is our side of the wire, and mostly waits."""
    url = await create_database(newest.url, template=database_name(newest.template))
    yield url
    await drop_database(newest.url, url)


@pytest.fixture
async def proxy(postgres_url: str) -> AsyncIterator[Proxy]:
    parts = urlsplit(postgres_url)
    async with Proxy(parts.hostname or "", parts.port or 0) as proxy:
        yield proxy


@pytest.fixture
async def far(proxy: Proxy, postgres_url: str) -> AsyncIterator[PostgresStore]:
    """A store behind the proxy whose connections are open."""
    store = postgres_store(proxy.url_through(postgres_url))
    await works(store, "warm")
    yield store
    await store.close()


async def works(store: PostgresStore, id_: str) -> None:
    """Every call that a request or a probe makes."""
    await asyncio.gather(
        store.keep([event(id_)], strict=False),
        store.reader.page(ALL),
        store.reader.head(),
        store.check(writing=True),
    )


async def outcome(call: Awaitable[object]) -> Unavailable | object:
    """The answer or the problem, in time."""
    begin = time.monotonic()
    try:
        return await call
    except Unavailable as problem:
        return problem
    finally:
        assert time.monotonic() - begin < PROMISE


async def wait_until_it_works(store: PostgresStore, within: float) -> None:
    begin = time.monotonic()
    while True:
        started = time.monotonic()
        try:
            await works(store, "after")
        except Unavailable:
            assert started - begin < within
            await asyncio.sleep(0.02)
        else:
            return


async def ids(base: PostgresBase) -> list[str]:
    return [id_ for (id_,) in await base.rows("SELECT id FROM events ORDER BY seq")]


@pytest.mark.parametrize("mode", MODES)
async def test_every_call_answers_in_time_and_works_soon_after(
    far: PostgresStore, proxy: Proxy, postgres_base: PostgresBase, mode: Mode
) -> None:
    proxy.mode = mode
    for turn in range(2):  # with connections that were open, and with new ones
        calls = (
            far.keep([event(f"{turn}")], strict=False),
            far.reader.page(ALL),
            far.reader.event(1),
            far.check(writing=True),
        )
        answers = await asyncio.gather(*map(outcome, calls))
        assert all(isinstance(answer, Unavailable) for answer in answers), answers
    proxy.mode = "pass"
    await wait_until_it_works(far, HEALED)
    again = await far.keep([event("0"), event("1")], strict=False)
    assert {kept.state for kept in again} <= {"new", "duplicate"}
    assert sorted(await ids(postgres_base)) == ["0", "1", "after", "warm"]


@pytest.mark.parametrize("count", [1, 150])
@pytest.mark.parametrize("mode", ["stall-replies", "drop-replies"])
async def test_an_answer_that_is_lost_is_in_doubt_and_the_resend_finds_out(
    far: PostgresStore, proxy: Proxy, postgres_base: PostgresBase, mode: Mode, count: int
) -> None:
    group = [event(f"{n}") for n in range(count)]
    # What a group of this size needs to ask of the server first.
    await far.keep([event(f"first {n}") for n in range(count)], strict=False)
    before = len(await ids(postgres_base))
    proxy.mode = mode
    problem = await outcome(far.keep(group, strict=False))
    assert isinstance(problem, Unavailable)
    assert problem.outcome == "unknown"
    kept = len(await ids(postgres_base)) - before
    assert kept in ((count,) if count == 1 else (0, count))  # by COPY it is the second statement that keeps
    proxy.mode = "pass"
    await wait_until_it_works(far, HEALED)
    states = {one.state for one in await far.keep(group, strict=False)}
    assert states == ({"duplicate"} if kept else {"new"})


@pytest.mark.parametrize(("mode", "told"), [("refuse", "not_kept"), ("stall", "not_kept"), ("reset", "not_kept")])
async def test_what_was_never_sent_was_not_kept(
    postgres_url: str, proxy: Proxy, postgres_base: PostgresBase, mode: Mode, told: Outcome
) -> None:
    store = postgres_store(proxy.url_through(postgres_url))
    proxy.mode = mode
    problem = await outcome(store.keep([event("1")], strict=False))
    assert isinstance(problem, Unavailable)
    assert problem.outcome == told
    assert await ids(postgres_base) == []
    proxy.mode = "pass"
    await wait_until_it_works(store, HEALED)
    await store.close()


async def test_while_the_database_is_away_the_answer_is_no_at_once(far: PostgresStore, proxy: Proxy) -> None:
    proxy.mode = "refuse"
    await outcome(far.keep([event("1")], strict=False))
    begin = time.monotonic()
    for _ in range(20):
        assert isinstance(await outcome(far.keep([event("1")], strict=False)), Unavailable)
    assert time.monotonic() - begin < HEALED


async def test_a_slow_network_is_no_fault(far: PostgresStore, proxy: Proxy) -> None:
    proxy.delay = 0.05
    proxy.mode = "delay"
    await works(far, "slow")


@pytest.mark.parametrize("table", ["events", "event_ids"])
async def test_a_locked_table_is_reported_and_nothing_is_kept(
    postgres: PostgresStore, postgres_base: PostgresBase, table: str
) -> None:
    await postgres.keep([event("before")], strict=False)
    holder = await asyncpg.connect(postgres_base.url)
    await holder.execute(f"BEGIN; LOCK TABLE {table}")
    for group in ([event("1")], [event(f"{n}") for n in range(150)]):
        begin = time.monotonic()
        problem = await outcome(postgres.keep(group, strict=False))
        assert time.monotonic() - begin < LOCKED
        assert isinstance(problem, Unavailable)
        assert (problem.outcome, problem.detail) == ("not_kept", "the database is locked")
    await holder.execute("ROLLBACK")
    assert await ids(postgres_base) == ["before"]
    assert [kept.state for kept in await postgres.keep([event("1")], strict=False)] == ["new"]
    await holder.close()


async def test_a_reader_behind_a_lock_is_answered_in_time(
    postgres: PostgresStore, postgres_base: PostgresBase
) -> None:
    holder = await asyncpg.connect(postgres_base.url)
    await holder.execute("BEGIN; LOCK TABLE events")
    calls = (postgres.reader.page(ALL), postgres.reader.sources(), postgres.reader.head())
    assert all(isinstance(answer, Unavailable) for answer in await asyncio.gather(*map(outcome, calls)))
    await holder.close()
    await wait_until_it_works(postgres, HEALED)


async def test_a_writer_whose_session_was_ended_heals(
    postgres: PostgresStore, postgres_base: PostgresBase
) -> None:
    await postgres.keep([event("before")], strict=False)
    for turn in range(3):
        assert await postgres_base.rows(f"SELECT pg_terminate_backend(pid) FROM ({WRITERS}) AS w") == [(True,)]
        attempts = [await outcome(postgres.keep([event(f"{turn}")], strict=False)) for _ in range(2)]
        assert sum(isinstance(answer, Unavailable) for answer in attempts) <= 1
        assert not isinstance(attempts[-1], Unavailable)
    assert sorted(await ids(postgres_base)) == ["0", "1", "2", "before"]


async def test_a_session_that_ends_during_a_commit_leaves_it_in_doubt(
    postgres: PostgresStore, postgres_base: PostgresBase
) -> None:
    await postgres.keep([event("before")], strict=False)
    holder = await asyncpg.connect(postgres_base.url)
    await holder.execute("BEGIN; LOCK TABLE events")
    keeping = asyncio.ensure_future(outcome(postgres.keep([event("1")], strict=False)))
    async with asyncio.timeout(DEADLINE):
        while not await holder.fetchval(STUCK):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
    await holder.execute(f"SELECT pg_terminate_backend(pid) FROM ({WRITERS}) AS w")
    problem = await keeping
    await holder.close()
    assert isinstance(problem, Unavailable)
    assert problem.outcome == "unknown"
    assert [kept.state for kept in await postgres.keep([event("1")], strict=False)] == ["new"]


@pytest.mark.parametrize("count", [1, 150])
async def test_a_table_that_changes_between_two_groups_is_survived(
    postgres: PostgresStore, postgres_base: PostgresBase, count: int
) -> None:
    changes = (
        "ALTER TABLE events ADD COLUMN more text",
        "ALTER TABLE event_ids ADD COLUMN more text",
        "ALTER TABLE events ALTER COLUMN more TYPE varchar(10)",
        "ALTER TABLE events DROP COLUMN more",
    )
    for n, change in enumerate(("SELECT 1", *changes)):
        if n:
            await postgres_base.rows(change)
        group = [event(f"{n}/{m}") for m in range(count)]
        assert {kept.state for kept in await postgres.keep(group, strict=False)} == {"new"}
        page = await postgres.reader.page(PageQuery(filter=Filter(), limit=1))
        (kept,) = await postgres.keep([sent_again(page.events[0])], strict=False)
        assert kept.state == "duplicate"


async def test_one_who_gives_up_does_not_spoil_the_next_group(
    postgres: PostgresStore, postgres_base: PostgresBase
) -> None:
    holder = await asyncpg.connect(postgres_base.url)
    await holder.execute("BEGIN; LOCK TABLE events")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await postgres.keep([event("1")], strict=False)
    await holder.close()
    await wait_until_it_works(postgres, HEALED)
    assert "after" in await ids(postgres_base)
