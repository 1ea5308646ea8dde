"""Reading the log, for both databases: pages, scans, sources, counts.

1. No reader that follows a cursor misses an event. Numbers become visible in their order, and what bounds a page
   (`head`, the edge of the window) is read before its rows, so that no row between the two is passed over.
2. Every answer is bounded: in time, in rows looked at, in bytes held.
3. Times are not in the order of the log, and no planner knows how nearly they are. So a page of a time span looks
   at the next few thousand events first, which is all it takes where the span begins there, and only then finds
   the span by its index and sorts it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, Select, Text, cast, desc, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import CursorGone, Unavailable
from app.events import Stored
from app.query import Filter, PageQuery, StatsQuery
from app.store import ALL, Count, Page, SourceSummary
from app.store.expressions import at_times, from_sources, micros_of, narrowing, scanning
from app.store.rollup import summaries
from app.store.scan import scanned
from app.store.tables import MICROSECOND, events, log_state, micros

READ_SECONDS = 4.0  # for all of one answer; the promise is 5 s, and letting go of a stalled connection takes time
TEXT_WINDOW = 50_000  # rows that one page looks into for text or data
LABEL_WINDOW = 1_000_000  # rows that one page looks at for an action, a subject or an id
NEARBY = 5_000  # rows that a page of a time span looks at before it sorts the span

_COLUMNS = (
    events.c.seq,
    events.c.id,
    events.c.source,
    events.c.action,
    events.c.subject,
    events.c.time,
    events.c.received_at,
    cast(events.c.data, Text).label("data"),  # the text as it is: nobody here looks into it
)
_NULL = msgspec.Raw(b"null")


class SqlReader:
    """Reads through a SQLAlchemy engine. `explain` maps a driver's error to the problem that it means."""

    def __init__(self, engine: AsyncEngine, explain: Callable[[Exception], Unavailable | None]) -> None:
        self._engine = engine
        self._explain = explain
        self._dialect = engine.dialect.name
        self._under_way: set[asyncio.Task[Page]] = set()

    async def page(self, query: PageQuery) -> Page:
        """At most `query.limit` events."""
        return await self._to_its_end(self._read(query))

    def scan(self, query: PageQuery) -> AsyncIterator[Page]:
        """All of it, page by page."""
        return scanned(self, query)

    async def event(self, seq: int) -> Stored | None:
        """One event."""
        async with self._connection() as connection:
            row = (await connection.execute(select(*_COLUMNS).where(events.c.seq == seq))).first()
            return None if row is None else _stored(row)

    async def head(self) -> int:
        """The highest number that can be read."""
        async with self._connection() as connection:
            return await _head(connection)

    async def ask(self, question: Select[Any]) -> Sequence[Row[Any]]:
        """The rows that answer a question of the store's own."""
        async with self._connection() as connection:
            found: Sequence[Row[Any]] = (await connection.execute(question)).all()
            return found

    async def sources(self, filter_: Filter = ALL) -> list[SourceSummary]:
        """The sources that match, by name."""
        statement = summaries(self._dialect, partial(from_sources, filter_, self._dialect))
        async with self._connection() as connection:
            return [SourceSummary(*row) for row in await connection.execute(statement)]

    async def counts(self, query: StatsQuery) -> list[Count]:
        """Events a bucket and label."""
        labels = [events.c[name] for name in query.by]
        bucket = ((micros_of(events.c.time) - micros(query.since)) // (query.step // MICROSECOND)).label("bucket")
        statement = (
            select(*labels, bucket, func.count())
            .where(narrowing(query.filter, self._dialect), *scanning(query.filter, events.c))
            .group_by(*labels, bucket)
        )
        async with self._connection() as connection:
            rows = await connection.execute(statement)
            return [Count(tuple(row[:-2]), int(row[-2]), row[-1]) for row in rows]

    async def _read(self, query: PageQuery) -> Page:
        async with self._connection() as connection:
            return await self._page(connection, query)

    async def _to_its_end(self, reading: Coroutine[Any, Any, Page]) -> Page:
        """What is read, even if nobody waits for it any longer: a client that goes away in the middle of a stream
        would have its connection broken off, which the driver does not survive in good order."""
        task = asyncio.create_task(reading)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Page]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # asked for, so that nothing is said where nobody waited

    async def _page(self, connection: AsyncConnection, query: PageQuery) -> Page:
        scans = _window(query.filter)
        # Read first: whatever is committed after this has a higher number, and is left to the next page.
        head = await _head(connection) if scans or query.order == "asc" else None
        edge = None
        found = await self._nearby(connection, query)
        if not found:
            condition = [narrowing(query.filter, self._dialect), *_between(query, head)]
            edge = None if scans is None else await _edge(connection, query, condition, scans)
            found = await self._found(connection, _select(query, condition, scans))
        if query.cursor is not None:
            await _refuse_if_gone(connection, query.cursor)
        return _page(query, found, head, edge)

    async def _nearby(self, connection: AsyncConnection, query: PageQuery) -> list[Stored]:
        """A full page of a time span from the next few events of the log, or none."""
        if (query.filter.since or query.filter.until) is None or query.limit is None:
            return []
        condition = [from_sources(query.filter, self._dialect), *_between(query, None)]
        found = await self._found(connection, _select(query, condition, NEARBY))
        return found if len(found) == query.limit else []

    async def _found(self, connection: AsyncConnection, statement: Select[Any]) -> list[Stored]:
        return [_stored(row) for row in await connection.execute(statement)]

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with asyncio.timeout(READ_SECONDS), self._engine.connect() as connection:
                yield connection
        except Exception as error:
            problem = self._explain(error)
            if problem is None:
                raise
            raise problem from error


