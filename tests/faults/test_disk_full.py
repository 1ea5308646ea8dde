"""A full disk, for real: SQLite's file on a small file system of its own."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import StartCollector
from tests.faults.probes import seconds_until
from tests.faults.wire import Answer, ask, event

SMALL, LARGE = "24m", "96m"
BIG = "x" * 200_000
HEALED_WITHIN = 20.0  # seconds; it takes about one


class SmallDisk:
    """A file system in memory, which can be made larger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self) -> None:
        """Mount it. Raises CalledProcessError, FileNotFoundError."""
        self._mount("-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(self.folder))

    def grow(self) -> None:
        """Give it more room."""
        self._mount("-o", f"remount,size={LARGE}", str(self.folder))

    def unmount(self) -> None:
        """Let go of it, and of what is on it."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    @staticmethod
    def _mount(*words: str) -> None:
        subprocess.run(["mount", *words], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    found = SmallDisk(tmp_path)
    try:
        found.mount()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a file system cannot be mounted here: {error}")
    yield found
    found.unmount()


async def filled(port: int) -> tuple[list[str], list[Answer]]:
    """Post large events until several in a row are refused: the ids acknowledged, and the refusals."""
    kept: list[str] = []
    refused: list[Answer] = []
    for n in range(1000):
        answer = await ask(port, "POST", "/events", event("disk", str(n), data=BIG))
        if answer.status == 201:
            kept.append(str(n))
        else:
            refused.append(answer)
        if len(refused) == 20:
            return kept, refused
    raise AssertionError("the disk did not fill")


async def ids(port: int) -> list[str]:
    answer = await ask(port, "GET", "/events?source=disk&order=asc", accept="application/x-ndjson")
    assert answer.status == 200
    return [json.loads(line)["id"] for line in answer.body.splitlines()]


async def test_a_full_disk_refuses_events_and_heals(disk: SmallDisk, start: StartCollector) -> None:
    process = start({"SQLITE_PATH": str(disk.folder / "collector.db")})
    await process.wait_until_ready()
    kept, refused = await filled(process.port)
    assert {answer.status for answer in refused} == {503}
    assert {answer.document["outcome"] for answer in refused} == {"not_kept"}
    assert all("retry-after" in answer.headers for answer in refused)
    assert await seconds_until(process.port, "GET /readyz", lambda answer: answer.status == 503) < HEALED_WITHIN
    assert (await ask(process.port, "GET", "/healthz")).status == 200
    assert await ids(process.port) == kept
    disk.grow()
    assert await seconds_until(process.port, "GET /readyz") < HEALED_WITHIN
    assert (await ask(process.port, "POST", "/events", event("disk", "after", data=BIG))).status == 201
    assert await ids(process.port) == [*kept, "after"]
    process.terminate()
    assert await process.wait() == 0


async def test_a_full_disk_loses_nothing_at_kill_9(disk: SmallDisk, start: StartCollector) -> None:
    process = start({"SQLITE_PATH": str(disk.folder / "collector.db")})
    await process.wait_until_ready()
    kept, _ = await filled(process.port)
    process.kill()
    process.start()
    await process.wait_until_healthy()
    await asyncio.sleep(1)
    disk.grow()
    assert await seconds_until(process.port, "GET /readyz") < HEALED_WITHIN
    assert await ids(process.port) == kept


async def test_a_disk_that_is_full_from_the_start_is_waited_for(disk: SmallDisk, start: StartCollector) -> None:
    filler = disk.folder / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(b"x" * 2**25)
    process = start({"SQLITE_PATH": str(disk.folder / "collector.db")})
    await process.wait_until_healthy()
    await asyncio.sleep(1)
    assert (await ask(process.port, "GET", "/readyz")).status == 503
    assert (await ask(process.port, "POST", "/events", event("disk", "1"))).status == 503
    filler.unlink()
    assert await seconds_until(process.port, "GET /readyz", lambda answer: answer.status == 200) < HEALED_WITHIN
    assert (await ask(process.port, "POST", "/events", event("disk", "1"))).status == 201
