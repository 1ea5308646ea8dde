"""Leaving: what SIGTERM, a second one and Ctrl-C do to requests, connections and the process."""

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.databases import migrate
from tests.faults.conftest import Connect, Env, StartCollector
from tests.faults.load import CLEAN, Load
from tests.faults.wire import Cut, ask, event, request
from tests.process import CollectorProcess
from tests.servers import PostgresServer

DRAIN = 4.0  # seconds
ROUNDS = 4
SLACK = (
    15.0  # seconds for a busy machine; leaving with nothing to wait for takes 0.5 s, being held the grace of 20
)
LONG = 30.0  # seconds of a drain that nobody waits for
AT_ONCE = 10.0  # seconds on a busy machine; it takes a tenth of one
LETTING_GO = 4.0  # seconds: less than a silent database gets from who does not hurry
BODY = event("half", "1")
HALVES = {
    "no body yet": request("POST", "/events", BODY)[: -len(BODY)],
    "half a body": request("POST", "/events", BODY)[:-5],
    "half a chunked body": request("POST", "/events", content_type="application/json", transfer_encoding="chunked")
    + b'5\r\n[{"so\r\n',
    "half a gzip body": request(
        "POST", "/events", b"\x1f\x8b\x08\x00", content_encoding="gzip", content_length="99"
    ),
}


async def exit_after(process: CollectorProcess, tell: Callable[[], None]) -> tuple[int, float]:
    """The exit code, and the seconds that it took to leave after it was told to."""
    told = time.monotonic()
    tell()
    code = await process.wait()
    return code, time.monotonic() - told


async def heard(process: CollectorProcess) -> None:
    """Wait until it has read what was sent before this."""
    for _ in range(2):
        assert (await ask(process.port, "GET", "/healthz")).status == 200


def is_clean(load: Load) -> None:
    """Nothing that was sent failed, by either sort of client."""
    assert load.unanswered(fresh=True) == []
    assert load.unanswered(fresh=False) == []
    assert set(load.statuses) == {201}


async def test_a_drain_fails_no_request_and_loses_no_event(
    env: Env, start: StartCollector, connect: Connect
) -> None:
    process = start(env, DRAIN_SECONDS=str(DRAIN))
    await process.wait_until_ready()
    async with Load(process.port, leaves=True) as load:
        await asyncio.sleep(1)
        leaving = asyncio.create_task(exit_after(process, process.terminate))
        told = time.monotonic()
        await process.wait_for_log(lambda line: line["event"] == "draining")
        said = time.monotonic()
        while time.monotonic() < told + DRAIN / 2:
            ready = await ask(process.port, "GET", "/readyz")
            healthy = await ask(process.port, "GET", "/healthz")
            assert (ready.status, ready.closes) == (503, True)
            assert (healthy.status, healthy.closes) == (200, True)
            await asyncio.sleep(0.1)
        code, seconds = await leaving
        await load.ended()
    assert code == 0
    assert DRAIN <= seconds < DRAIN + SLACK
    is_clean(load)
    late = [one for one in load.attempts if one.sent > said and one.answer is not None]
    assert {one.fresh for one in late} == {True, False}
    assert all(one.answer and one.answer.closes for one in late)
    process.start()
    await process.wait_until_ready()
    assert await load.audit(process.port) == CLEAN


async def test_leaving_without_a_drain_fails_no_request_and_loses_no_event(
    env: Env, start: StartCollector, connect: Connect
) -> None:
    process = start(env)
    for _ in range(ROUNDS):
        await process.wait_until_ready()
        async with Load(process.port, rate=200, leaves=True) as load:
            await asyncio.sleep(0.7)
            code, seconds = await exit_after(process, process.terminate)
            await load.ended()
        assert code == 0
        assert seconds < SLACK
        is_clean(load)
        process.start()
        await process.wait_until_ready()
        assert await load.audit(process.port) == CLEAN


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
async def test_a_half_sent_body_does_not_hold_the_process(
    half: bytes, sqlite_env: Env, start: StartCollector, connect: Connect
) -> None:
    process = start(sqlite_env)
    await process.wait_until_ready()
    wire = await connect(process.port)
    await wire.send(half)
    await heard(process)
    leaving = asyncio.create_task(exit_after(process, process.terminate))
    answer = await wire.answer()
    assert (answer.status, answer.document["outcome"], answer.closes) == (503, "not_kept", True)
    assert "retry-after" in answer.headers
    code, seconds = await leaving
    assert code == 0
    assert seconds < SLACK


async def test_a_half_sent_head_does_not_hold_the_process(
    sqlite_env: Env, start: StartCollector, connect: Connect
) -> None:
    process = start(sqlite_env)
    await process.wait_until_ready()
    wire = await connect(process.port)
    await wire.send(request("POST", "/events", BODY)[:20])
    await heard(process)
    code, seconds = await exit_after(process, process.terminate)
    assert code == 0
    assert seconds < SLACK
    assert await wire.rest() == b""


async def test_an_idle_connection_is_closed(sqlite_env: Env, start: StartCollector, connect: Connect) -> None:
    process = start(sqlite_env)
    await process.wait_until_ready()
    used, silent = await connect(process.port), await connect(process.port)
    assert (await used.ask("POST", "/events", BODY)).status == 201
    code, seconds = await exit_after(process, process.terminate)
    assert code == 0
    assert seconds < SLACK
    assert (await used.rest(), await silent.rest()) == (b"", b"")


