"""PostgreSQL: the log in partitions by day, two connections that write, two that check, a pool that reads."""

import asyncio
from collections.abc import Callable, Sequence

import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine

from app.errors import Unavailable
from app.events import Event
from app.store import Kept, Portion, Schema, Upkeep, fold, session
from app.store.commit import DAYS_AHEAD, Committer, Held
from app.store.dial import CHECKING, IDENTITY, READING, WHICH, Dial, Preparation
from app.store.faults import explain
from app.store.keep import ORDER_LOCK
from app.store.lead import SETTINGS as LEADING
from app.store.lead import SessionLeader
from app.store.letters import SqlLetters
from app.store.purge import SqlPurger
from app.store.reader import SqlReader

CHECK_SECONDS = 1.0
MAINTAIN_SECONDS = 60.0
COMMITS_AT_ONCE = 2
PURGE_STEP = 5_000  # identities deleted in one statement
ROLL_STEP = 50_000  # rows summed up in one statement: a tenth of a second, of the 10 s it may take
ROLL_SECONDS = 12.0
FORGET_STEP = 1_000  # events deleted in one statement: writers wait no longer for it than for a group of events
FORGET_SECONDS = 6.0

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
# Nobody's receipt: a sum that a crash loses is made again, and it never gets ahead of the events in the WAL.
_ROLLING = {
    "application_name": "collector rollup",
    "statement_timeout": "10000",
    "synchronous_commit": "off",
    "random_page_cost": "1.1",
    "jit": "off",
}
_FORGETTING = {
    "application_name": "collector purge",
    "lock_timeout": "3000",
    "statement_timeout": "5000",
    "random_page_cost": "1.1",
    "jit": "off",
}
# A number alone would not do where several logs share a cache, and after a failover or a restore it may stand
# for other events than before: both begin with the start of another server process, and a log that is restored
# beside another, or is a copy of it, is another sequence or lies in another database.
_STATE = f"concat_ws('.', extract(epoch FROM pg_postmaster_start_time()), {WHICH}, last_value)"
_VERSION = f"SELECT {_STATE} FROM event_seq"
_SETTLED = f"SELECT {_STATE}, pg_try_advisory_xact_lock_shared({ORDER_LOCK}) FROM event_seq"
_IDENTITY = f"SELECT {IDENTITY}"
_CHECK = """SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool, revision, min_code
FROM schema_version"""
# A record in the WAL, waited for as any commit is: it fails on a full disk. Under the lock, as any commit is, so
# that while a standby is missing one backend waits for it, not one more at every check.
# It asks for the tables' locks first, as a commit does.
_CHECK_WRITING = f"""INSERT INTO event_ids SELECT * FROM event_ids WHERE false;
INSERT INTO events SELECT * FROM events WHERE false;
SELECT pg_advisory_xact_lock({ORDER_LOCK}), pg_logical_emit_message(true, 'collector', 'check')"""


