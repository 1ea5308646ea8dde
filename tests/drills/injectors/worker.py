"""The worker: killed, at once or in the midst of a drain."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import asyncpg
import psutil  # type: ignore[import-untyped]
from redis.asyncio import Redis

from app.spool import ENTRIES
from tests.drills.injectors.postgres import takes_connections
from tests.drills.injectors.processes import freeze, killed, process_of, restarted
from tests.drills.injectors.waiting import PATIENCE, POLL, until
from tests.drills.rig import Verb
from tests.drills.supervisor import Pod, Supervisor
from tests.process import CollectorProcess
from tests.servers import PostgresServer, RedisServer


def of_worker(
    pod: Pod, supervisor: Supervisor, database: PostgresServer | None, spool: RedisServer | None
) -> Mapping[str, Verb]:
    """What can be done to a worker."""
    verbs: dict[str, Verb] = {"kill": partial(_kill_at_once, pod, supervisor), "freeze": partial(freeze, pod)}
    if database is not None and spool is not None:
        verbs["kill-draining"] = partial(kill_draining, pod, supervisor, database, spool)
    return verbs


async def kill_draining(
    pod: Pod, supervisor: Supervisor, database: PostgresServer, spool: RedisServer, lasts: float
) -> str | None:
    """SIGKILL in the midst of a drain's transaction; to be begun while the database is away and the spool fills.

    It is frozen until the database is back and the log is locked, so that its drain waits inside of its statement.
    """
    process = process_of(pod)
    process.pause()
    await until(partial(takes_connections, database))
    async with _connected_soon(database) as connection, connection.transaction():
        await connection.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        async with Redis.from_url(spool.url()) as client:
            left = int(await client.xlen(ENTRIES))
        process.resume()
        caught = await until(partial(_waits_in_a_statement, connection, process), PATIENCE / 3)
        pid, restarts = process.pid, len(pod.restarts)
        process.kill()
    seen = await restarted(pod, supervisor, pid, restarts)
    return f"{seen}; {left} entries waited" if seen and caught and left else None


@asynccontextmanager
async def _connected_soon(server: PostgresServer) -> AsyncIterator[asyncpg.Connection]:
    """As soon as a database that starts lets anybody in."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                connection = await asyncpg.connect(server.url())
                break
            except (asyncpg.PostgresError, OSError):
                await asyncio.sleep(POLL)
    try:
        yield connection
    finally:
        connection.terminate()


async def _waits_in_a_statement(connection: asyncpg.Connection, process: CollectorProcess) -> bool:
    await connection.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees what it saw first
    ports = [one.laddr.port for one in psutil.Process(process.pid).net_connections("tcp")]
    query = """SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'collector writer' AND wait_event_type = 'Lock' AND client_port = ANY($1)"""
    return bool(await connection.fetchval(query, ports))


async def _kill_at_once(pod: Pod, supervisor: Supervisor, lasts: float) -> str | None:
    return await killed(pod, supervisor)