async def test_a_stream_ends_with_a_time_to_come_back(env: Env, start: StartCollector, connect: Connect) -> None:
    process = start(env, DRAIN_SECONDS=str(DRAIN))
    await process.wait_until_ready()
    wires = [await connect(process.port) for _ in range(20)]
    for wire in wires:
        await wire.send(request("GET", "/events/stream"))
        await wire.until(b": from")
    leaving = asyncio.create_task(exit_after(process, process.terminate))
    ends = [await wire.until(b"\r\n0\r\n\r\n") for wire in wires]
    await heard(process)  # they end when the drain begins, not when it ends
    code, seconds = await leaving
    assert code == 0
    assert seconds < DRAIN + SLACK
    pauses = {int(end.split(b"retry: ")[1].split()[0]) for end in ends}
    assert len(pauses) > 1


@pytest.mark.parametrize("second", ["SIGTERM", "SIGINT"])
async def test_a_second_signal_stops_at_once(
    second: str, env: Env, start: StartCollector, connect: Connect
) -> None:
    process = start(env, DRAIN_SECONDS=str(LONG))
    await process.wait_until_ready()
    async with Load(process.port, leaves=True) as load:
        await asyncio.sleep(0.5)
        process.terminate()
        await process.wait_for_log(lambda line: line["event"] == "draining")
        _, seconds = await exit_after(process, process.terminate if second == "SIGTERM" else process.interrupt)
        await load.ended()
    print("a second", second, "ended it within", round(seconds, 2))
    assert seconds < AT_ONCE
    process.start()
    await process.wait_until_ready()
    assert await load.audit(process.port) == CLEAN


async def test_ctrl_c_stops_at_once_whatever_is_open(env: Env, start: StartCollector, connect: Connect) -> None:
    process = start(env, DRAIN_SECONDS=str(LONG))
    await process.wait_until_ready()
    for opening in (request("GET", "/events/stream"), *HALVES.values()):
        await (await connect(process.port)).send(opening)
    async with Load(process.port, leaves=True) as load:
        await asyncio.sleep(0.5)
        _, seconds = await exit_after(process, process.interrupt)
        await load.ended()
    assert seconds < AT_ONCE
    process.start()
    await process.wait_until_ready()
    assert await load.audit(process.port) == CLEAN


@pytest.mark.parametrize("first", [False, True], ids=["ctrl-c", "second-sigterm"])
async def test_stopping_at_once_does_not_wait_for_a_database_that_hangs(
    first: bool, own_postgres: PostgresServer, start: StartCollector, connect: Connect
) -> None:
    process = await on_own_postgres(own_postgres, start)
    assert (await ask(process.port, "POST", "/events", event("before", "1"))).status == 201
    own_postgres.pause()
    wires = [await connect(process.port) for _ in range(3)]
    for n, wire in enumerate(wires):
        await wire.send(request("POST", "/events", event("hang", str(n))))
        await asyncio.sleep(0.1)
    await (await connect(process.port)).send(request("GET", "/events"))
    if first:
        process.terminate()
        await asyncio.sleep(0.8)
    _, seconds = await exit_after(process, process.terminate if first else process.interrupt)
    assert seconds < LETTING_GO


async def test_what_takes_longer_than_the_grace_is_503(
    own_postgres: PostgresServer, start: StartCollector, connect: Connect
) -> None:
    process = await on_own_postgres(own_postgres, start, GRACEFUL_SECONDS="1")
    assert (await ask(process.port, "POST", "/events", event("before", "1"))).status == 201
    own_postgres.pause()
    writes, reads = await connect(process.port), await connect(process.port)
    await writes.send(request("POST", "/events", BODY))
    await reads.send(request("GET", "/events"))
    await asyncio.sleep(0.1)
    leaving = asyncio.create_task(exit_after(process, process.terminate))
    answer = await writes.answer()
    assert (answer.status, answer.document["outcome"], answer.closes) == (503, "unknown", True)
    assert (await reads.answer()).status == 503
    code, seconds = await leaving
    assert code == 0
    assert seconds < 1 + 5 + SLACK  # the grace, and the time that letting go of a silent database gets


async def test_a_reader_that_does_not_read_is_left_behind(
    sqlite_env: Env, start: StartCollector, connect: Connect
) -> None:
    process = start(sqlite_env, GRACEFUL_SECONDS="1")
    await process.wait_until_ready()
    for n in range(50):
        assert (await ask(process.port, "POST", "/events", event("big", str(n), data="x" * 250_000))).status == 201
    wire = await connect(process.port)
    await wire.send(request("GET", "/events", accept="application/x-ndjson"))
    await asyncio.sleep(0.3)
    code, seconds = await exit_after(process, process.terminate)
    assert code == 0
    assert seconds < 1 + SLACK
    with pytest.raises(Cut):
        await wire.answer()


async def on_own_postgres(server: PostgresServer, start: StartCollector, **more: str) -> CollectorProcess:
    """A collector that is ready, on a server that the test may break."""
    await asyncio.to_thread(migrate, server.url())
    process = start({"POSTGRES_CONNECTION_STRING": server.url()}, **more)
    await process.wait_until_ready()
    return process
