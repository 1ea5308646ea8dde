"""Overload: while commits wait and as many events wait for them as may, the answer is no, early, and says when."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing

import asyncpg
import pytest

from tests.faults.wire import Answer, ask, event
from tests.http.conftest import Backend, Settings
from tests.http.serving import eventually, running
from tests.process import CollectorProcess

WAITING = 20  # events that may wait for their commit
MORE, FEW = 100, 10  # requests beyond those, and how many at least
EARLY = 0.05  # seconds: the aim, which a machine that others use may miss
BOUND = 0.5  # seconds: a commit that is waited for takes longer


@pytest.fixture
def few(settings: Settings) -> Iterator[CollectorProcess]:
    """A collector where little may wait."""
    bounds = {"MAX_BATCH_SIZE": "10", "MAX_WAITING_EVENTS": str(WAITING)}
    with running(settings | bounds) as process:
        yield process


@asynccontextmanager
async def no_commit_ends(backend: Backend, settings: Settings) -> AsyncIterator[None]:
    """The lock that every commit needs is held inside."""
    if backend == "sqlite":
        with closing(sqlite3.connect(settings["SQLITE_PATH"], isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        return
    connection = await asyncpg.connect(settings["POSTGRES_CONNECTION_STRING"])
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE events IN EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def timed(port: int, n: int) -> tuple[Answer, float]:
    began = time.monotonic()
    answer = await ask(port, "POST", "/events", event("overload", str(n)))
    return answer, time.monotonic() - began


async def test_what_is_too_much_is_refused_early_and_probes_are_not(
    few: CollectorProcess, backend: Backend, settings: Settings
) -> None:
    port = few.port
    async with no_commit_ends(backend, settings):
        waiting = [asyncio.create_task(timed(port, n)) for n in range(WAITING)]
        await eventually(lambda: ask(port, "GET", "/metrics"), full)
        assert (await ask(port, "GET", "/healthz")).status == 200
        refused: list[tuple[Answer, float]] = []
        while len(refused) < MORE:
            one = await timed(port, WAITING + len(refused))
            if any(task.done() for task in waiting):
                break  # the database has lost its patience, and there is room again
            refused.append(one)
    assert len(refused) >= FEW
    for answer, _ in refused:
        assert answer.status == 503
        assert answer.headers["retry-after"]
        assert (answer.document["type"], answer.document["outcome"]) == ("urn:problem:overloaded", "not_kept")
    took = sorted(seconds for _, seconds in refused)
    early = sum(seconds < EARLY for seconds in took)
    half, all_ = took[len(took) // 2], took[-1]
    print(f"{len(took)} refused, {early} within {EARLY} s, half within {half:.3f}, all within {all_:.3f}")
    assert half < BOUND
    await asyncio.gather(*waiting)
    await eventually(lambda: ask(port, "POST", "/events", event("overload", "after")), kept)


def full(answer: Answer) -> bool:
    return f"\ncollector_waiting_events {WAITING}.0\n".encode() in answer.body


def kept(answer: Answer) -> bool:
    return answer.status in (200, 201)
