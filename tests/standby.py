"""Standby: a PostgreSQL that follows another, by streaming."""

import asyncio
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import asyncpg

from tests.databases import CONNECT_TIMEOUT, migrate
from tests.ports import LOOPBACK
from tests.servers import PostgresServer

FOLLOWED = {
    "wal_keep_size": "256MB",
    "max_wal_senders": "10",
    "wal_log_hints": "on",
}  # settings of whom others follow
BASEBACKUP_TIMEOUT = 60.0  # seconds
PATIENCE = 60.0  # seconds for what takes under one


class StandbyServer(PostgresServer):
    """Follows `leader`, which has to run, and to have the settings FOLLOWED. `name`: as synchronous_standby_names
    has it. `port`: of the leader, where it is to be reached by another."""

    def __init__(self, leader: PostgresServer, *, name: str = "near", port: int | None = None) -> None:
        from_there = f"host={LOOPBACK} port={port or leader.port} user=postgres application_name={name}"
        super().__init__(leader.install, settings={**FOLLOWED, "primary_conninfo": from_there})
        copy(leader, self)


def copy(leader: PostgresServer, server: PostgresServer) -> None:
    """Have a server that does not run forget what it has, and take everything from one that runs, to follow it."""
    # The contents of its folder alone: its account could not make the folder again.
    subprocess.run(["find", server._data, "-mindepth", "1", "-delete"], check=True)
    account = server._account
    subprocess.run(
        [
            *(server.install.bin / "pg_basebackup", "--pgdata", server._data, "--dbname", leader.url()),
            *("--checkpoint=fast", "--no-sync", "--write-recovery-conf"),
        ],
        check=True,
        timeout=BASEBACKUP_TIMEOUT,
        capture_output=True,
        cwd=server._folder,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


async def tell(server: PostgresServer, statement: str) -> Any:
    """What the first column of a statement's first row says, on a connection of its own."""
    connection = await asyncpg.connect(server.url(), timeout=CONNECT_TIMEOUT)
    try:
        return await connection.fetchval(statement)
    finally:
        connection.terminate()


async def hold(standby: PostgresServer) -> None:
    """Have it replay nothing; what comes in it goes on to write down."""
    await tell(standby, "SELECT pg_wal_replay_pause()")
    await until(standby, "SELECT pg_get_wal_replay_pause_state() = 'paused'")


async def let_go(standby: PostgresServer) -> None:
    """Have it replay again."""
    await tell(standby, "SELECT pg_wal_replay_resume()")


async def until(server: PostgresServer, condition: str) -> None:
    """Wait until a query says true."""
    async with asyncio.timeout(PATIENCE):
        while not await tell(server, condition):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.02)


@contextmanager
def pair(settings: Mapping[str, str] | None = None) -> Iterator[tuple[PostgresServer, StandbyServer]]:
    """A server with the schema, and one that follows it; both run."""
    with PostgresServer(settings={**FOLLOWED, **(settings or {})}) as leader:
        migrate(leader.url())
        with StandbyServer(leader) as standby:
            yield leader, standby
