"""Fixtures: real servers, and a fresh database for each test."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis

from tests import sharing
from tests.databases import create_database, database_name, drop_database, migrate
from tests.servers import PostgresServer, RedisServer
from tests.sources import Source, find_postgres, find_redis

POSTGRES = find_postgres(os.environ)
REDIS = find_redis(os.environ)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Of `--numprocesses auto`."""
    return sharing.processes()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> sharing.Parts:
    """Whatever --dist says."""
    return sharing.Parts(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first."""
    items.sort(key=sharing.place)


def pytest_report_header() -> list[str]:
    """Tell which servers are used."""
    return [f"server: {source.detail}" for found in (POSTGRES, REDIS) for source in found.sources]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell which servers could not be had, and why."""
    for reason in (*POSTGRES.missing, *REDIS.missing):
        terminalreporter.write_line(f"server not used: {reason}", yellow=True)


@pytest.fixture(scope="session", params=POSTGRES.sources, ids=lambda source: source.name)
def postgres_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a PostgreSQL, for its superuser; the oldest, then the newest that can be had."""
    source: Source = request.param
    with source.serve() as url:
        yield url


@pytest.fixture(scope="session")
def templates() -> Iterator[dict[str, str]]:
    """URLs of databases that have the schema, and that nobody is connected to, by the URL of their server."""
    made: dict[str, str] = {}
    yield made
    for server, url in made.items():
        with contextlib.suppress(OSError):  # a server of ours has ended by now
            asyncio.run(drop_database(server, url))


@pytest.fixture
def template(postgres_server: str, templates: dict[str, str]) -> str:
    """The name of the one on this server, which is not the same in every folder of tests."""
    if postgres_server not in templates:
        url = asyncio.run(create_database(postgres_server))
        migrate(url)
        templates[postgres_server] = url
    return database_name(templates[postgres_server])


@pytest.fixture
async def postgres_url(postgres_server: str, template: str) -> AsyncIterator[str]:
    """The URL of a fresh database that has the schema."""
    url = await create_database(postgres_server, template=template)
    yield url
    await drop_database(postgres_server, url)


@pytest.fixture
async def empty_postgres_url(postgres_server: str) -> AsyncIterator[str]:
    """The URL of a fresh database without the schema."""
    url = await create_database(postgres_server)
    yield url
    await drop_database(postgres_server, url)


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL of the newest version, without the schema, that the test may stop and pause."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of a Redis."""
    with REDIS.sources[0].serve() as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The URL of a Redis database, emptied for this test."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushdb()
    return redis_server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A running Redis that keeps nothing, and that the test may stop and pause."""
    with RedisServer() as server:
        yield server
