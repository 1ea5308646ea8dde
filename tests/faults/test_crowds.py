"""Many connections: slow ones do not slow the others, silent ones do not shut out the probes."""

import asyncio
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.child import clean_environment
from tests.crowds import asked, crowd, latencies, p99
from tests.faults.wire import Wire, ask, event, request
from tests.http.conftest import sqlite_at
from tests.http.serving import async_client_of, eventually, running
from tests.http.test_slow import metric
from tests.process import CollectorProcess

DRIPPING, SILENT = 500, 2000  # sockets
LIMIT = 100  # connections
SECONDS = 3.0  # that a head or a body may take
SLACK = 20.0  # seconds: the collector looks every third of a second; the rest is for the machine
FLOOR = 0.05  # seconds of p99 that a machine which others use may add by itself
ROUNDS = 6  # what the sockets cost is there in each, what the machine's others do is not
ROOT = Path(__file__).parents[2]


@contextmanager
def hurried(folder: Path, **more: str) -> Iterator[CollectorProcess]:
    """A collector that does not wait long."""
    soon = {"HEAD_SECONDS": str(SECONDS), "BODY_SECONDS": str(SECONDS)}
    with running({**sqlite_at(folder), **soon, **more}) as process:
        yield process


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[CollectorProcess]:
    """One that takes everybody."""
    with hurried(tmp_path) as process:
        yield process


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[CollectorProcess]:
    """One that takes few, and does not cut the silent ones while a test lasts."""
    with hurried(tmp_path, MAX_CONNECTIONS=str(LIMIT), HEAD_SECONDS="100") as process:
        yield process


def half(place: int) -> bytes:
    """Half a head for one, half a body for the next."""
    head = request("POST", "/events", None, content_type="application/json", content_length="1000")
    return head if place % 2 else head[:40]


async def probed(port: int, every: float = 0.1) -> Counter[int | None]:
    """What /healthz answers, until this is cancelled."""
    found: Counter[int | None] = Counter()
    try:
        while True:
            found[await asked(port, "/healthz")] += 1
            await asyncio.sleep(every)
    except asyncio.CancelledError:
        return found


async def test_dripping_sockets_do_not_slow_the_others(patient: CollectorProcess) -> None:
    rounds = 1
    while not await unharmed(patient):
        rounds += 1
        assert rounds <= ROUNDS, "the p99 of a POST was higher in every round"
    async with async_client_of(patient) as client:
        for what in ("head", "body"):
            cut = await metric(client, f'collector_cut_connections_total{{why="slow_{what}"}}')
            assert cut == rounds * DRIPPING / 2


async def unharmed(patient: CollectorProcess) -> bool:
    """Whether good traffic is as fast beside sockets that drip; all else has to hold each time."""
    port = patient.port
    before = p99(await latencies(port, SECONDS, "before"))
    memory = psutil.Process(patient.pid).memory_info().rss
    async with crowd() as slow:
        await slow.grow(port, DRIPPING)
        began = time.monotonic()
        probes = asyncio.create_task(probed(port))
        drips = asyncio.create_task(slow.drip(half))
        during = p99(await latencies(port, SECONDS, "during"))
        heard: dict[int, bytes] = {}
        while len(heard) < DRIPPING:
            for place, said in enumerate(slow.heard()):
                if said is not None:
                    heard.setdefault(place, said)
            assert time.monotonic() - began < SECONDS + SLACK, f"{len(heard)} of {DRIPPING} were cut"
            await asyncio.sleep(0.05)
        cut_after = time.monotonic() - began
        more = psutil.Process(patient.pid).memory_info().rss - memory
        drips.cancel()
        probes.cancel()
        answers = await probes
    print(
        f"p99 of a POST: {1000 * before:.1f} ms, and {1000 * during:.1f} ms beside {DRIPPING} sockets that drip;"
    )
    print(f"all cut after {cut_after:.1f} s of {SECONDS}; {more / 2**20:.1f} MiB more; /healthz: {dict(answers)}")
    assert set(answers) == {200}
    assert all(said.startswith(b"HTTP/1.1 408 ") for said in heard.values())
    return during <= max(2 * before, before + FLOOR)


