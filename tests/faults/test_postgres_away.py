"""PostgreSQL away: stopped, crashed, silent, or with its last word lost."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.databases import migrate
from tests.faults.conftest import Connect, StartCollector
from tests.faults.load import CLEAN, Load
from tests.faults.probes import Probes, seconds_until
from tests.faults.wire import Answer, ask, event, request
from tests.ports import LOOPBACK
from tests.proxy import Mode, Proxy
from tests.servers import PostgresServer

ROUNDS = 4
HEALED_WITHIN = 20.0  # seconds; about one is promised, and the figures are printed
ANSWERED_WITHIN = 8.0  # seconds, whatever the database does; four is promised
SILENCE = 10.0  # seconds: longer than any answer may take


@pytest.fixture
async def proxy(server: PostgresServer) -> AsyncIterator[Proxy]:
    """A way to the server that the test may break."""
    async with Proxy(LOOPBACK, server.port) as proxy:
        yield proxy


def is_honest(answer: Answer, *, writes: bool = True) -> bool:
    """A 503 says when to come back and, of a write, what became of it."""
    if answer.status != 503:
        return answer.status in (200, 201)
    told = not writes or answer.document["outcome"] in ("not_kept", "unknown")
    return told and "retry-after" in answer.headers and answer.document["retryable"]


async def healed(port: int) -> tuple[float, float]:
    """The seconds until an event is kept, and until the log can be read."""
    writes, reads = await asyncio.gather(seconds_until(port, "POST /events"), seconds_until(port, "GET /events"))
    return round(writes, 2), round(reads, 2)


async def test_a_crash_of_postgres_costs_503_only(server: PostgresServer, start: StartCollector) -> None:
    process = start({"POSTGRES_CONNECTION_STRING": server.url()})
    await process.wait_until_ready()
    pid = process.pid
    times = []
    async with Load(process.port) as load, Probes(process.port) as probes:
        for _ in range(ROUNDS):
            await asyncio.sleep(0.7)
            await asyncio.to_thread(server.stop, "immediate")
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.start)
            times.append(await healed(process.port))
        await asyncio.sleep(0.5)
    print("healed (writes, reads) after a crash:", times, load.statuses, "slowest:", probes.slowest)
    assert set(load.statuses) == {201, 503}
    assert all(one.answer and is_honest(one.answer) for one in load.attempts)
    reads = probes.of("GET /events")
    assert all(is_honest(one.answer, writes=False) for one in reads)
    assert {one.answer.status for one in probes.of("GET /healthz")} == {200}
    assert {one.answer.status for one in probes.of("GET /readyz")} == {200, 503}
    assert max(max(pair) for pair in times) < HEALED_WITHIN
    assert process.pid == pid
    assert await load.audit(process.port) == CLEAN


async def test_a_start_without_postgres_waits_for_it(server: PostgresServer, start: StartCollector) -> None:
    await asyncio.to_thread(server.stop)
    process = start({"POSTGRES_CONNECTION_STRING": server.url()})
    await process.wait_until_healthy()
    async with Probes(process.port) as probes:
        await asyncio.sleep(2)
    assert {one.answer.status for one in probes.of("GET /healthz")} == {200}
    assert {one.answer.status for one in probes.of("GET /readyz")} == {503}
    assert {one.answer.status for one in probes.of("GET /events")} == {503}
    posts = probes.of("POST /events")
    assert {one.answer.document["outcome"] for one in posts} == {"not_kept"}
    assert all(is_honest(one.answer) for one in posts)
    assert max(one.seconds for one in posts) < 3
    await asyncio.to_thread(server.start)
    assert await seconds_until(process.port, "GET /readyz") < HEALED_WITHIN
    assert max(await healed(process.port)) < HEALED_WITHIN


async def test_a_start_without_the_schema_waits_for_it(
    own_postgres: PostgresServer, start: StartCollector
) -> None:
    process = start({"POSTGRES_CONNECTION_STRING": own_postgres.url()})
    await process.wait_until_healthy()
    await asyncio.sleep(1)
    assert (await ask(process.port, "GET", "/readyz")).status == 503
    assert (await ask(process.port, "GET", "/events")).status == 503
    assert (await ask(process.port, "GET", "/healthz")).status == 200
    answer = await ask(process.port, "POST", "/events", event("early", "1"))
    assert (answer.status, answer.document["outcome"]) == (503, "not_kept")
    await asyncio.to_thread(migrate, own_postgres.url())
    assert await seconds_until(process.port, "GET /readyz") < HEALED_WITHIN
    assert (await ask(process.port, "POST", "/events", event("early", "1"))).status == 201


@pytest.mark.parametrize("silence", ["stall", "stall-replies", "paused"])
async def test_no_answer_waits_for_a_silent_postgres(
    silence: Mode, server: PostgresServer, proxy: Proxy, start: StartCollector
) -> None:
    process = start({"POSTGRES_CONNECTION_STRING": proxy.url_through(server.url())})
    await process.wait_until_ready()
    async with Load(process.port, rate=50) as load, Probes(process.port) as probes:
        await asyncio.sleep(1)
        _silence(server, proxy, silence)
        await asyncio.sleep(SILENCE)
        _silence(server, proxy, "pass")
        back = time.monotonic()
        times = await healed(process.port)
    print(f"healed after {silence}:", times, load.statuses, "slowest:", probes.slowest)
    outcomes = Counter(one.outcome for one in load.attempts)
    assert set(load.statuses) <= {200, 201, 503}
    assert all(one.answer and is_honest(one.answer) for one in load.attempts)
    assert outcomes["kept"] > 0
    assert outcomes["unknown"] > 0
    assert outcomes["not_kept"] > 0
    assert max(one.done - one.sent for one in load.attempts) < ANSWERED_WITHIN
    assert max(probes.slowest.values()) < ANSWERED_WITHIN
    assert {one.answer.status for one in probes.of("GET /healthz")} == {200}
    assert [one for one in probes.of("GET /readyz") if one.answer.status == 503 and one.sent < back]
    assert max(times) < HEALED_WITHIN
    assert await seconds_until(process.port, "GET /readyz") < HEALED_WITHIN
    assert await load.audit(process.port) == CLEAN


def _silence(server: PostgresServer, proxy: Proxy, silence: Mode | str) -> None:
    if silence == "paused":
        server.pause()
    elif silence == "pass":
        proxy.mode = "pass"
        server.resume()
    else:
        assert silence in ("stall", "stall-replies")
        proxy.mode = "stall" if silence == "stall" else "stall-replies"


async def test_a_lost_reply_is_unknown_and_a_resend_keeps_one(
    server: PostgresServer, proxy: Proxy, start: StartCollector, connect: Connect
) -> None:
    process = start({"POSTGRES_CONNECTION_STRING": proxy.url_through(server.url())})
    await process.wait_until_ready()
    for n in range(3):
        assert (await ask(process.port, "POST", "/events", event("sure", str(n)))).status == 201
        wire = await connect(process.port)
        proxy.mode = "drop-replies"
        await wire.send(request("POST", "/events", event("lost", str(n))))
        answer = await wire.answer()
        assert (answer.status, answer.document["outcome"]) == (503, "unknown")
        proxy.mode = "pass"
        async with asyncio.timeout(HEALED_WITHIN):
            while (again := await ask(process.port, "POST", "/events", event("lost", str(n)))).status == 503:
                assert is_honest(again)
                await asyncio.sleep(0.02)
        assert again.status == 200, "the first was not kept: no reply was lost"
        found = json.loads((await ask(process.port, "GET", f"/events?source=lost&id={n}")).body)
        assert len(found) == 1
