"""A purge: which events it is of, and their deletion in small steps.

1. Bounded by a number. What is to be forgotten is of one source, received before a moment, and has a number up to
   one that the log had reached: new events are above it, so that the set only shrinks, and whoever begins again
   after a crash finds what is left of it.
2. In windows. A source may have millions of events that stay: they are passed over in statements that each look at
   so many rows and no more.
3. In steps. Each deletes some events, their identities and their part in the rollup in one transaction.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import Select, case, func, select

from app.events import key_of
from app.store import Doomed, Portion, Tally
from app.store.rollup import DAY
from app.store.tables import events

COUNT_WINDOW = 50_000  # rows looked at by one statement that counts
FEW = 10_000  # rows of a source's day that are read to find the first and the last

Ask = Callable[[Any], Awaitable[Sequence[Any]]]
Delete = Callable[[Portion], Awaitable[int]]

_OF_DAY = "FROM events INDEXED BY {index} WHERE source = ? AND seq BETWEEN ? AND ?"
_FEW_LEFT = f"SELECT min(time), max(time) {_OF_DAY.format(index='events_source_seq')}"
_BY_TIME = _OF_DAY.format(index="events_time")
_MANY_LEFT = f"""SELECT (SELECT time {_BY_TIME} AND time >= ? ORDER BY time LIMIT 1),
(SELECT time {_BY_TIME} AND time <= ? ORDER BY time DESC LIMIT 1)"""


async def _nothing() -> None:
    """What there is left to do at the end, unless somebody says otherwise."""


class SqlPurger:
    """`ask` reads, `delete` forgets a portion of at most `step` events, `end` is called after the last of them."""

    def __init__(
        self, ask: Ask, delete: Delete, step: int, *, end: Callable[[], Awaitable[None]] = _nothing
    ) -> None:
        self._ask = ask
        self._delete = delete
        self._step = step
        self._end = end

    async def tally(self, doomed: Doomed) -> Tally | None:
        """What there is of them."""
        found: list[Tally] = []
        after: int | None = 0
        while after is not None:
            count, first, last, looked_at, reached = await self._window(doomed, after)
            found += [Tally(count, first, last)] if count else []
            after = reached if looked_at == COUNT_WINDOW else None
        if not found:
            return None
        return Tally(
            sum(one.events for one in found), min(one.first for one in found), max(one.last for one in found)
        )

    async def portion(self, doomed: Doomed, after: int) -> Portion:
        """The next few of them, from among as many events of their source as one step may delete."""
        columns = (events.c.seq, events.c.id, events.c.received_at)
        rows = await self._ask(_looked_at(doomed, after, self._step, *columns))
        found = [(seq, id_) for seq, id_, received_at in rows if received_at < doomed.before]
        return Portion(
            [seq for seq, _ in found],
            [key_of(doomed.source, id_) for _, id_ in found],
            rows[-1][0] if len(rows) == self._step else None,
        )

    async def delete(self, portion: Portion) -> int:
        """Forget them."""
        return await self._delete(portion) if portion.seqs else 0

    async def end(self) -> None:
        """Leave nothing of them behind that can be helped."""
        await self._end()

    async def _window(self, doomed: Doomed, after: int) -> Any:
        rows = _looked_at(doomed, after, COUNT_WINDOW, events.c.seq, events.c.received_at).subquery()
        received_at = case((rows.c.received_at < doomed.before, rows.c.received_at))
        counted = (func.count(received_at), func.min(received_at), func.max(received_at))
        ((*found,),) = await self._ask(select(*counted, func.count(), func.max(rows.c.seq)).select_from(rows))
        return found


def _looked_at(doomed: Doomed, after: int, limit: int, *columns: Any) -> Select[Any]:
    seq = events.c.seq
    of_it = (events.c.source == doomed.source, seq > after, seq <= doomed.through)
    return select(*columns).where(*of_it).order_by(seq).limit(limit)


def delete(connection: sqlite3.Connection, portion: Portion) -> int:
    """SQLite: forget a portion, overwritten by zeros; how many there were. PostgreSQL has a function for it."""
    connection.execute("PRAGMA secure_delete = ON")
    try:
        connection.execute("BEGIN IMMEDIATE")
        (rolled,) = connection.execute("SELECT rolled_through FROM log_state").fetchone()
        here = ", ".join("?" * len(portion.seqs))
        gone = connection.execute(
            f"SELECT seq / {DAY}, source, min(time), max(time), count(*), sum(seq <= ?) FROM events "
            f"WHERE seq IN ({here}) GROUP BY 1, 2",
            (rolled, *portion.seqs),
        ).fetchall()
        identities = zip(portion.keys, portion.seqs, strict=True)
        connection.executemany("DELETE FROM event_ids WHERE key = ? AND seq = ?", identities)
        connection.executemany("DELETE FROM events WHERE seq = ?", [(seq,) for seq in portion.seqs])
        for day, source, first, last, _, summed in gone:
            _take_off(connection, (day, source), (first, last, summed), rolled)
        connection.execute("COMMIT")
    finally:
        connection.execute("PRAGMA secure_delete = OFF")
    return sum(count for *_, count, _ in gone)


def let_go(connection: sqlite3.Connection) -> None:
    """SQLite: empty the write-ahead log, which may hold pages from before a deletion, unless somebody reads it."""
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience}")


def _take_off(
    connection: sqlite3.Connection, which: tuple[int, str], gone: tuple[int, int, int], rolled: int
) -> None:
    """Correct what a source's day comes to. Few rows that are left are read; among many, the one that is next by
    time is near. `gone`: their first and last moment, and how many of them were summed up."""
    first, last, summed = gone
    found = connection.execute(
        "UPDATE source_rollup SET events = events - ? WHERE day = ? AND source = ? "
        "RETURNING events, first_seen, last_seen",
        (summed, *which),
    ).fetchone()
    if found is None:
        return
    left, first_seen, last_seen = found
    if left == 0:
        connection.execute("DELETE FROM source_rollup WHERE day = ? AND source = ?", which)
    elif first <= first_seen or last >= last_seen:
        day, source = which
        rest = (source, day * DAY, min((day + 1) * DAY - 1, rolled))
        if left <= FEW:
            ends = connection.execute(_FEW_LEFT, rest).fetchone()
        else:
            ends = connection.execute(_MANY_LEFT, (*rest, first_seen, *rest, last_seen)).fetchone()
        connection.execute(
            "UPDATE source_rollup SET first_seen = ?, last_seen = ? WHERE day = ? AND source = ?", (*ends, *which)
        )
