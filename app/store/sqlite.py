"""SQLite: the log in one file, one thread that writes, fsync at every commit."""

import asyncio
import contextlib
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.errors import Outcome, Unavailable
from app.events import Event
from app.store import Kept, Portion, Schema, Upkeep, fold, purge, rollup
from app.store.expressions import JSON_TEXT, json_text
from app.store.faults import away, explain
from app.store.homecoming import returning
from app.store.lead import SoleLeader
from app.store.letters import SqlLetters
from app.store.purge import SqlPurger
from app.store.reader import SqlReader
from app.store.rollup import DAY
from app.store.tables import micros

MAINTAIN_SECONDS = 60.0  # for one turn; the next goes on where it ended
PURGE_STEP = 500  # rows deleted in one transaction: the writer waits no longer than that takes
ROLL_STEP = 5_000  # rows summed up in one transaction: likewise
BUSY_PAUSE = 0.01  # seconds between attempts
BUSY_SECONDS = 2.0  # for another process that uses the file
MIN_FREE_BYTES = 16 * 2**20  # on the file's disk, below which it is not ready
READERS = 4

Answer = TypeVar("Answer")

_FIND = "SELECT k.hash, k.seq, e.time FROM event_ids k LEFT JOIN events e ON e.seq = k.seq WHERE k.key = ?"
_AT = "SELECT seq, source, id FROM events INDEXED BY events_time WHERE time = ? AND seq BETWEEN ? AND ?"
_CONTENT = "SELECT action, subject, data FROM events WHERE seq = ?"
_INSERT = """INSERT INTO events (seq, received_at, time, source, action, id, subject, data)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""


class SqliteStore:
    """A database file; its folder is made if it is missing. `now` gives the time of commits."""

    name = "sqlite"

    def __init__(self, path: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path = path
        self._now = now
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._connection: sqlite3.Connection | None = None
        self._versions: sqlite3.Connection | None = None
        self._nonce = secrets.token_hex(8)
        self._engine = _engine(path, READERS, query_only=True)
        self.reader = SqlReader(self._engine, explain)
        self.letters = SqlLetters(_engine(path, 1, query_only=False), explain)
        self.purger = SqlPurger(self.reader.ask, self._forget, PURGE_STEP, end=self._let_go)

    async def keep(self, events: Sequence[Event], strict: bool) -> list[Kept]:  # noqa: FBT001
        """Commit a group."""
        if strict and (conflicts := fold.conflicts(events)):
            return conflicts

        async def commit(distinct: Sequence[Event]) -> list[Kept]:
            return await self._do(
                lambda connection: self._commit(connection, distinct, strict=strict), writes=True
            )

        return await fold.folded(events, commit)

    def leader(self, of: str) -> SoleLeader:  # noqa: ARG002 - whatever it is of
        """The one process there is."""
        return SoleLeader()

    async def identity(self) -> str:
        """The file."""
        return str(self._path.resolve())

    async def version(self) -> str:
        """What SQLite itself counts: it moves whenever another connection, of any process, has committed.

        Each connection counts from where it likes, so that this means something to this process alone.
        """
        try:
            if self._versions is None:
                self._versions = sqlite3.connect(self._path, timeout=0, isolation_level=None)
            (version,) = self._versions.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error as error:
            raise _problem(error, writes=False) from error
        return f"{self._nonce}.{version}"

    async def settled(self) -> str | None:
        """The same: here a commit is seen at once, or not at all."""
        return await self.version()

    async def check(self, *, writing: bool) -> Schema:
        """Whether an event could be kept now."""
        folder = self._path.parent
        if folder.exists() and shutil.disk_usage(folder).free < MIN_FREE_BYTES:
            raise Unavailable("the disk is full")
        return await self._do(lambda connection: _check(connection, writing=writing))

    async def maintain(self, retention_days: int) -> Upkeep:
        """Make the schema if need be; drop what retention allows, in small steps between the groups."""
        try:
            async with asyncio.timeout(MAINTAIN_SECONDS):
                return await self._maintain(retention_days)
        except TimeoutError as error:
            raise Unavailable("there is more to delete than one turn takes") from error

    async def _maintain(self, retention_days: int) -> Upkeep:
        await self.migrate()
        if retention_days > 0:
            # Only whole days go, and only when their last moment is that long ago.
            before = (micros(self._now()) // DAY - retention_days) * DAY
            while await self._do(lambda connection: _purge(connection, before), writes=True):
                pass
        dropped = await self._do(lambda connection: connection.execute(_PURGED).fetchone()[0])
        return Upkeep(None, dropped)

    async def roll_up(self) -> bool:
        """Sum up a few thousand events, between the groups."""
        return await self._do(lambda connection: rollup.roll_up(connection, ROLL_STEP), writes=True)

    async def migrate(self) -> None:
        """Bring the schema to this code's revision."""
        if (await self.check(writing=False)).usable:
            return
        from app.migrations import upgrade  # noqa: PLC0415 - Alembic is for those who migrate

        engine = _engine(self._path, 1, query_only=False)
        try:
            await upgrade(engine)
        except Exception as error:
            raise explain(error) or error from error
        finally:
            await engine.dispose()

    async def close(self) -> None:
        """Let go of the file."""
        await self._engine.dispose()
        await self.letters.close()
        if self._versions is not None:
            self._versions.close()
        if self._connection is not None:
            with contextlib.suppress(Unavailable):
                await self._do(lambda connection: connection.close())
        self._thread.shutdown()

    async def _forget(self, portion: Portion) -> int:
        return await self._do(lambda connection: purge.delete(connection, portion), writes=True)

    async def _let_go(self) -> None:
        await self._do(purge.let_go)

    async def _do(self, work: Callable[[sqlite3.Connection], Answer], *, writes: bool = False) -> Answer:
        """Run `work` in the writer's thread. Raises Unavailable."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._with_connection, work)
        except (sqlite3.Error, OSError) as error:
            raise _problem(error, writes=writes) from error

    def _with_connection(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _writing(self._path)
        try:
            return work(self._connection)
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _commit(self, connection: sqlite3.Connection, events: Sequence[Event], *, strict: bool) -> list[Kept]:
        connection.execute("BEGIN IMMEDIATE")
        at = self._now()
        results = _assigned(connection, events, at)
        if strict and any(kept.state == "conflict" for kept in results):
            connection.execute("ROLLBACK")
            return [Kept("skipped") if kept.state == "new" else kept for kept in results]
        new = [(event, kept) for event, kept in zip(events, results, strict=True) if kept.state == "new"]
        connection.executemany(_INSERT, [_row(event, kept.seq, at) for event, kept in new])
        connection.executemany(
            "INSERT INTO event_ids (key, hash, seq) VALUES (?, ?, ?)",
            [(event.identity.key, event.identity.content, kept.seq) for event, kept in new if event.identity],
        )
        if new:
            connection.execute("UPDATE log_state SET last_seq = ?", (new[-1][1].seq,))
        connection.execute("COMMIT")
        return results


_PURGED = "SELECT purged_through FROM log_state"


def _assigned(connection: sqlite3.Connection, events: Sequence[Event], at: datetime) -> list[Kept]:
    """What becomes of each event, with the numbers that the new ones get."""
    (last,) = connection.execute("SELECT last_seq FROM log_state").fetchone()
    seq = max(last + 1, micros(at))
    results = []
    back = _returned(connection, events)
    for n, one in enumerate(events):
        kept = _found(connection, one) or back.get(n)
        if kept is None:
            kept = Kept("new", seq, at)
            seq += 1
        results.append(kept)
    return results


def _returned(connection: sqlite3.Connection, events: Sequence[Event]) -> dict[int, Kept]:
    """Those that this log has given their ids, by their places."""
    if (asked := returning(events)) is None:
        return {}
    spans = [(micros(time), asked.first, asked.last) for time in asked.times]
    rows = (row for span in spans for row in connection.execute(_AT, span))
    return {
        n: asked.kept(n, seq, connection.execute(_CONTENT, (seq,)).fetchone())
        for seq, n in asked.places(rows).items()
    }


def _found(connection: sqlite3.Connection, event: Event) -> Kept | None:
    if (identity := event.identity) is None:
        return None
    if (row := connection.execute(_FIND, (identity.key,)).fetchone()) is None:
        return None
    content, seq, time = row
    # An export shows the time that the server gave to an event without one: sent again, it is the same event.
    untimed = content == identity.untimed and event.time is not None and time == micros(event.time)
    return Kept("duplicate" if content == identity.content or untimed else "conflict", seq)


def _row(event: Event, seq: int, at: datetime) -> tuple[Any, ...]:
    received_at = event.received_at or at
    time = micros(event.time or received_at)
    return (seq, micros(received_at), time, event.source, event.action, event.id, event.subject, event.data)


def _writing(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _switch_to_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            # Where another process makes the same file just now, SQLite does not wait by itself.
            if time.monotonic() > until:
                raise
            time.sleep(BUSY_PAUSE)
        else:
            return


def _check(connection: sqlite3.Connection, *, writing: bool) -> Schema:
    connection.execute("BEGIN IMMEDIATE")
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone():
        connection.execute("ROLLBACK")
        return Schema(0, 0)
    if writing:
        connection.execute("UPDATE log_state SET last_seq = last_seq")
    schema = Schema(*connection.execute("SELECT revision, min_code FROM schema_version").fetchone())
    connection.execute("COMMIT")
    return schema


def _purge(connection: sqlite3.Connection, before: int) -> bool:
    """Delete a few of the oldest events; whether there may be more. `before` is a number, in microseconds."""
    connection.execute("BEGIN IMMEDIATE")
    oldest = connection.execute(
        "SELECT seq FROM events WHERE seq < ? ORDER BY seq LIMIT ?", (before, PURGE_STEP)
    ).fetchall()
    if oldest:
        last = (oldest[-1][0],)
        rollup.forget(connection, before)
        connection.execute("DELETE FROM events WHERE seq <= ?", last)
        connection.execute("DELETE FROM event_ids WHERE seq <= ?", last)
        connection.execute("UPDATE log_state SET purged_through = ?", last)
    connection.execute("COMMIT")
    return len(oldest) == PURGE_STEP


def _problem(error: Exception, *, writes: bool) -> Exception:
    reason = away(error)
    if reason is None:
        return error
    # Only an I/O error can leave it open whether a commit reached the disk.
    code = getattr(error, "sqlite_errorname", "")
    outcome: Outcome = "unknown" if code.startswith("SQLITE_IOERR") else "not_kept"
    return Unavailable(reason, outcome=outcome) if writes else Unavailable(reason)


def _engine(path: Path, size: int, *, query_only: bool) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        pool_size=size,
        max_overflow=0,
        pool_timeout=2,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.create_function(JSON_TEXT, 2, json_text, deterministic=True)
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA secure_delete = ON")  # of dead letters that are to be forgotten nothing stays
        cursor.execute(f"PRAGMA query_only = {'ON' if query_only else 'OFF'}")
        cursor.close()

    return engine
