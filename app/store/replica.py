"""PostgreSQL: a standby that is near, which can be read. What it has not replayed it does not show.

1. What it shows is a beginning of the log: commits are replayed in their order, and numbers are given in it. So it
   shows everything up to a number once it shows the event of that number. That event is asked for itself: the
   sequence is ahead of what can be read, since its moves are replayed before the commits that they are for; and a
   higher number would prove nothing on a server that has a history of its own.
2. One server at a time. A connection that leads to another than the one that was looked at is not used: what one
   of them shows says nothing of the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import asyncpg

from app.errors import Unavailable
from app.store import Sight, session
from app.store.commit import Held
from app.store.dial import CHECKING, IDENTITY, READING, WHICH, Dial
from app.store.faults import explain
from app.store.reader import SqlReader

LOOK_SECONDS = 1.0
_PROCESS = "extract(epoch FROM pg_postmaster_start_time())::text"
_LOOK = f"""SELECT {_PROCESS}, {IDENTITY}, pg_is_in_recovery(),
ARRAY(SELECT seq FROM events WHERE seq = ANY($1::bigint[]))"""
# Nothing that can be read changes but by what is replayed. No slash in a version of the log's own server.
_VERSION = f"""SELECT {_PROCESS}, concat_ws('/', {_PROCESS}, {WHICH}, pg_last_wal_replay_lsn())
WHERE pg_is_in_recovery()"""

Answer = TypeVar("Answer")


class PostgresReplica:
    """A standby, by its connection string; `password` where that bears none."""

    def __init__(self, dsn: str, *, password: str | None, pool_size: int) -> None:
        self._dial = Dial(dsn, password=password, wanted="prefer-standby")  # else the message would be of no host
        self._engine = self._dial.pool(pool_size, READING, session.for_times, self._is_the_one)
        self.reader = SqlReader(self._engine, explain)
        self._held = Held(lambda: self._dial.connect(CHECKING))
        self._asking = asyncio.Lock()
        self._process: str | None = None

    async def look(self, positions: Sequence[int]) -> Sight:
        """What it is, and which of these events it shows."""
        process, identity, standby, shown = await self._ask(
            lambda connection: connection.fetchrow(_LOOK, list(positions))
        )
        if process != self._process:
            self._process = process
            await self._engine.dispose()  # those connections lead to the server before
        return Sight(server=process, identity=identity, standby=standby, shown=frozenset(shown))

    async def version(self) -> str:
        """How far it has replayed, and which process of which server."""
        found = await self._ask(lambda connection: connection.fetchrow(_VERSION))
        if found is None or found[0] != self._process:
            raise Unavailable("the replica is not what it was")
        return str(found[1])

    async def close(self) -> None:
        """Let go of every connection."""
        self._held.drop()
        await self._engine.dispose()

    async def _is_the_one(self, connection: asyncpg.Connection) -> None:
        if await connection.fetchval(f"SELECT {_PROCESS}") != self._process:
            raise Unavailable("the connection leads to another server")

    async def _ask(self, question: Callable[[asyncpg.Connection], Awaitable[Answer]]) -> Answer:
        try:
            # Those who wait for their turn wait no longer than the one whose turn it is.
            async with asyncio.timeout(LOOK_SECONDS), self._asking:
                return await self._answer(question)
        except Unavailable:
            raise
        except Exception as error:
            # Also a bug of ours is no reason for those who read to fail, or for the process to end.
            raise explain(error) or Unavailable(f"it cannot be asked ({type(error).__name__})") from error

    async def _answer(self, question: Callable[[asyncpg.Connection], Awaitable[Answer]]) -> Answer:
        try:
            return await question(await self._held.get())
        except BaseException:
            self._held.drop()  # also where who asks has gone: an answer may be on its way
            raise
