"""What a process tells the systemd that started it, and what it does where there is none."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from app.health import Beat, Loops
from app.metrics import Metrics
from app.notify import Systemd, notify
from app.settings import Supervisor, supervisor
from tests.guardian import guardian
from tests.process import CollectorProcess

PATIENCE = 20.0  # seconds for what takes milliseconds
OFTEN = 0.04  # seconds; the watchdog of these tests


class Manager:
    """As much of systemd as a service sees of it: a socket that takes datagrams."""

    def __init__(self, path: Path | str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(PATIENCE)

    def hears(self) -> str:
        """The next word. Raises TimeoutError."""
        return self._socket.recv(4096).decode()

    def waiting(self) -> list[str]:
        """All words that have come and were not heard yet."""
        self._socket.setblocking(False)
        words = []
        try:
            while True:
                words.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            return words
        finally:
            self._socket.settimeout(PATIENCE)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def path() -> Path:
    """Where the manager listens; not in tmp_path, which may be longer than a socket's name may be."""
    folder = guardian().new_folder("notify")
    return folder / "socket"


@pytest.fixture
def manager(path: Path) -> Iterator[Manager]:
    made = Manager(path)
    yield made
    made.close()


async def told(manager: Manager) -> str:
    return await asyncio.to_thread(manager.hears)


async def until(systemd: Systemd, turns: int) -> None:
    """Run its loop for as many turns."""
    done = asyncio.Event()
    left = turns

    def beat() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            done.set()  # whoever waits for it goes on when this turn has ended

    task = asyncio.create_task(systemd.run(beat))
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def hang(_: Beat) -> None:
    await asyncio.Event().wait()


async def until_late(loops: Loops, name: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while name not in loops.late():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def until_frozen(process: CollectorProcess) -> None:
    deadline = time.monotonic() + PATIENCE
    while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_it_hears_once_that_the_process_is_up_and_then_that_it_lives(manager: Manager, path: Path) -> None:
    systemd = Systemd(Supervisor(socket=str(path), watchdog=OFTEN), list)
    await until(systemd, 3)
    assert manager.waiting() == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]
    systemd.leave()
    assert manager.waiting() == ["STOPPING=1"]


async def test_nothing_is_heard_while_a_loop_is_late(manager: Manager, path: Path) -> None:
    late = ["writer"]
    systemd = Systemd(Supervisor(socket=str(path), watchdog=OFTEN), lambda: late)
    await until(systemd, 3)
    assert manager.waiting() == ["READY=1"]
    late.clear()
    await until(systemd, 1)
    assert manager.waiting() == ["READY=1", "WATCHDOG=1"]


async def test_a_loop_that_hangs_is_late(manager: Manager, path: Path) -> None:
    loops = Loops(Metrics(1))
    notify(Supervisor(socket=str(path), watchdog=OFTEN), loops)
    assert [await told(manager) for _ in range(2)] == ["READY=1", "WATCHDOG=1"]
    loops.start("hangs", hang, deadline=0.1)
    await until_late(loops, "hangs")
    manager.waiting()
    await asyncio.sleep(5 * OFTEN)
    assert manager.waiting() == []
    await loops.stop_all()


async def test_what_is_not_taken_at_first_is_said_again(path: Path) -> None:
    systemd = Systemd(Supervisor(socket=str(path), watchdog=OFTEN), list)
    turning = asyncio.create_task(systemd.run(lambda: None))
    await asyncio.sleep(3 * OFTEN)
    manager = Manager(path)
    assert await told(manager) == "READY=1"
    turning.cancel()
    manager.close()


async def test_a_name_that_begins_with_an_at_is_an_abstract_socket() -> None:
    name = f"collector-test-{id(object())}"
    manager = Manager(f"\0{name}")
    await until(Systemd(Supervisor(socket=f"@{name}", watchdog=None), list), 1)
    assert manager.waiting() == ["READY=1", "WATCHDOG=1"]
    manager.close()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "1"}, None),
        ({"WATCHDOG_USEC": "30000000"}, None),
        ({"NOTIFY_SOCKET": "/run/n"}, Supervisor(socket="/run/n", watchdog=None)),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "1500000"}, Supervisor(socket="/run/n", watchdog=1.5)),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "0"}, Supervisor(socket="@n", watchdog=None)),
        (
            {"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "7"},
            Supervisor(socket="@n", watchdog=1.0),
        ),
        (
            {"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "8"},
            Supervisor(socket="@n", watchdog=None),
        ),
    ],
)
def test_what_systemd_says_in_the_environment(environment: dict[str, str], expected: Supervisor | None) -> None:
    assert supervisor(environment, pid=7) == expected


async def test_a_collector_says_when_it_is_up_that_it_lives_and_that_it_leaves(
    manager: Manager, path: Path, tmp_path: Path
) -> None:
    env = {
        "SQLITE_PATH": str(tmp_path / "collector.db"),
        "DRAIN_SECONDS": "0.5",
        "NOTIFY_SOCKET": str(path),
        "WATCHDOG_USEC": "200000",
    }
    with CollectorProcess(env=env) as process:
        assert await told(manager) == "READY=1"
        # Told it is up, others connect: the port is open.
        _, writer = await asyncio.open_connection("127.0.0.1", process.port)
        writer.close()
        assert [await told(manager) for _ in range(3)] == ["WATCHDOG=1"] * 3
        process.terminate()
        assert await process.wait(PATIENCE) == 0
        said = manager.waiting()
    assert said.count("STOPPING=1") == 1
    assert "WATCHDOG=1" in said[said.index("STOPPING=1") :]  # while it drains
    assert set(said) == {"STOPPING=1", "WATCHDOG=1"}


async def test_a_frozen_collector_falls_silent(manager: Manager, path: Path, tmp_path: Path) -> None:
    env = {
        "SQLITE_PATH": str(tmp_path / "collector.db"),
        "NOTIFY_SOCKET": str(path),
        "WATCHDOG_USEC": "200000",
    }
    with CollectorProcess(env=env) as process:
        assert [await told(manager) for _ in range(2)] == ["READY=1", "WATCHDOG=1"]
        process.pause()
        await until_frozen(process)
        manager.waiting()
        await asyncio.sleep(1)
        assert manager.waiting() == []
        process.resume()
        assert await told(manager) == "WATCHDOG=1"
