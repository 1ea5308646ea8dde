"""PostgreSQL: a connection that commits groups, and what became of each group when something goes wrong."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import asyncpg

from app.errors import Unavailable
from app.events import Event
from app.store import Kept, keep
from app.store.faults import certain, problem
from app.store.homecoming import returning

COMMIT_SECONDS = 2.0  # for one group; it takes milliseconds, so more means that something hangs
PAUSE_SECONDS = 0.25  # after a failed connect: meanwhile the answer is no at once
ATTEMPTS = 4

How = Literal["lean", "plain", "locked"]  # the statement: for new identities only, for any, for any under the lock
DAYS_AHEAD = 7


class Held:
    """A connection that is made when it is needed, and again after it was dropped."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._connect = connect
        self._connection: asyncpg.Connection | None = None
        self._again_at = 0.0

    async def get(self) -> asyncpg.Connection:
        """The connection. Raises what connecting raised, or Unavailable where that was just now."""
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        if time.monotonic() < self._again_at:
            raise Unavailable("the database cannot be reached")
        self.drop()
        self._again_at = time.monotonic() + PAUSE_SECONDS
        try:
            self._connection = await self._connect()
        finally:
            self._again_at = 0.0 if self._connection else time.monotonic() + PAUSE_SECONDS
        return self._connection

    def drop(self) -> None:
        """Let go of it without a word to the server, which may not be there."""
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None


class Committer:
    """Keeps groups of events whose identities differ. One caller at a time."""

    def __init__(
        self, connect: Callable[[], Awaitable[asyncpg.Connection]], on_unreplicated: Callable[[], None]
    ) -> None:
        self._connect = connect
        self._held = Held(self._prepared)
        self._on_unreplicated = on_unreplicated
        self._unreplicated = False
        self._staged = False
        self._hopeful = True  # that the identities of a large group are all new

    async def each(self, events: Sequence[Event]) -> list[Kept]:
        """Every event by itself: what the database does not take is refused, its neighbours are kept."""
        try:
            return await self._commit(events, strict=False)
        except asyncpg.DataError as error:
            if len(events) == 1:
                return [_refused(error)]
            half = len(events) // 2
            first = await self.each(events[:half])
        try:
            return [*first, *await self.each(events[half:])]
        except Unavailable as problem:
            # The first half is committed, and one answer goes to all who wait for the group.
            raise Unavailable(problem.detail, outcome="unknown") from problem

    async def all(self, events: Sequence[Event]) -> list[Kept]:
        """All of them or none."""
        try:
            results = await self._commit(events, strict=True)
        except asyncpg.DataError as error:
            return [_refused(error)] * len(events)
        skipped = [n for n, kept in enumerate(results) if kept.state == "skipped"]
        if skipped and not any(kept.state == "conflict" for kept in results):
            # The conflict was none after all: only a time that the server had filled in.
            rest = await self.all([events[n] for n in skipped])
            for n, kept in zip(skipped, rest, strict=True):
                results[n] = kept
        return results

    def close(self) -> None:
        """Let go of the connection."""
        self._held.drop()

    async def _prepared(self) -> asyncpg.Connection:
        connection = await self._connect()
        connection.add_log_listener(self._listen)
        self._staged = False
        return connection

    def _listen(self, _: object, message: asyncpg.PostgresLogMessage) -> None:
        # "The transaction has already committed locally, but might not have been replicated to the standby."
        if message.severity_en == "WARNING" and message.sqlstate in ("01000", "57P01"):
            self._unreplicated = True

    async def _commit(self, events: Sequence[Event], *, strict: bool) -> list[Kept]:
        sent = kept = self._unreplicated = False
        try:
            connection = await self._held.get()
            async with asyncio.timeout(COMMIT_SECONDS):
                back = await _returned(connection, events)
                if strict and any(one.state == "conflict" for one in back.values()):
                    return [back.get(n, Kept("skipped")) for n in range(len(events))]
                new = [event for n, event in enumerate(events) if n not in back] if back else events
                sent = True
                results = await self._persist(connection, new, strict=strict) if new else []
                kept = True
                await _forgive(connection, new, results)
                for n in sorted(back):
                    results.insert(n, back[n])
        except Exception as error:
            if kept:
                # All is committed; what could not be told is whether an event is a duplicate or a conflict.
                self._held.drop()
                raise Unavailable("the commit's answer was lost", outcome="unknown") from error
            if isinstance(error, asyncpg.DataError):
                raise
            if not certain(error):
                self._held.drop()
            raise problem(error, sent=sent) from error
        if self._unreplicated:
            self._on_unreplicated()
            raise Unavailable("the commit was not confirmed by a standby", outcome="unknown")
        return results

    async def _persist(
        self, connection: asyncpg.Connection, events: Sequence[Event], *, strict: bool
    ) -> list[Kept]:
        # Few events with ids of their own may well be resent, and an attempt that fails costs more than it saves.
        hopeful = self._hopeful and len(events) >= keep.STAGED_ROWS
        lines = keep.lines(events) if hopeful or all(event.identity is None for event in events) else None

        async def attempt(how: How) -> list[Kept]:
            if how == "lean" and lines is not None:
                return await _lean(connection, lines)
            return await self._keep(connection, keep.records(events), strict=strict, locked=how == "locked")

        return await _insist(connection, attempt, "plain" if lines is None else "lean")

    async def _keep(
        self, connection: asyncpg.Connection, rows: Sequence[keep.Record], *, strict: bool, locked: bool
    ) -> list[Kept]:
        if len(rows) >= keep.STAGED_ROWS:
            await self._stage(connection, rows)
        if locked:
            async with connection.transaction():
                await connection.execute(keep.LOCK)
                answer = await _statement(connection, rows, strict=strict)
        else:
            answer = await _statement(connection, rows, strict=strict)
        results = [_kept(*row) for row in answer]
        self._hopeful = all(kept.state == "new" for kept in results)  # a resend comes in many groups
        return results

    async def _stage(self, connection: asyncpg.Connection, rows: Sequence[keep.Record]) -> None:
        if self._staged:
            await connection.execute(keep.UNSTAGE)
        self._staged = True
        try:
            await connection.copy_records_to_table("incoming", records=rows, columns=keep.COLUMNS)
        except UnicodeEncodeError as error:
            raise asyncpg.DataError(str(error)) from error


