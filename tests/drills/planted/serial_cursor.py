"""Serial cursor: an event gets its number from a sequence when it is inserted, and shows when it is committed.

As `BIGSERIAL` and an ORM do. Of two writers the one with the lower number may commit later, and a reader who is
past it by then never sees it: a drill with two replicas, one of them slow on its way to the database, must find
gaps in the tail. Without a fault two replicas may show some too, since they need no more than milliseconds of bad
luck; one alone shows none.
"""

import sys
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from app.store import Kept, keep
from app.store.commit import Committer
from app.store.postgres import PostgresStore
from tests.drills.planted import swap

# Numbers begin anew, and higher, each day: the log's days are ranges of microseconds since 1970.
_CHANGES = (
    (f"pg_advisory_xact_lock({keep.ORDER_LOCK})", "0"),
    (
        "count(*) FILTER (WHERE k.seq IS NULL) OVER (ORDER BY n ROWS UNBOUNDED PRECEDING) AS r",
        "CASE WHEN k.seq IS NULL THEN nextval('event_seq') END AS r",
    ),
    (
        """setval('event_seq', greatest(coalesce(pg_sequence_last_value('event_seq'), 0),
    (extract(epoch FROM max(at)) * 1000000)::bigint) + max(r)) - max(r) AS base""",
        "(extract(epoch FROM date_trunc('day', max(at), 'UTC')) * 1000000)::bigint AS base",
    ),
    ("HAVING max(r) = 0 AND", "HAVING max(r) IS NULL AND"),
)


def plant() -> None:
    """Plant it, in what writes to PostgreSQL."""
    swap(keep, "KEEP_FEW", _unordered)
    swap(keep, "LOCK", lambda _: "SELECT")
    # One statement for groups of all sizes, and no page kept in memory: the rest leans on the lock.
    swap(keep, "STAGED_ROWS", lambda _: sys.maxsize)
    swap(keep, "lines", lambda _: lambda _: None)
    swap(PostgresStore, "settled", lambda _: _never)
    swap(Committer, "_keep", _keeping)


def _unordered(statement: str) -> str:
    for sound, planted in _CHANGES:
        if sound not in statement:
            raise LookupError(sound)
        statement = statement.replace(sound, planted)
    return statement


def _keeping(sound: Callable[..., Awaitable[list[Kept]]]) -> Callable[..., Awaitable[list[Kept]]]:
    async def keep_(
        self: Committer, connection: asyncpg.Connection, rows: Sequence[keep.Record], *, strict: bool, locked: bool
    ) -> list[Kept]:
        # The INSERT and the COMMIT are two messages, with a way to the database and back between them.
        async with connection.transaction():
            return await sound(self, connection, rows, strict=strict, locked=locked)

    return keep_


async def _never(_: PostgresStore) -> None:
    """Always under way."""
