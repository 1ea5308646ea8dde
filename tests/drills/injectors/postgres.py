"""PostgreSQL: restarted, away, locked, without its standby."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal

import asyncpg

from tests.drills.injectors.waiting import PATIENCE, PING, during, since
from tests.drills.rig import Verb
from tests.ports import LOOPBACK
from tests.servers import PostgresServer


def of_postgres(server: PostgresServer) -> Mapping[str, Verb]:
    """What can be done to a PostgreSQL."""
    return {
        "crash": partial(restart, server, "immediate"),
        "restart": partial(restart, server, "fast"),
        "lock": partial(lock, server),
        "lose-standby": partial(lose_standby, server),
    }


async def restart(server: PostgresServer, mode: Literal["fast", "immediate"], lasts: float) -> str | None:
    """Stop it, "fast" or "immediate", and start it again after so many seconds."""
    began = time.monotonic()
    await asyncio.to_thread(server.stop, mode)
    failed = not await takes_connections(server)
    await asyncio.sleep(max(0.0, began + lasts - time.monotonic()))
    await asyncio.to_thread(server.start)
    return f"away for {since(began)}" if failed else None


async def run_again(server: PostgresServer) -> None:
    """Start it, as whoever looks after it would, if it has ended: one that cannot write its log does."""
    if not server.runs:
        await asyncio.to_thread(server.start)


async def lock(server: PostgresServer, lasts: float) -> str | None:
    """Hold a lock that every write needs."""
    waiting = 0
    async with connected(server) as connection, connection.transaction():
        await connection.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        async for _ in during(lasts):
            waiting = max(waiting, await _waiting_for(connection, "Lock"))
    return f"{waiting} sessions waited for the lock" if waiting else None


async def lose_standby(server: PostgresServer, lasts: float) -> str | None:
    """Name a synchronous standby that there is not: no commit is confirmed."""
    waiting = 0
    async with connected(server) as connection:
        await connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'ghost'")
        try:
            await connection.execute("SELECT pg_reload_conf()")
            async for _ in during(lasts):
                waiting = max(waiting, await _waiting_for(connection, "SyncRep"))
        finally:
            await connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
            await connection.execute("SELECT pg_reload_conf()")
    return f"{waiting} commits waited for the standby" if waiting else None


@asynccontextmanager
async def connected(server: PostgresServer) -> AsyncIterator[asyncpg.Connection]:
    """A connection of our own, past every proxy."""
    connection = await asyncpg.connect(server.url(), timeout=PATIENCE)
    try:
        yield connection
    finally:
        connection.terminate()


async def stored(server: PostgresServer, source: str) -> Counter[str]:
    """How often each id of this source is in the table."""
    async with connected(server) as connection:
        rows = await connection.fetch("SELECT id FROM events WHERE source = $1", source)
    return Counter(row["id"] for row in rows)


async def _waiting_for(connection: asyncpg.Connection, what: str) -> int:
    await connection.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees what it saw first
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = $1 OR wait_event = $1"
    return int(await connection.fetchval(query, what))


async def takes_connections(server: PostgresServer) -> bool:
    try:
        async with asyncio.timeout(PING):
            _, writer = await asyncio.open_connection(LOOPBACK, server.port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
