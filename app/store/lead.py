"""PostgreSQL: the lead, a session's advisory lock on a connection of its own.

1. A leader that dies loses its session, and with it the lock, at once.
2. The lock is of one spool: each region has its own, and drains it into the one database.
3. One that is frozen, or cut off, asks no more: the server ends a session that has been idle for IDLE_SECONDS.
4. It knows by its own clock, and sooner than the server, that it may no longer be the one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from hashlib import blake2b

import asyncpg

from app.store.faults import explain

LEADER_LOCK = 7023  # a session's advisory lock: one process drains a spool
IDLE_SECONDS = 6  # after which the server ends a session that asks nothing
LEASE_SECONDS = 4.0  # after the last good answer; what is left of IDLE_SECONDS is for a commit under way
TURN_SECONDS = 2.0
SETTINGS = {
    "application_name": "collector leader",
    "idle_session_timeout": f"{IDLE_SECONDS}s",
    "statement_timeout": "1500",
}


class SessionLeader:
    """A candidate for what is called `of`. `connect` makes a direct connection with SETTINGS: a pooler would lend
    the lock to others."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], of: str) -> None:
        self._connect = connect
        self._key = int.from_bytes(blake2b(of.encode(), digest_size=4).digest(), signed=True)
        self._connection: asyncpg.Connection | None = None
        self._locked = False
        self._asked_at = 0.0

    @property
    def holds(self) -> bool:
        """Whether the lock is ours, as of a few seconds ago at most."""
        connection = self._connection
        if connection is None or connection.is_closed() or not self._locked:
            return False
        return time.monotonic() - self._asked_at < LEASE_SECONDS

    async def turn(self) -> None:
        """Ask for the lock, or show that its session lives."""
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._ask()
        except Exception as error:
            await self.close()
            raise explain(error) or error from error

    async def close(self) -> None:
        """Let go of the session without a word, and so of the lock."""
        connection, self._connection = self._connection, None
        self._locked = False
        if connection is not None:
            connection.terminate()

    async def _ask(self) -> None:
        if self._connection is None or self._connection.is_closed():
            self._locked = False
            self._connection = await self._connect()
        # Before the question: the server counts from its answer, so that we never count less than it does.
        asked_at = time.monotonic()
        if self._locked:
            await self._connection.execute("SELECT 1")
        else:
            lock = "SELECT pg_try_advisory_lock($1::int, $2::int)"
            self._locked = await self._connection.fetchval(lock, LEADER_LOCK, self._key)
        self._asked_at = asked_at


class SoleLeader:
    """Of an embedded database: the process that has the file."""

    holds = True

    async def turn(self) -> None:
        """Nobody to ask."""

    async def close(self) -> None:
        """Nothing to let go of."""
