"""The worker as a process: who leads, who takes over, what ends it and what does not."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.spool import Spool
from tests.faults.conftest import Env, StartCollector
from tests.faults.spooling import PATIENCE, drained, metric, part, until_part
from tests.faults.test_loops import command
from tests.faults.wire import ask
from tests.process import CollectorProcess
from tests.servers import PostgresServer
from tests.store.make import event

TAKEN_OVER_WITHIN = 60.0  # seconds


@pytest.fixture
async def spool(spool_env: Env) -> AsyncIterator[Spool]:
    """The spool, for who fills it while the database is there."""
    spool = Spool(spool_env["SPOOL_URL"], max_events=10**9, max_bytes=10**9)
    await spool.check()
    yield spool
    await spool.close()


async def leader_of(workers: list[CollectorProcess]) -> CollectorProcess:
    async with asyncio.timeout(PATIENCE):
        while True:
            leading = [worker for worker in workers if (await part(worker, "leader"))[1] == "yes"]
            if leading:
                assert len(leading) == 1
                return leading[0]
            await asyncio.sleep(0.05)


async def test_another_worker_takes_over(spool: Spool, spool_env: Env, start: StartCollector) -> None:
    workers = [start(spool_env, command="worker") for _ in range(3)]
    for worker in workers:
        await worker.wait_until_ready()
    count = 0
    took: dict[str, float] = {}
    frozen = None
    for fault in ("nothing", "kill", "pause"):
        first = await leader_of(workers)
        began = time.monotonic()
        if fault == "kill":
            first.kill()
            workers.remove(first)
        elif fault == "pause":
            first.pause()
            workers.remove(first)
            frozen = first
        for _ in range(20):
            await spool.append([event(f"takeover{count}", source="takeover")], False)
            count += 1
        await drained(spool_env)
        took[fault] = round(time.monotonic() - began, 2)
    print("seconds until another one had drained:", took)
    assert max(took.values()) < TAKEN_OVER_WITHIN
    assert frozen is not None
    frozen.resume()
    # It notices that it does not lead any longer; were it to drain on, nothing would be stored twice.
    await until_part(frozen, "leader", says="no")
    assert (await ask(frozen.port, "GET", "/healthz")).status == 200
    await leader_of([frozen, *workers])
    connection = await asyncpg.connect(spool_env["POSTGRES_CONNECTION_STRING"])
    stored = await connection.fetch("SELECT id FROM events WHERE source = 'takeover' ORDER BY seq")
    await connection.close()
    assert [row["id"] for row in stored] == [f"takeover{n}" for n in range(count)]


async def test_a_drain_that_does_not_turn_ends_the_worker(spool_env: Env, start: StartCollector) -> None:
    worker = start(spool_env, fault="blocks:drain", command="worker")
    assert await worker.wait() == 1
    assert [line["event"] for line in worker.logs() if line["level"] == "critical"] == ["loops do not turn"]


async def test_a_database_and_a_redis_that_are_away_end_no_worker(
    spool: Spool, spool_env: Env, server: PostgresServer, start: StartCollector
) -> None:
    worker = start(spool_env, fault="brief", command="worker")
    await worker.wait_until_ready()
    await asyncio.to_thread(server.stop)
    await until_part(worker, "database", ok=False)
    await spool.append([event("patience", source="patience")], False)
    await asyncio.sleep(4)  # twice the deadline of each loop
    assert (await ask(worker.port, "GET", "/healthz")).status == 200
    assert (await ask(worker.port, "GET", "/readyz")).status == 503
    assert (await part(worker, "leader"))[1] == "no"
    assert await metric(worker, "collector_spool_events") == 1
    assert await metric(worker, "collector_leader") == 0
    await asyncio.to_thread(server.start)
    await drained(spool_env)
    await worker.wait_until_ready()
    assert await metric(worker, "collector_leader") == 1
    assert (await part(worker, "dead letters"))[1] == "0"
    assert [line for line in worker.logs() if line["level"] == "critical"] == []
    worker.terminate()
    assert await worker.wait() == 0


def test_a_worker_needs_postgres() -> None:
    done = command("worker", SPOOL_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "POSTGRES_CONNECTION_STRING" in line
