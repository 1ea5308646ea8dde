"""Bases: a database each, with what a test must be able to do to it behind the store's back."""

import asyncio
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import asyncpg

from app.events import key_of
from app.store.postgres import PostgresStore
from app.store.reader import SqlReader
from app.store.sqlite import SqliteStore

DAY = 86_400_000_000  # microseconds, and numbers
Rows = list[tuple[Any, ...]]
AnyStore = SqliteStore | PostgresStore


class Base(Protocol):
    """A database with the schema; `open` makes one more store on it, `rows` runs a statement on its own."""

    kind: str

    def open(self) -> AnyStore: ...

    async def rows(self, statement: str, *values: object) -> Rows: ...

    async def today(self) -> int:
        """Days since 1970, by the clock that commits go by."""
        ...

    async def put(self, seq: int, id_: str) -> None:
        """Insert an event of `old` with this number, on whatever day that is, and its identity."""
        ...


class Clock:
    """A clock that stands still unless it is told; real time until then."""

    def __init__(self) -> None:
        self.at: datetime | None = None

    def __call__(self) -> datetime:
        return self.at or datetime.now(UTC)


class SqliteBase:
    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()

    def open(self) -> SqliteStore:
        return SqliteStore(self.path, now=self.clock)

    async def rows(self, statement: str, *values: object) -> Rows:
        return await asyncio.to_thread(self._rows, statement, values)

    async def today(self) -> int:
        return (self.clock() - datetime(1970, 1, 1, tzinfo=UTC)).days

    async def put(self, seq: int, id_: str) -> None:
        await self.rows("INSERT INTO events VALUES (?, ?, ?, 'old', 'put', ?, NULL, NULL)", seq, seq, seq, id_)
        await self.rows("INSERT INTO event_ids VALUES (?, ?, ?)", key_of("old", id_), b"0" * 16, seq)

    def _rows(self, statement: str, values: tuple[object, ...]) -> Rows:
        connection = sqlite3.connect(self.path, timeout=5)
        try:
            found = connection.execute(statement, values).fetchall()
            connection.commit()
            return found
        finally:
            connection.close()


class PostgresBase:
    kind = "postgresql"

    def __init__(self, url: str) -> None:
        self.url = url

    def open(self) -> PostgresStore:
        return postgres_store(self.url)

    async def rows(self, statement: str, *values: object) -> Rows:
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(statement, *values)]
        finally:
            await connection.close()

    async def forget(self) -> None:
        """Empty the log."""
        for table in ("events", "event_ids", "source_rollup"):
            await self.rows(f"DELETE FROM {table}")
        await self.rows("UPDATE log_state SET purged_through = 0, rolled_through = 0")
        await self.rows("SELECT setval('event_seq', 1, false)")

    async def today(self) -> int:
        found = await self.rows("SELECT (now() AT TIME ZONE 'UTC')::date - date '1970-01-01'")
        return int(found[0][0])

    async def put(self, seq: int, id_: str) -> None:
        await self.rows("SELECT collector_add_day(date '1970-01-01' + $1::int)", seq // DAY)
        at = "to_timestamp($1::bigint / 1000000)"
        await self.rows(
            f"INSERT INTO events VALUES ($1::bigint, {at}, {at}, 'old', 'put', $2, NULL, NULL)", seq, id_
        )
        key = UUID(bytes=key_of("old", id_))
        await self.rows("INSERT INTO event_ids VALUES ($2, $2, $1)", seq, key)


def postgres_store(url: str, pool_size: int = 2) -> PostgresStore:
    """A store that counts nothing."""
    return PostgresStore(url, password=None, pool_size=pool_size, on_unreplicated=lambda: None)


def reader_of(store: AnyStore) -> SqlReader:
    """The reader, which both have."""
    return store.reader
