"""Standby: where a synchronous standby is missing, nothing is acknowledged and nothing is doubled."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.errors import Unavailable
from app.store import Kept
from app.store.postgres import PostgresStore
from tests.servers import PostgresServer
from tests.store.make import event

DEADLINE = 15.0  # seconds
PROMISE = 5.0  # seconds in which every call answers
WAITING = (
    "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid = coalesce(nullif($1::int, 0), pid)"
)
OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'collector %'"


class Replicated:
    """A server that can be told to wait for a standby that there is not, and a store on it."""

    def __init__(self, server: PostgresServer) -> None:
        self.url = server.url()
        self.unreplicated = 0
        self.store = self.open()

    def open(self) -> PostgresStore:
        return PostgresStore(self.url, password=None, pool_size=1, on_unreplicated=self._count)

    async def wants(self, standby: str) -> None:
        admin = await self.admin()
        await admin.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{standby}'")
        await admin.execute("SELECT pg_reload_conf()")
        async with asyncio.timeout(DEADLINE):
            while await self._makes_wait(admin) is not bool(standby):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
            while await admin.fetchval(WAITING, 0) is not None:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.01)
        await admin.close()

    async def _makes_wait(self, admin: asyncpg.Connection) -> bool:
        """Whether a commit has to wait by now: the server takes a setting in when it comes to it."""
        probe = await asyncpg.connect(self.url)
        await probe.execute("SET synchronous_commit = on")
        commit = asyncio.ensure_future(probe.execute("SELECT pg_logical_emit_message(true, 'test', '')"))
        waiting = None
        while not (commit.done() or waiting):
            waiting = await admin.fetchval(WAITING, probe.get_server_pid())
        if waiting:
            await admin.execute(f"SELECT pg_cancel_backend({waiting})")
        await commit
        await probe.close()
        return waiting is not None

    async def admin(self) -> asyncpg.Connection:
        connection = await asyncpg.connect(self.url)
        await connection.execute("SET synchronous_commit = local")
        return connection

    async def cancel_the_wait(self, function: str = "pg_cancel_backend") -> None:
        """End the wait of the one backend that waits."""
        admin = await self.admin()
        async with asyncio.timeout(DEADLINE):
            while (waiting := await admin.fetchval(WAITING, 0)) is None:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
        await admin.execute(f"SELECT {function}({waiting})")
        await admin.close()

    async def count(self, query: str) -> int:
        admin = await self.admin()
        found = await admin.fetchval(query)
        await admin.close()
        return int(found)

    def _count(self) -> None:
        self.unreplicated += 1


@pytest.fixture
async def replicated(own_postgres: PostgresServer) -> AsyncIterator[Replicated]:
    """A server whose standby is missing; one event, `before`, was kept while none was wanted."""
    here = Replicated(own_postgres)
    await here.store.migrate()
    await here.store.keep([event("before")], strict=False)
    await here.wants("ghost")
    yield here
    await here.wants("")
    await here.store.close()


async def refused(store: PostgresStore, *ids: str) -> Unavailable:
    """Keep, which must fail in time."""
    begin = time.monotonic()
    with pytest.raises(Unavailable) as raised:
        await store.keep([event(id_) for id_ in ids], strict=False)
    assert time.monotonic() - begin < PROMISE
    return raised.value


async def states(store: PostgresStore, *ids: str) -> list[str]:
    kept: list[Kept] = await store.keep([event(id_) for id_ in ids], strict=False)
    return [one.state for one in kept]


@pytest.mark.parametrize("count", [1, 150])
async def test_what_no_standby_confirms_is_in_doubt(replicated: Replicated, count: int) -> None:
    ids = [f"{n}" for n in range(count)]
    assert (await refused(replicated.store, *ids)).outcome == "unknown"
    await replicated.wants("")
    assert await states(replicated.store, *ids) == ["duplicate"] * count
    assert await replicated.count("SELECT count(*) FROM events") == count + 1


async def test_a_wait_that_is_cancelled_is_in_doubt_and_counted(replicated: Replicated) -> None:
    problem, _ = await asyncio.gather(refused(replicated.store, "1"), replicated.cancel_the_wait())
    assert (problem.outcome, problem.detail) == ("unknown", "the commit was not confirmed by a standby")
    assert replicated.unreplicated == 1
    await replicated.wants("")
    assert await states(replicated.store, "1", "2") == ["duplicate", "new"]
    assert replicated.unreplicated == 1


async def test_a_wait_that_is_terminated_is_in_doubt(replicated: Replicated) -> None:
    terminating = replicated.cancel_the_wait("pg_terminate_backend")
    problem, _ = await asyncio.gather(refused(replicated.store, "1"), terminating)
    assert problem.outcome == "unknown"
    await replicated.wants("")
    assert await states(replicated.store, "1") == ["duplicate"]


async def test_a_resend_is_no_more_confirmed_than_the_first(replicated: Replicated) -> None:
    problem, _ = await asyncio.gather(refused(replicated.store, "before"), replicated.cancel_the_wait())
    assert (problem.outcome, replicated.unreplicated) == ("unknown", 1)
    assert (await refused(replicated.store, "before")).outcome == "unknown"
    await replicated.wants("")
    assert await states(replicated.store, "before") == ["duplicate"]


async def test_an_export_is_no_more_confirmed_than_the_first(replicated: Replicated) -> None:
    admin = await replicated.admin()
    at = await admin.fetchval("SELECT time FROM events")
    await admin.close()
    with pytest.raises(Unavailable) as raised:
        await replicated.store.keep([event("before", time=at.isoformat())], strict=False)
    assert raised.value.outcome == "unknown"


async def test_no_session_is_left_behind_by_those_who_try_again(replicated: Replicated) -> None:
    other = replicated.open()
    for n in range(3):
        await asyncio.gather(refused(replicated.store, f"{n}"), refused(other, *(f"{n}/{m}" for m in range(150))))
        for store in (replicated.store, other):
            with pytest.raises(Unavailable):
                await store.check(writing=True)
    # Two writers, the one that waits for the standby, and at most one check on its way out.
    assert await replicated.count(OURS) <= 2 + 2
    await replicated.wants("")
    assert await states(replicated.store, "last") == ["new"]
    assert await replicated.count("SELECT count(*) - count(DISTINCT id) FROM events") == 0
    await other.close()


async def test_a_database_whose_commits_wait_for_nothing_is_overruled(own_postgres: PostgresServer) -> None:
    here = Replicated(own_postgres)
    await here.store.migrate()
    admin = await here.admin()
    for off in ("off", "local"):
        await admin.execute(f"ALTER DATABASE postgres SET synchronous_commit = {off}")
        store = here.open()
        await here.wants("ghost")
        with pytest.raises(Unavailable):
            await store.check(writing=True)
        await here.wants("")
        assert await states(store, off) == ["new"]
        writer = await store._committers[0]._held.get()
        assert await writer.fetchval("SHOW synchronous_commit") == "on"
        await store.close()
    await admin.close()
    await here.store.close()


async def test_a_database_whose_commits_wait_for_more_is_left_as_it_is(own_postgres: PostgresServer) -> None:
    here = Replicated(own_postgres)
    await here.store.migrate()
    admin = await here.admin()
    await admin.execute("ALTER DATABASE postgres SET synchronous_commit = remote_apply")
    await admin.close()
    store = here.open()
    await store.keep([event()], strict=False)
    writer = await store._committers[0]._held.get()
    assert await writer.fetchval("SHOW synchronous_commit") == "remote_apply"
    await store.close()
    await here.store.close()
