"""Servers: what tests of faults count on when they stop, crash and freeze PostgreSQL and Redis."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil  # type: ignore[import-untyped]
import pytest
import redis

from tests.binaries import Account, Install, newest_postgres, postgres_installs, readable, unprivileged
from tests.databases import execute
from tests.servers import PostgresServer, RedisServer

ROOT = Path(__file__).parents[1]
SOON = 0.3  # seconds; an answer takes a few ms
DEADLINE = 60.0  # seconds
LEFT_BEHIND = """
import os, signal
from tests.guardian import guardian
from tests.servers import PostgresServer, RedisServer
postgres, redis = PostgresServer(), RedisServer()
postgres.start(); redis.start()
postgres.pause(); redis.pause()
print(postgres._running.pid, redis._running.pid, guardian().folder, flush=True)
os.kill(os.getpid(), signal.{end})
"""


@pytest.fixture(params=postgres_installs(), ids=lambda install: f"postgres{install.major}")
def postgres(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    with PostgresServer(request.param) as server:
        yield server


async def value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url, timeout=DEADLINE)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_postgres_is_of_its_version_and_syncs_to_disk(postgres: PostgresServer) -> None:
    assert await value(postgres.url(), "SELECT current_setting('server_version')") == postgres.install.version
    assert await value(postgres.url(), "SELECT current_setting('fsync')") == "on"
    assert await value(postgres.url(), "SELECT current_setting('server_encoding')") == "UTF8"


async def test_postgres_takes_settings() -> None:
    with PostgresServer(settings={"wal_level": "logical"}) as server:
        assert await value(server.url(), "SELECT current_setting('wal_level')") == "logical"


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_postgres_keeps_what_was_committed(postgres: PostgresServer, mode: str) -> None:
    await execute(postgres.url(), "CREATE TABLE kept AS SELECT 42 AS answer")
    postgres.stop("fast" if mode == "fast" else "immediate")
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(postgres.url())
    postgres.start()
    assert await value(postgres.url(), "SELECT answer FROM kept") == 42


async def test_postgres_recovers_after_an_immediate_stop_only(postgres: PostgresServer) -> None:
    postgres.restart("fast")
    assert "automatic recovery in progress" not in postgres.log()
    postgres.restart("immediate")
    assert "automatic recovery in progress" in postgres.log()


async def test_paused_postgres_answers_nobody_until_it_goes_on(postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres.url())
    postgres.pause()
    with pytest.raises(TimeoutError):
        await asyncpg.connect(postgres.url(), timeout=SOON)
    with pytest.raises(TimeoutError):
        await connection.fetchval("SELECT 1", timeout=SOON)
    postgres.resume()
    await connection.close(timeout=DEADLINE)
    assert await value(postgres.url(), "SELECT 1") == 1


async def test_paused_postgres_can_be_stopped(postgres: PostgresServer) -> None:
    postgres.pause()
    postgres.restart("immediate")
    assert await value(postgres.url(), "SELECT 1") == 1


async def test_own_postgres_is_the_newest(own_postgres: PostgresServer) -> None:
    assert own_postgres.install.version == newest_postgres().version


def test_postgres_that_cannot_start_says_why() -> None:
    server = PostgresServer(settings={"shared_buffers": "lots"})
    with pytest.raises(RuntimeError, match="shared_buffers"):
        server.start()
    server.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another account")
def test_postgres_runs_from_a_folder_that_its_account_cannot_enter(tmp_path: Path) -> None:
    install = newest_postgres()
    package = install.folder.parent
    closed = tmp_path / "home"
    for folder in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, closed / folder.name, symlinks=True)
    closed.chmod(0o700)
    moved = Install(
        folder=closed / package.name / install.folder.name, version=install.version, package=install.package
    )
    with PostgresServer(moved) as server:
        assert not server.install.folder.is_relative_to(closed)


def test_an_install_that_its_account_can_run_is_not_copied() -> None:
    here = Account(uid=os.geteuid(), gid=os.getegid())
    assert readable(newest_postgres(), here if unprivileged() else None) == newest_postgres()


def test_redis_keeps_what_its_settings_say() -> None:
    with RedisServer(settings={"appendonly": "yes", "appendfsync": "always"}) as server:
        with redis.Redis.from_url(server.url()) as client:
            client.set("kept", "42")
        server.restart(kill=True)
        with redis.Redis.from_url(server.url()) as client:
            assert client.get("kept") == b"42"


def test_redis_forgets_by_default(own_redis: RedisServer) -> None:
    with redis.Redis.from_url(own_redis.url()) as client:
        client.set("kept", "42")
    own_redis.restart()
    with redis.Redis.from_url(own_redis.url()) as client:
        assert client.get("kept") is None


def test_paused_redis_answers_nobody_until_it_goes_on(own_redis: RedisServer) -> None:
    own_redis.pause()
    with redis.Redis.from_url(own_redis.url(), socket_timeout=SOON, retry=None) as client:
        with pytest.raises(redis.TimeoutError):
            client.ping()
        own_redis.resume()
        assert client.ping()


async def test_each_test_has_an_empty_database_of_its_own(empty_postgres_url: str) -> None:
    await execute(empty_postgres_url, "CREATE TABLE mine ()")
    assert await value(empty_postgres_url, "SELECT count(*) FROM pg_stat_user_tables") == 1


def test_redis_is_emptied_for_each_test(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


@pytest.mark.parametrize("end", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_no_server_and_no_folder_outlive_the_tests(end: str) -> None:
    script = LEFT_BEHIND.format(end=end)
    tests = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    postgres, redis_, folder = tests.stdout.split()
    wait_until(lambda: not any(psutil.pid_exists(int(pid)) for pid in (postgres, redis_)))
    wait_until(lambda: not Path(folder).exists())
