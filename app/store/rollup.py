"""The rollup: what every source comes to, without reading the whole log for it.

1. Exact. `seq` is the order of commits, and numbers become visible in it: what is summed up to a number stays
   right, and the rows after it are counted as they are. One statement reads both, and how far the sums reach.
2. In steps. Each adds some rows to the sums and moves `rolled_through` in one transaction: a crash loses the step
   or nothing.
3. By day of `seq`, as retention goes. With a day go its sums; where its rows then go little by little (SQLite),
   they are counted as they are until the last of them has gone.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, cast, func, literal, select, true, union_all

from app.store.tables import events, log_state, source_rollup

DAY = 86_400_000_000  # numbers, which are microseconds: one day of them
Wanted = Callable[[ColumnElement[str]], ColumnElement[bool]]  # the condition on a column of sources
LAST = 2**63 - 1  # the highest number there could be

_SUM_UP = f"""INSERT INTO source_rollup (day, source, events, first_seen, last_seen)
SELECT seq / {DAY}, source, count(*), min(time), max(time) FROM events WHERE seq > ? AND seq <= ? GROUP BY 1, 2
ON CONFLICT (day, source) DO UPDATE SET events = events + excluded.events,
first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen)"""


def summaries(dialect: str, wanted: Wanted = lambda _: true()) -> Select[Any]:
    """Source, first and last time, events: every source that is wanted, by name."""
    reached = select(log_state.c.rolled_through).scalar_subquery()
    oldest = select(func.coalesce(func.min(source_rollup.c.day) * DAY, LAST)).scalar_subquery()
    rolled = source_rollup.c
    # Between two bounds: an open end PostgreSQL takes for a third of the log, and SQLite for all of it.
    of_them = wanted(events.c.source)
    live = _counted(of_them, events.c.seq > reached, events.c.seq <= literal(LAST, BigInteger))
    going = _counted(of_them, events.c.seq > 0, events.c.seq < oldest, events.c.seq <= reached)
    sums = select(rolled.source, rolled.first_seen, rolled.last_seen, rolled.events).where(wanted(rolled.source))
    parts = union_all(sums, live, *([going] if dialect == "sqlite" else [])).subquery()
    return (
        select(
            parts.c.source,
            func.min(parts.c.first_seen),
            func.max(parts.c.last_seen),
            cast(func.sum(parts.c.events), BigInteger),
        )
        .group_by(parts.c.source)
        .order_by(parts.c.source)
    )


def roll_up(connection: sqlite3.Connection, step: int) -> bool:
    """SQLite: sum up the next `step` rows; whether there may be more."""
    connection.execute("BEGIN IMMEDIATE")
    (past,) = connection.execute("SELECT rolled_through FROM log_state").fetchone()
    found, through = connection.execute(
        "SELECT count(*), max(seq) FROM (SELECT seq FROM events WHERE seq > ? ORDER BY seq LIMIT ?)", (past, step)
    ).fetchone()
    if found:
        connection.execute(_SUM_UP, (past, through))
        connection.execute("UPDATE log_state SET rolled_through = ?", (through,))
    connection.execute("COMMIT")
    return bool(found == step)


def forget(connection: sqlite3.Connection, before: int) -> None:
    """SQLite, within a transaction: from now on rows below `before`, where a day begins, are not summed up."""
    connection.execute("DELETE FROM source_rollup WHERE day < ?", (before // DAY,))
    connection.execute("UPDATE log_state SET rolled_through = max(rolled_through, ?)", (before - 1,))


def _counted(*condition: Any) -> Select[Any]:
    source, time = events.c.source, events.c.time
    return select(source, func.min(time), func.max(time), func.count()).where(*condition).group_by(source)
