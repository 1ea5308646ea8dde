"""The process and its loops: what ends it, what does not, and what it says when it cannot start."""

import asyncio
import json
import subprocess
import sys
import time

import pytest

from tests.child import clean_environment
from tests.faults.conftest import Connect, Env, StartCollector
from tests.faults.spooling import until_metric
from tests.faults.wire import ask, event, request
from tests.ports import LOOPBACK, free_port
from tests.process import ROOT, CollectorProcess

LOOPS = ("writer", "check", "upkeep", "rollup", "news", "refusals")
ENDED_WITHIN = 60.0  # seconds; it takes two, of which one is the fault's own
DRAIN = 8.0  # seconds, for which it goes on answering
GONE = 40  # clients that hang up


def command(*words: str, module: str = "app", **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the collector to its end."""
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=ROOT,
        env={**clean_environment(), **env},
        capture_output=True,
        text=True,
        timeout=ENDED_WITHIN,
        check=False,
    )


def critical(process: CollectorProcess) -> list[str]:
    return [line["event"] for line in process.logs() if line["level"] == "critical"]


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_loop_that_dies_ends_the_process(loop: str, sqlite_env: Env, start: StartCollector) -> None:
    process = start(sqlite_env, fault=f"dies:{loop}")
    assert await process.wait(ENDED_WITHIN) == 1
    (said,) = [line for line in process.logs() if line["level"] == "critical"]
    assert (said["event"], said["loop"]) == ("loop ended", loop)
    assert "injected" in said["error"]


async def test_who_waits_for_a_writer_that_dies_is_answered(
    env: Env, start: StartCollector, connect: Connect
) -> None:
    process = start(env, fault="dies:writer", DRAIN_SECONDS=str(DRAIN))
    await process.wait_for_log(lambda line: line["event"] == "loop ended")
    wire = await connect(process.port)
    began = time.monotonic()
    answer = await wire.ask("POST", "/events", event("late", "1"))
    assert (answer.status, answer.document["outcome"]) == (503, "not_kept")
    assert time.monotonic() - began < DRAIN
    assert (await ask(process.port, "GET", "/readyz")).status == 503
    assert await process.wait(ENDED_WITHIN) == 1


@pytest.mark.parametrize("fault", ["blocks", "hangs"])
async def test_a_loop_that_does_not_turn_ends_the_process(
    fault: str, sqlite_env: Env, start: StartCollector
) -> None:
    process = start(sqlite_env, fault=f"{fault}:news")
    assert await process.wait(ENDED_WITHIN) == 1
    assert critical(process) == ["loops do not turn"]


async def test_a_process_that_was_frozen_goes_on(sqlite_env: Env, start: StartCollector) -> None:
    process = start(sqlite_env, fault="brief")
    await process.wait_until_ready()
    for _ in range(2):
        process.pause()
        await asyncio.sleep(2.2)
        process.resume()
        await asyncio.sleep(0.2)
    await asyncio.sleep(1)
    assert (await ask(process.port, "GET", "/healthz")).status == 200
    assert critical(process) == []
    process.terminate()
    assert await process.wait() == 0


async def test_a_client_that_goes_away_leaves_no_error_and_one_event(
    env: Env, start: StartCollector, connect: Connect
) -> None:
    process = start(env, LOG_LEVEL="error")
    await process.wait_until_ready()
    for n in range(GONE):
        wire = await connect(process.port)
        await wire.send(request("POST", "/events", event("gone", str(n))))
        await asyncio.sleep(0.001 * (n % 5))
        wire.abort()
    for n in range(GONE):
        again = await ask(process.port, "POST", "/events", event("gone", str(n)))
        assert again.status in (200, 201)
        found = json.loads((await ask(process.port, "GET", f"/events?source=gone&id={n}")).body)
        assert len(found) == 1
    assert process.logs() == []


async def test_a_client_that_goes_away_in_the_middle_leaves_no_error(
    env: Env, start: StartCollector, connect: Connect
) -> None:
    process = start(env, LOG_LEVEL="error")
    await process.wait_until_ready()
    for n in range(40):
        assert (await ask(process.port, "POST", "/events", event("big", str(n), data="x" * 250_000))).status == 201
    begun = (
        request("POST", "/events", b"{", content_length="100"),
        request("GET", "/events/stream"),
        request("GET", "/events", accept="application/x-ndjson"),
        request("GET", "/events?limit=30"),
    )
    for n in range(5):
        for opening in begun:
            wire = await connect(process.port)
            await wire.send(opening)
            await asyncio.sleep(0.02 * n)
            wire.abort()
    assert (await ask(process.port, "GET", "/events?limit=1")).status == 200
    await until_metric(process, "collector_streams", lambda streams: streams == 0)
    assert process.logs() == []


def test_migrate_says_once_that_the_database_cannot_be_reached() -> None:
    url = f"postgresql://nobody@{LOOPBACK}:{free_port()}/nothing"
    done = command("impatient", "migrate", module="tests.faults.broken", POSTGRES_CONNECTION_STRING=url)
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["waiting for the database", "not migrated"]
    assert (lines[-1]["level"], lines[-1]["reason"]) == ("critical", "the database cannot be reached")


async def test_a_port_that_is_taken_is_named(sqlite_env: Env, start: StartCollector) -> None:
    first = start(sqlite_env)
    await first.wait_until_healthy()
    done = await asyncio.to_thread(command, "serve", PORT=str(first.port), **sqlite_env)
    assert done.returncode == 1
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (line["level"], line["event"], line["port"]) == ("critical", "cannot listen", first.port)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "eighty"),
        ("DRAIN_SECONDS", "-1"),
        ("LOG_LEVEL", "loud"),
        ("POSTGRES_CONNECTION_STRING", "mysql://db"),
        ("HOST", "0.0.0.0"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(variable: str, value: str) -> None:
    done = command("serve", **{variable: value})
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert variable in line
