"""Fixtures: collectors as child processes, on either database, whose logs are checked at the end."""

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.binaries import valkey_binary
from tests.conftest import POSTGRES
from tests.databases import migrate
from tests.faults.wire import Wire
from tests.process import CollectorProcess
from tests.servers import PostgresServer, RedisServer

Env = dict[str, str]
StartCollector = Callable[..., CollectorProcess]
ON_DISK = {"appendonly": "yes", "appendfsync": "always"}
Connect = Callable[[int], Awaitable[Wire]]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """One PostgreSQL only, the newest: what is tested here is the process, not the dialect."""
    with POSTGRES.sources[-1].serve() as url:
        yield url


@pytest.fixture
def sqlite_env(tmp_path: Path) -> Env:
    """Settings that keep events in a fresh file."""
    return {"SQLITE_PATH": str(tmp_path / "collector.db")}


@pytest.fixture(params=["sqlite", "postgres"])
def env(request: pytest.FixtureRequest) -> Env:
    """Settings that keep events in a fresh database, of either sort."""
    if request.param == "sqlite":
        found: Env = request.getfixturevalue("sqlite_env")
        return found
    return {"POSTGRES_CONNECTION_STRING": request.getfixturevalue("postgres_url")}


@pytest.fixture
def spool_redis() -> Iterator[RedisServer]:
    """A Redis that can be a spool: it writes to disk, and has WAITAOF."""
    with RedisServer(settings=ON_DISK, binary=valkey_binary()) as server:
        yield server


@pytest.fixture(scope="session")
def stopped() -> Iterator[PostgresServer]:
    """A PostgreSQL with the schema, which does not run. Each test keeps to a source of its own."""
    with PostgresServer() as server:
        migrate(server.url())
        server.stop()
        yield server


@pytest.fixture
def server(stopped: PostgresServer) -> Iterator[PostgresServer]:
    """The same, running, that the test may break."""
    stopped.start()
    yield stopped
    stopped.stop("immediate")


@pytest.fixture
def spool_env(server: PostgresServer, spool_redis: RedisServer) -> Env:
    """Settings that name both."""
    return {"POSTGRES_CONNECTION_STRING": server.url(), "SPOOL_URL": spool_redis.url()}


@pytest.fixture
def start() -> Iterator[StartCollector]:
    """Start a collector with these settings, without waiting, and with a `fault` of broken.py built in.

    At the end: its log is JSON, and tells of no bug.
    """
    started: list[CollectorProcess] = []

    def _start(
        env: Env, *, fault: str | None = None, command: str = "serve", port: int | None = None, **more: str
    ) -> CollectorProcess:
        process = CollectorProcess(env={**env, **more}, command=command, port=port)
        if fault is not None:
            process._command = [sys.executable, "-m", "tests.faults.broken", fault, command]
        process.start()
        started.append(process)
        return process

    yield _start
    outputs = [process.output() for process in started]
    for process in started:
        process.close()
    for output in outputs:
        _check_log(output)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Open a connection to a port; it is let go of at the end."""
    opened: list[Wire] = []

    async def _connect(port: int) -> Wire:
        opened.append(await Wire.open(port))
        return opened[-1]

    yield _connect
    for wire in opened:
        wire.abort()


def _check_log(output: str) -> None:
    for line in output.splitlines():
        entry = json.loads(line)
        assert entry["event"] != "bug", entry