async def test_silent_sockets_do_not_shut_out_the_probes(narrow: CollectorProcess) -> None:
    port = narrow.port
    probes = asyncio.create_task(probed(port, every=0.02))
    async with crowd() as silent:
        await silent.grow(port, LIMIT)
        growing = asyncio.create_task(silent.grow(port, SILENT - LIMIT))
        refusals = await shed(port, until=growing)
        probes.cancel()
        answers = await probes
        seen = [await asked(port, path) for path in ("/healthz", "/readyz", "/ready", "/metrics")]
        took = sorted(seconds for _, seconds in refusals)
        print(f"/healthz beside {SILENT} silent sockets: {dict(answers)}")
        print(f"{len(took)} writers were shed, half of them within {1000 * took[len(took) // 2]:.1f} ms")
        assert set(answers) == {200}
        assert seen == [200] * 4
        assert took[len(took) // 2] < 5
        said = [text for text in silent.heard() if text is not None]
        assert len(said) >= SILENT - LIMIT - 2 * 64
        assert all(text.startswith(b"HTTP/1.1 503 ") for text in said if text)
        await narrow.wait_for_log(lambda line: line["event"] == "connections are refused")
    await eventually(lambda: posts(port), lambda status: status == 201)
    await narrow.wait_for_log(lambda line: line["event"] == "connections are no longer refused")


async def shed(port: int, until: "asyncio.Task[None]") -> list[tuple[int, float]]:
    """Write again and again, each on a connection of its own: all are refused, and how long that took."""
    found: list[tuple[int, float]] = []
    while not (until.done() and found):
        began = time.monotonic()
        answer = await ask(port, "POST", "/events", event("writer", str(len(found))))
        found.append((answer.status, time.monotonic() - began))
        assert (answer.status, answer.closes) == (503, True)
        assert answer.headers["retry-after"]
        assert answer.document["outcome"] == "not_kept"
    await until
    return found


async def posts(port: int) -> int:
    return (await ask(port, "POST", "/events", event("writer", "last"))).status


async def test_idle_connections_make_room_the_longest_idle_first(
    narrow: CollectorProcess,
) -> None:
    port = narrow.port
    wires = [await Wire.open(port) for _ in range(LIMIT)]
    try:
        for wire in wires:
            assert (await wire.ask("GET", "/healthz")).status == 200
        await asyncio.sleep(1.5)  # what has been idle for less is left alone
        assert (await wires[0].ask("GET", "/healthz")).status == 200
        newcomers = [await Wire.open(port) for _ in range(3)]
        for wire in newcomers:
            wires.append(wire)
            answer = await wire.ask("POST", "/events", event("room", str(len(wires))))
            assert (answer.status, answer.closes) == (201, False)
        left = [place for place, wire in enumerate(wires) if wire.ended]
        # A loop that was late puts off those who are idle then, so that neighbours may change their places.
        assert len(left) == 3
        assert set(left) <= set(range(1, 10))
        async with async_client_of(narrow) as client:
            assert await metric(client, 'collector_cut_connections_total{why="crowd"}') == 0
    finally:
        for wire in wires:
            wire.abort()


async def test_a_process_without_files_waits_for_some_and_does_not_spin(patient: CollectorProcess) -> None:
    process, port = psutil.Process(patient.pid), patient.port
    held = await Wire.open(port)
    assert (await held.ask("GET", "/healthz")).status == 200
    usual = resource.prlimit(patient.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(patient.pid, resource.RLIMIT_NOFILE, (process.num_fds() + 5, usual[1]))
    async with crowd() as silent:
        await silent.grow(port, 50)
        await asyncio.sleep(0.5)
        before = process.cpu_times().user + process.cpu_times().system
        await asyncio.sleep(1.0)
        spent = process.cpu_times().user + process.cpu_times().system - before
        print(f"{spent:.2f} s of CPU in a second without files")
        assert spent < 0.5
        assert (await held.ask("POST", "/events", event("files", "held"))).status == 201
    resource.prlimit(patient.pid, resource.RLIMIT_NOFILE, usual)
    await eventually(lambda: posts(port), lambda status: status == 201)
    held.close()


ROOMS = {
    "files for all": (4000, 20_000, "0", 10_000),
    "few files": (256, 256, "0", 128),
    "some files": (1024, 8000, "0", 8000 - 2560),
    "as many as are wanted": (1024, 20_000, "300", 300),
    "more than there are files for": (1024, 4096, "9000", 2048),
}


@pytest.mark.parametrize(("soft", "hard", "wanted", "room"), ROOMS.values(), ids=ROOMS)
def test_there_are_files_for_every_connection(soft: int, hard: int, wanted: str, room: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < hard:
        pytest.skip(f"this machine lets a process have {most} files")
    code = f"from app.files import room; print(room({wanted}))"
    limits = f"ulimit -Sn {soft} && ulimit -Hn {hard} && exec {sys.executable} -c '{code}'"
    said = subprocess.run(
        ["sh", "-c", limits], cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert int(said.stdout) == room
