"""Fixtures: one collector on SQLite and one on PostgreSQL for all tests, and clients of both."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Literal

import httpx
import pytest

from tests.databases import create_database, database_name, drop_database, migrate
from tests.http.serving import async_client_of, client_of, running
from tests.process import CollectorProcess
from tests.sources import find_postgres

Backend = Literal["sqlite", "postgres"]
NewPostgres = Callable[..., str]
Settings = dict[str, str]


@pytest.fixture(scope="session")
def new_postgres() -> Iterator[NewPostgres]:
    """Makes a database on the newest PostgreSQL that can be had, empty but for what is in its template.

    Gives its URL.
    """
    with find_postgres(os.environ).sources[-1].serve() as server:
        made: list[str] = []

        def make(template: str = "template1") -> str:
            made.append(asyncio.run(create_database(server, template=template)))
            return made[-1]

        yield make
        for url in made:
            asyncio.run(drop_database(server, url))


@pytest.fixture(scope="session")
def migrated(new_postgres: NewPostgres) -> str:
    """The name of a template that has the schema."""
    url = new_postgres()
    migrate(url)
    return database_name(url)


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Where events are kept."""
    chosen: Backend = request.param
    return chosen


@pytest.fixture(scope="session")
def new_settings(
    request: pytest.FixtureRequest, backend: Backend, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Settings]:
    """Makes the environment of a collector with a log of its own, which is empty."""

    def make() -> Settings:
        if backend == "sqlite":
            return sqlite_at(tmp_path_factory.mktemp("collector"))
        new_postgres: NewPostgres = request.getfixturevalue("new_postgres")
        return {"POSTGRES_CONNECTION_STRING": new_postgres(request.getfixturevalue("migrated"))}

    return make


@pytest.fixture
def settings(new_settings: Callable[[], Settings]) -> Settings:
    """The environment of a collector of the test's own."""
    return new_settings()


@pytest.fixture(scope="session")
def collector(new_settings: Callable[[], Settings]) -> Iterator[CollectorProcess]:
    """The collector that the tests share; each keeps to a source of its own."""
    with running(new_settings()) as process:
        yield process


@pytest.fixture(scope="session")
def client(collector: CollectorProcess) -> Iterator[httpx.Client]:
    """A client of the shared collector."""
    with client_of(collector) as client:
        yield client


@pytest.fixture
async def async_client(collector: CollectorProcess) -> AsyncIterator[httpx.AsyncClient]:
    """The same, for event loops."""
    async with async_client_of(collector) as client:
        yield client


@pytest.fixture
def source() -> str:
    """A source that no other test uses."""
    return f"source-{secrets.token_hex(6)}"


def sqlite_at(folder: Path) -> Settings:
    """The environment of a collector on SQLite."""
    return {"SQLITE_PATH": str(folder / "collector.db")}