async def _insist(
    connection: asyncpg.Connection, attempt: Callable[[How], Awaitable[list[Kept]]], how: How
) -> list[Kept]:
    """Send the statement again where the first failure says how to help."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await attempt(how)
        except asyncpg.UniqueViolationError:
            # Lean: not all of them were new. Plain: another replica committed one of them between our snapshot
            # and our lock.
            how = "plain" if how == "lean" else "locked"
        except asyncpg.CheckViolationError:
            await connection.execute("SELECT collector_add_days($1)", DAYS_AHEAD)
        except asyncpg.InvalidCachedStatementError:
            await connection.reload_schema_state()
    return await attempt("locked")


async def _lean(connection: asyncpg.Connection, lines: keep.Lines) -> list[Kept]:
    first, at = await connection.fetchrow(lines.statement, lines.count, *lines.parameters)
    return [Kept("new", seq, at) for seq in range(first, first + lines.count)]


async def _statement(
    connection: asyncpg.Connection, rows: Sequence[keep.Record], *, strict: bool
) -> Sequence[Any]:
    staged = len(rows) >= keep.STAGED_ROWS
    statement, columns = (keep.KEEP_STAGED, ()) if staged else (keep.KEEP_FEW, zip(*rows, strict=True))
    answer: Sequence[Any] = await connection.fetch(statement, strict, *columns)
    return answer


def _kept(_: int, seq: int | None, at: Any, same: bool | None, __: int) -> Kept:  # noqa: FBT001
    if same is None:
        return Kept("skipped") if seq is None else Kept("new", seq, at)
    return Kept("duplicate" if same else "conflict", seq or 0)


async def _returned(connection: asyncpg.Connection, events: Sequence[Event]) -> dict[int, Kept]:
    """Those that this log has given their ids, by their places."""
    if (asked := returning(events)) is None:
        return {}
    rows = await connection.fetch(keep.AT, asked.times, asked.first, asked.last)
    places = asked.places(tuple(row) for row in rows)
    if not places:
        return {}
    found = await connection.fetch(keep.CONTENT, list(places))
    return {places[seq]: asked.kept(places[seq], seq, content) for seq, *content, _ in found}


async def _forgive(connection: asyncpg.Connection, events: Sequence[Event], results: list[Kept]) -> None:
    """Conflicts that are none: only a time that the server had filled in."""
    asked = [
        (n, event.identity, event.time)
        for n, (event, kept) in enumerate(zip(events, results, strict=True))
        if kept.state == "conflict" and event.time and event.identity
    ]
    if asked:
        columns = zip(*((one.key, one.untimed, time) for _, one, time in asked), strict=True)
        same = {row["key"] for row in await connection.fetch(keep.SAME_BUT_FOR_TIME, *columns)}
        for n, identity, _ in asked:
            if identity.key in same:
                results[n] = Kept("duplicate", results[n].seq)


def _refused(error: asyncpg.PostgresError) -> Kept:
    return Kept("refused", reason=f"the database does not take it ({error.sqlstate or 'not encodable'})")
