"""The main job on real input: a repository's history posted in batches, read back, still there after kill -9."""

import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.process import CollectorProcess

ROOT = Path(__file__).parents[2]
SOURCE = "collector.git"
BATCH = 10  # commits a request
FIELDS = ("%H", "%aI", "%an", "%s", "%b")


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    with CollectorProcess(env={"SQLITE_PATH": str(tmp_path / "collector.db")}) as process:
        yield process


def history() -> list[dict[str, object]]:
    """The repository's commits, oldest first, as events."""
    command = ["git", "log", "--reverse", "-z", "--format=" + "%x1f".join(FIELDS)]
    try:
        log = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no git history here: {error}")
    return [event(*commit.split("\x1f")) for commit in log.split("\0") if commit]


def event(commit: str, time: str, author: str, title: str, body: str) -> dict[str, object]:
    data = {"author": author, "title": title, "lines": body.splitlines()}
    return {"source": SOURCE, "action": "commit", "id": commit, "subject": commit[:7], "time": time, "data": data}


async def walk(client: httpx.AsyncClient, url: str) -> AsyncIterator[dict[str, object]]:
    """Follow `next` from page to page until one is empty."""
    while page := (answer := await client.get(url)).raise_for_status().json():
        for one in page:
            yield one
        url = answer.links["next"]["url"]


async def post(client: httpx.AsyncClient, events: list[dict[str, object]]) -> dict[str, int]:
    total = {"accepted": 0, "duplicates": 0, "rejected": 0}
    for start in range(0, len(events), BATCH):
        answer = await client.post("/events", json=events[start : start + BATCH])
        receipt = answer.raise_for_status().json()
        total = {name: count + receipt[name] for name, count in total.items()}
    return total


async def test_a_repositorys_history_survives_a_kill(collector: CollectorProcess) -> None:
    commits = history()
    await collector.wait_until_ready()
    async with httpx.AsyncClient(base_url=collector.url, trust_env=False) as client:
        assert await post(client, commits) == {"accepted": len(commits), "duplicates": 0, "rejected": 0}
    collector.kill()
    collector.start()
    await collector.wait_until_ready()
    async with httpx.AsyncClient(base_url=collector.url, trust_env=False) as client:
        kept = [one async for one in walk(client, f"/events?source={SOURCE}&action=commit&order=asc&limit=7")]
        assert [one["id"] for one in kept] == [one["id"] for one in commits]
        assert [one["data"] for one in kept] == [one["data"] for one in commits]
        newest = commits[-1]
        found = await client.get("/events", params={"source": SOURCE, "subject": str(newest["subject"])})
        assert [one["id"] for one in found.json()] == [newest["id"]]
        author = json.loads(json.dumps(newest["data"]))["author"]
        by_author = await client.get("/events", params={"data.author": author, "limit": 1000})
        assert newest["id"] in [one["id"] for one in by_author.json()]
        assert await post(client, commits) == {"accepted": 0, "duplicates": len(commits), "rejected": 0}
