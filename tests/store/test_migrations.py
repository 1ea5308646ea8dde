"""Migrations: any number at once, the tables that the code thinks it has, and a schema that does not fit."""

import asyncio
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from app.errors import Unavailable
from app.store import CODE, Schema
from app.store.postgres import PostgresStore
from app.store.sqlite import SqliteStore
from app.store.tables import METADATA
from tests.child import clean_environment
from tests.databases import ROOT, create_database, drop_database
from tests.store.bases import AnyStore, Base, PostgresBase, SqliteBase, postgres_store
from tests.store.make import event
from tests.store.schema import described

AT_ONCE = 5
ROUNDS = 3


async def migrated_at_once(setting: str, value: str) -> None:
    """Run `python -m app migrate` several times at once; all must end well."""
    command = (sys.executable, "-m", "app", "migrate")
    env = {**clean_environment(), setting: value}
    pipe = asyncio.subprocess.PIPE
    running = [
        await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=env, stdout=pipe, stderr=asyncio.subprocess.STDOUT
        )
        for _ in range(AT_ONCE)
    ]
    outputs = await asyncio.gather(*(process.communicate() for process in running))
    codes = [process.returncode for process in running]
    assert codes == [0] * AT_ONCE, b"\n".join(output for output, _ in outputs).decode()


async def test_five_at_once_make_the_schema_that_one_makes(postgres_server: str, postgres_url: str) -> None:
    for _ in range(ROUNDS):
        url = await create_database(postgres_server)
        await migrated_at_once("POSTGRES_CONNECTION_STRING", url)
        assert await described(url) == await described(postgres_url)
        await drop_database(postgres_server, url)


def file_described(path: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    queries = ("SELECT type, name, sql FROM sqlite_master ORDER BY name", "SELECT * FROM schema_version")
    found = [row for query in queries for row in connection.execute(query)]
    assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    connection.close()
    return found


async def test_five_at_once_make_the_file_that_one_makes(tmp_path: Path, sqlite_base: SqliteBase) -> None:
    path = tmp_path / "new.db"
    await migrated_at_once("SQLITE_PATH", str(path))
    assert file_described(path) == file_described(sqlite_base.path)


async def test_stores_of_one_process_may_migrate_at_once(tmp_path: Path, sqlite_base: SqliteBase) -> None:
    path = tmp_path / "new.db"
    stores = [SqliteStore(path) for _ in range(AT_ONCE)]
    await asyncio.gather(*(store.migrate() for store in stores))
    for store in stores:
        assert (await store.check(writing=True)).usable
        await store.close()
    assert file_described(path) == file_described(sqlite_base.path)


async def test_a_migration_that_is_done_is_done_again_without_harm(store: AnyStore) -> None:
    await store.keep([event("1")], strict=False)
    await store.migrate()
    assert [kept.state for kept in await store.keep([event("1")], strict=False)] == ["duplicate"]


async def test_a_migration_waits_no_longer_than_its_lock_timeout(
    postgres_base: PostgresBase, postgres: PostgresStore
) -> None:
    holder = await asyncpg.connect(postgres_base.url)
    await holder.execute("BEGIN; LOCK TABLE alembic_version")
    begin = time.monotonic()
    with pytest.raises(Unavailable):
        await postgres.migrate()
    assert time.monotonic() - begin < 4
    await holder.close()
    await postgres.migrate()


def differences(connection: Connection) -> list[Any]:
    def included(name: str | None, kind: str, parents: object) -> bool:
        return not (kind == "table" and str(name).startswith("events_"))  # a day

    context = MigrationContext.configure(connection, opts={"include_name": included, "compare_type": True})
    found: list[Any] = compare_metadata(context, METADATA)
    return found


async def test_the_schema_is_what_the_code_thinks_it_is(base: Base) -> None:
    if isinstance(base, SqliteBase):
        engine = create_async_engine(f"sqlite+aiosqlite:///{base.path}")
    else:
        assert isinstance(base, PostgresBase)
        engine = create_async_engine(base.url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


@pytest.mark.parametrize(
    ("revision", "min_code", "usable"),
    [
        (CODE, CODE, True),
        (CODE + 5, CODE, True),  # migrated ahead of this code, which it still admits
        (CODE + 5, CODE + 1, False),
        (CODE - 1, CODE - 1, False),
        (0, 0, False),
    ],
)
async def test_a_schema_fits_by_its_revision_and_the_code_it_admits(
    new_base: Base, revision: int, min_code: int, usable: bool
) -> None:
    await new_base.rows(f"UPDATE schema_version SET revision = {revision}, min_code = {min_code}")
    store = new_base.open()
    schema = await store.check(writing=False)
    assert (schema, schema.usable) == (Schema(revision, min_code), usable)
    await store.close()


async def test_an_empty_postgres_has_no_schema_yet(empty_postgres_url: str) -> None:
    store = postgres_store(empty_postgres_url)
    for writing in (False, True):
        assert await store.check(writing=writing) == Schema(0, 0)
    await without_a_schema(store)
    await store.close()


async def test_an_empty_file_has_no_schema_yet(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "folder" / "empty.db")
    assert await store.check(writing=True) == Schema(0, 0)
    await without_a_schema(store)
    await store.close()


async def without_a_schema(store: AnyStore) -> None:
    with pytest.raises(Unavailable) as raised:
        await store.keep([event()], strict=False)
    assert (raised.value.outcome, raised.value.detail) == ("not_kept", "the schema is not there yet")
    with pytest.raises(Unavailable):
        await store.reader.head()
    await store.migrate()
    assert (await store.check(writing=True)).usable
    assert [kept.state for kept in await store.keep([event()], strict=False)] == ["new"]
