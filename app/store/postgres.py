"""PostgreSQL: the log in partitions by day, one connection that writes, one that checks, a pool that reads."""

import asyncio
from collections.abc import Callable, Sequence

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.errors import Unavailable
from app.events import Event
from app.store import Kept, Schema, Upkeep, fold
from app.store.commit import DAYS_AHEAD, Committer, Held
from app.store.faults import explain
from app.store.reader import SqlReader

CONNECT_SECONDS = 1.5
CHECK_SECONDS = 1.0
MAINTAIN_SECONDS = 60.0
PURGE_STEP = 5_000  # identities deleted in one statement

_BY_INDEX = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
_WRITING = {
    "application_name": "collector writer",
    "lock_timeout": "1500",
    "statement_timeout": "5000",
    "idle_in_transaction_session_timeout": "1000",
    # A plan made while event_ids was empty would be kept when it is not.
    **_BY_INDEX,
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
_READING = {
    "application_name": "collector reader",
    "statement_timeout": "4000",
    "idle_in_transaction_session_timeout": "5000",
    "random_page_cost": "1.1",
    "jit": "off",
}
_CHECKING = {"application_name": "collector check", "statement_timeout": "900", "jit": "off"}
_CHECK = """SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool, revision, min_code
FROM schema_version"""


class PostgresStore:
    """A PostgreSQL database, by its connection string; `password` where that bears none."""

    name = "postgresql"

    def __init__(
        self, dsn: str, *, password: str | None, pool_size: int, on_unreplicated: Callable[[], None]
    ) -> None:
        self._dsn = dsn
        self._password = password
        self._engine = self._reading(pool_size)
        self.reader = SqlReader(self._engine, explain)
        self._committer = Committer(lambda: self.connect(_WRITING), on_unreplicated)
        self._checker = Held(lambda: self.connect(_CHECKING))

    async def connect(self, settings: dict[str, str]) -> asyncpg.Connection:
        """A connection of one's own, to the server that takes writes."""
        return await asyncpg.connect(
            self._dsn,
            password=self._password,
            timeout=CONNECT_SECONDS,
            target_session_attrs="read-write",
            server_settings=settings,
        )

    async def keep(self, events: Sequence[Event], strict: bool) -> list[Kept]:  # noqa: FBT001
        """Commit a group."""
        if not strict:
            return await fold.folded(events, self._committer.each)
        return fold.conflicts(events) or await fold.folded(events, self._committer.all)

    async def check(self, *, writing: bool) -> Schema:
        """Whether an event could be kept now."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                connection = await self._checker.get()
                read_only, revision, min_code = await connection.fetchrow(_CHECK)
                if writing:
                    # A record in the WAL, waited for as any commit is: it fails on a full disk.
                    await connection.execute("SELECT pg_logical_emit_message(true, 'collector', 'check')")
        except Exception as error:
            self._checker.drop()
            if isinstance(error, asyncpg.UndefinedTableError):
                return Schema(0, 0)
            raise explain(error) or error from error
        if read_only:
            self._checker.drop()
            raise Unavailable("the database is read-only: it may be a standby")
        return Schema(revision, min_code)

    async def maintain(self, retention_days: int) -> Upkeep:
        """Make the days ahead, drop what retention allows."""
        try:
            async with asyncio.timeout(MAINTAIN_SECONDS):
                connection = await self.connect({"application_name": "collector upkeep"})
                try:
                    return await _maintain(connection, retention_days)
                finally:
                    connection.terminate()
        except Exception as error:
            raise explain(error) or error from error

    async def migrate(self) -> None:
        """Bring the schema to this code's revision."""
        from app.migrations import upgrade  # noqa: PLC0415 - Alembic is for those who migrate

        engine = create_async_engine(
            "postgresql+asyncpg://", async_creator=lambda: self.connect({"application_name": "collector migrate"})
        )
        try:
            await upgrade(engine)
        finally:
            await engine.dispose()
        await self.maintain(retention_days=0)

    async def close(self) -> None:
        """Let go of every connection."""
        self._committer.close()
        self._checker.drop()
        await self._engine.dispose()

    def _reading(self, pool_size: int) -> AsyncEngine:
        return create_async_engine(
            "postgresql+asyncpg://",
            async_creator=lambda: self.connect(_READING),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=2,
            pool_pre_ping=True,
            isolation_level="AUTOCOMMIT",
        )


async def _maintain(connection: asyncpg.Connection, retention_days: int) -> Upkeep:
    ahead = await connection.fetchval("SELECT collector_add_days($1)", DAYS_AHEAD)
    if retention_days > 0:
        await connection.execute("SELECT collector_drop_days($1)", retention_days)
    while await connection.fetchval("SELECT collector_purge_ids($1)", PURGE_STEP) == PURGE_STEP:
        pass
    dropped = await connection.fetchval("SELECT purged_through FROM log_state")
    return Upkeep(ahead, dropped)