def _window(filter_: Filter) -> int | None:
    """How many rows a page may look at one by one; None where an index finds them."""
    if filter_.text is not None or filter_.data:
        return TEXT_WINDOW
    return LABEL_WINDOW if filter_.id or filter_.action or filter_.subject else None


def _by_position(query: PageQuery, column: ColumnElement[int]) -> ColumnElement[int]:
    return column if query.order == "asc" else desc(column)


def _between(query: PageQuery, head: int | None) -> list[ColumnElement[bool]]:
    seq = events.c.seq
    if query.cursor is not None:
        return [seq > query.cursor if query.order == "asc" else seq < query.cursor]
    return [seq <= head] if query.order == "desc" and head is not None else []


def _select(query: PageQuery, condition: list[ColumnElement[bool]], window: int | None) -> Select[Any]:
    rows = select(*_COLUMNS).where(*condition).order_by(_by_position(query, events.c.seq))
    if window is None and query.filter.since is not None:
        return _of_span(query, condition)
    if window is None:
        return rows.limit(query.limit)
    looked_at = rows.limit(window).subquery()
    times = at_times(query.filter, looked_at.c)
    matching = select(looked_at).where(*times, *scanning(query.filter, looked_at.c))
    return matching.order_by(_by_position(query, looked_at.c.seq)).limit(query.limit)


def _of_span(query: PageQuery, condition: list[ColumnElement[bool]]) -> Select[Any]:
    """Sorts positions alone, and keeps the planner from walking the log backwards until it meets the span. A span
    without a beginning may be nearly all of the log: that one is walked to."""
    span = select(events.c.seq).where(*condition).cte("span").prefix_with("MATERIALIZED", dialect="postgresql")
    first = select(span.c.seq).order_by(_by_position(query, span.c.seq)).limit(query.limit)
    return select(*_COLUMNS).where(events.c.seq.in_(first)).order_by(_by_position(query, events.c.seq))


async def _edge(
    connection: AsyncConnection, query: PageQuery, condition: list[ColumnElement[bool]], window: int
) -> int | None:
    """The last position that the window reaches; None where it reaches the end."""
    position = select(events.c.seq).where(*condition).order_by(_by_position(query, events.c.seq))
    return await connection.scalar(position.offset(window - 1).limit(1))


async def _head(connection: AsyncConnection) -> int:
    return await connection.scalar(select(events.c.seq).order_by(desc(events.c.seq)).limit(1)) or 0


async def _refuse_if_gone(connection: AsyncConnection, cursor: int) -> None:
    # Asked after the rows were read: what retention drops meanwhile is then known here.
    purged = await connection.scalar(select(log_state.c.purged_through)) or 0
    if cursor < purged:
        raise CursorGone("retention has dropped events after this position", earliest=str(purged))


def _page(query: PageQuery, found: list[Stored], head: int | None, edge: int | None) -> Page:
    if len(found) == query.limit:
        return Page(found, found[-1].seq, last=False)
    if edge is not None:
        # Retention may have moved the window since its edge was read.
        reached = [edge, *(event.seq for event in found[-1:])]
        return Page(found, max(reached) if query.order == "asc" else min(reached), last=False)
    if query.order == "asc":
        last = found[-1].seq if found else query.cursor or 0
        return Page(found, max(last, head or 0), last=True)
    return Page(found, found[-1].seq if found else query.cursor, last=True)


def _stored(row: Row[Any]) -> Stored:
    seq, id_, source, action, subject, time, received_at, data = tuple(row)
    return Stored(
        seq=seq,
        id=id_,
        source=source,
        action=action,
        subject=subject,
        time=time,
        received_at=received_at,
        data=_NULL if data is None else msgspec.Raw(data.encode()),
    )
