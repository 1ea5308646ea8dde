"""An export of everything takes no more memory than an export of little."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import psutil  # type: ignore[import-untyped]
import pytest

from app.events import Parser
from app.store.sqlite import SqliteStore
from tests.process import CollectorProcess

EVENTS = 60_000
GROUP = 4_000
FILLING = "x" * 1_500  # characters of each event's data: 90 MB in all
SAMPLE = 2**20  # bytes received between two looks at the server's memory
ROOM = 40 * 2**20  # bytes that the process may grow by: a few pages of 4 MiB as rows, as events and as text


@pytest.fixture
async def full(tmp_path: Path) -> Path:
    """A database file with 90 MB of events."""
    path = tmp_path / "collector.db"
    store = SqliteStore(path)
    await store.migrate()
    event = Parser().one(msgspec.json.encode({"source": "s", "action": "a", "data": FILLING}))
    for _ in range(EVENTS // GROUP):
        await store.keep([event] * GROUP, strict=False)
    await store.close()
    return path


@pytest.fixture
def collector(full: Path) -> Iterator[CollectorProcess]:
    with CollectorProcess(env={"SQLITE_PATH": str(full)}) as process:
        yield process


async def exported(
    client: httpx.AsyncClient, server: psutil.Process, media: str, **parameters: int
) -> tuple[int, int, int]:
    """The lines and bytes of an export, and the most memory, in bytes, that the server held meanwhile."""
    lines = size = peak = 0
    async with client.stream("GET", "/events", params=parameters, headers={"Accept": media}) as answer:
        async for chunk in answer.aiter_bytes():
            lines += chunk.count(b"\n")
            if size // SAMPLE != (size + len(chunk)) // SAMPLE:
                peak = max(peak, server.memory_info().rss)
            size += len(chunk)
    return lines, size, peak


@pytest.mark.parametrize(("media", "header"), [("application/x-ndjson", 0), ("text/csv", 1)])
async def test_an_export_streams(collector: CollectorProcess, media: str, header: int) -> None:
    await collector.wait_until_ready()
    server = psutil.Process(collector.pid)
    async with httpx.AsyncClient(base_url=collector.url, trust_env=False, timeout=60) as client:
        _, _, little = await exported(client, server, media, limit=2 * GROUP)
        lines, size, much = await exported(client, server, media)
        assert lines == EVENTS + header
        assert size > 2 * ROOM
        assert little > 0
        assert much - little < ROOM
