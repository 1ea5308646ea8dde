"""Fixtures: every database that the store runs on, fresh for each test."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import POSTGRES
from tests.databases import create_database, database_name, drop_database, migrate
from tests.sources import Source
from tests.store.bases import AnyStore, Base, PostgresBase, SqliteBase, postgres_store


@dataclass(frozen=True)
class Server:
    """A PostgreSQL, and two databases on it that have the schema."""

    url: str
    template: str  # nobody is connected to it
    shared: str  # its tables are emptied between tests


@pytest.fixture(scope="session")
def served() -> Iterator[Callable[[Source], Server]]:
    """Starts each server once, however many fixtures have it as a parameter."""
    with ExitStack() as stack:

        @cache
        def serve(source: Source) -> Server:
            url = stack.enter_context(source.serve())
            template = asyncio.run(create_database(url))
            migrate(template)
            shared = asyncio.run(create_database(url, template=database_name(template)))
            stack.callback(_drop, url, template, shared)
            return Server(url, template, shared)

        yield serve


@pytest.fixture(scope="session", params=[None, *POSTGRES.sources], ids=lambda s: s.name if s else "sqlite")
def server(request: pytest.FixtureRequest, served: Callable[[Source], Server]) -> Server | None:
    """The server of a database; None where it is a file."""
    return None if request.param is None else served(request.param)


@pytest.fixture(scope="session")
def newest(served: Callable[[Source], Server]) -> Server:
    """The newest PostgreSQL."""
    return served(POSTGRES.sources[-1])


@pytest.fixture(scope="session", params=POSTGRES.sources, ids=lambda source: source.name)
def postgres_server(request: pytest.FixtureRequest, served: Callable[[Source], Server]) -> str:
    """The URL of a PostgreSQL, for its superuser: the same servers as above."""
    return served(request.param).url


@pytest.fixture(scope="session")
def template(request: pytest.FixtureRequest, postgres_server: str, served: Callable[[Source], Server]) -> str:
    """The name of a database that has the schema, and that nobody is connected to."""
    (source,) = (source for source in POSTGRES.sources if served(source).url == postgres_server)
    return database_name(served(source).template)


@pytest.fixture
async def base(server: Server | None, tmp_path: Path) -> Base:
    """An empty log: SQLite, then each PostgreSQL. Quick; a test that changes the schema takes `new_base`."""
    if server is None:
        return await _file(tmp_path)
    base = PostgresBase(server.shared)
    await base.forget()
    return base


@pytest.fixture
async def new_base(server: Server | None, tmp_path: Path) -> AsyncIterator[Base]:
    """A fresh database with the schema: SQLite, then each PostgreSQL."""
    if server is None:
        yield await _file(tmp_path)
        return
    url = await create_database(server.url, template=database_name(server.template))
    yield PostgresBase(url)
    await drop_database(server.url, url)


def _drop(server: str, *databases: str) -> None:
    for database in databases:
        asyncio.run(drop_database(server, database))


async def _file(folder: Path) -> SqliteBase:
    base = SqliteBase(folder / "log.db")
    store = base.open()
    await store.migrate()
    await store.close()
    return base


@pytest.fixture
async def store(base: Base) -> AsyncIterator[AnyStore]:
    """A store with an empty log: SQLite, then each PostgreSQL."""
    store = base.open()
    yield store
    await store.close()


@pytest.fixture
async def sqlite_base(tmp_path: Path) -> SqliteBase:
    """A fresh SQLite file with the schema."""
    return await _file(tmp_path)


@pytest.fixture
def postgres_base(postgres_url: str) -> PostgresBase:
    """A fresh PostgreSQL database with the schema."""
    return PostgresBase(postgres_url)


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[AnyStore]:
    """A store on a fresh PostgreSQL database."""
    store = postgres_store(postgres_url)
    yield store
    await store.close()