class PostgresStore:
    """A PostgreSQL database, by its connection string; `password` where that bears none."""

    name = "postgresql"

    def __init__(
        self, dsn: str, *, password: str | None, pool_size: int, on_unreplicated: Callable[[], None]
    ) -> None:
        self._dial = Dial(dsn, password=password, wanted="read-write")
        self._engine = self._dial.pool(pool_size, READING, session.for_times)
        self.reader = SqlReader(self._engine, explain)
        preparations = (session.for_receipts, session.for_times, session.for_digests, session.for_staging)
        # A second one is connected only once two commits go at the same time.
        self._committers = [
            Committer(lambda: self.connect(_WRITING, *preparations), on_unreplicated)
            for _ in range(COMMITS_AT_ONCE)
        ]
        self._idle = asyncio.LifoQueue[Committer]()
        for committer in reversed(self._committers):
            self._idle.put_nowait(committer)
        self._checker = Held(lambda: self.connect(CHECKING, session.for_receipts))
        self._versions = Held(lambda: self.connect(CHECKING))
        self._roller = Held(lambda: self.connect(_ROLLING))
        self._forgetter = Held(lambda: self.connect(_FORGETTING, session.for_receipts, session.for_digests))
        self._forgetting = asyncio.Lock()
        self.purger = SqlPurger(self.reader.ask, self._forget, FORGET_STEP, end=self._rest)
        self._asking = asyncio.Lock()
        self.letters = SqlLetters(self._dial.pool(1, READING, session.for_times, session.for_receipts), explain)

    async def connect(self, settings: dict[str, str], *preparations: Preparation) -> asyncpg.Connection:
        """A connection of one's own, to the server that takes writes."""
        return await self._dial.connect(settings, *preparations)

    async def keep(self, events: Sequence[Event], strict: bool) -> list[Kept]:  # noqa: FBT001
        """Commit a group."""
        committer = await self._idle.get()
        try:
            if not strict:
                return await fold.folded(events, committer.each)
            return fold.conflicts(events) or await fold.folded(events, committer.all)
        finally:
            self._idle.put_nowait(committer)

    def leader(self, of: str) -> SessionLeader:
        """A candidate for the lead."""
        return SessionLeader(lambda: self.connect(LEADING), of)

    async def identity(self) -> str:
        """Of the cluster, which a standby shares, of the database and of the sequence."""
        (identity,) = await self._ask(_IDENTITY)
        return str(identity)

    async def version(self) -> str:
        """The last number given, and by whom."""
        (version,) = await self._ask(_VERSION)
        return str(version)

    async def settled(self) -> str | None:
        """The same, unless somebody holds the lock under which numbers are given."""
        version, free = await self._ask(_SETTLED)
        return str(version) if free else None

    async def check(self, *, writing: bool) -> Schema:
        """Whether an event could be kept now."""
        try:
            connection = await self._checker.get()
            async with asyncio.timeout(CHECK_SECONDS):
                read_only, revision, min_code = await connection.fetchrow(_CHECK)
                if writing:
                    await connection.execute(_CHECK_WRITING)
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
        except asyncpg.UndefinedFunctionError as error:
            raise Unavailable("the schema is not there yet") from error
        except Exception as error:
            raise explain(error) or error from error

    async def roll_up(self) -> bool:
        """Sum up some events; nothing to do where another process is at it."""
        try:
            async with asyncio.timeout(ROLL_SECONDS):
                connection = await self._roller.get()
                rolled = await connection.fetchval("SELECT collector_roll_up($1)", ROLL_STEP)
        except asyncpg.UndefinedFunctionError as error:
            raise Unavailable("the schema is not there yet") from error
        except Exception as error:
            self._roller.drop()
            raise explain(error) or error from error
        return bool(rolled == ROLL_STEP)

    async def migrate(self) -> None:
        """Bring the schema to this code's revision."""
        from app.migrations import upgrade  # noqa: PLC0415 - Alembic is for those who migrate

        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=lambda: self.connect({"application_name": "collector migrate"}),
            hide_parameters=True,
        )
        try:
            await upgrade(engine)
        except Exception as error:
            raise explain(error) or error from error
        finally:
            await engine.dispose()
        await self.maintain(retention_days=0)

    async def close(self) -> None:
        """Let go of every connection."""
        for committer in self._committers:
            committer.close()
        self._checker.drop()
        self._versions.drop()
        self._roller.drop()
        self._forgetter.drop()
        await self._engine.dispose()
        await self.letters.close()

    async def _forget(self, portion: Portion) -> int:
        try:
            async with self._forgetting, asyncio.timeout(FORGET_SECONDS):
                connection = await self._forgetter.get()
                count = await connection.fetchval("SELECT collector_purge($1, $2)", portion.seqs, portion.keys)
        except Exception as error:
            self._forgetter.drop()
            raise explain(error) or error from error
        return int(count)

    async def _rest(self) -> None:
        """Let go of the connections that only a purge needs."""
        async with self._forgetting:
            self._forgetter.drop()
        await self.letters.close()

    async def _ask(self, question: str) -> asyncpg.Record:
        try:
            async with self._asking:
                connection = await self._versions.get()
                async with asyncio.timeout(CHECK_SECONDS):
                    return await connection.fetchrow(question)
        except Exception as error:
            self._versions.drop()
            raise explain(error) or error from error


async def _maintain(connection: asyncpg.Connection, retention_days: int) -> Upkeep:
    ahead = await connection.fetchval("SELECT collector_add_days($1)", DAYS_AHEAD)
    if retention_days > 0:
        await connection.execute("SELECT collector_drop_days($1)", retention_days)
    while await connection.fetchval("SELECT collector_purge_ids($1)", PURGE_STEP) == PURGE_STEP:
        pass
    dropped = await connection.fetchval("SELECT purged_through FROM log_state")
    return Upkeep(ahead, dropped)
