"""Moving: `collector query --all | collector send`, up and down: as many in as out, ids kept, none twice."""

import subprocess
from pathlib import Path
from typing import Any

import httpx

from tests.cli.saying import COMMAND, environment
from tests.conftest import POSTGRES
from tests.databases import create_database, drop_database, migrate
from tests.process import ROOT, CollectorProcess

EVENTS = 3000
Known = tuple[str, str, str, str]


def moved(source: str, target: str) -> str:
    """What the end of the pipe says."""
    pipe = f"{COMMAND[0]} -m app query --all --url {source} | {COMMAND[0]} -m app send --url {target}"
    done = subprocess.run(
        ("bash", "-o", "pipefail", "-c", pipe),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return done.stderr.splitlines()[-1]


def known(url: str) -> list[Known]:
    found: list[Known] = []
    client = httpx.Client(base_url=url, trust_env=False, timeout=30)
    with client:
        path = "/events?order=asc&limit=1000"
        while page := (answer := client.get(path)).json():
            found += [(one["source"], one["id"], one["time"], str(one["data"])) for one in page]
            path = answer.links["next"]["url"]
    return found


def events() -> list[dict[str, Any]]:
    """With an id and without, with a time and without."""
    shapes: list[dict[str, Any]] = [
        {},
        {"id": "n"},
        {"time": "2026-01-02T03:04:05.678Z"},
        {"id": "t", "time": "2026-01-01T00:00:00Z"},
    ]
    made = []
    for n in range(EVENTS):
        shape = dict(shapes[n % 4])
        if "id" in shape:
            shape["id"] += str(n)
        made.append({"source": f"s{n % 7}", "action": "a", "data": {"n": n, "x": 1e22}, **shape})
    return made


def post(url: str, body: list[dict[str, Any]]) -> None:
    assert httpx.post(f"{url}/events", json=body, trust_env=False).status_code == 201


async def test_there_and_back_and_again(tmp_path: Path) -> None:
    with POSTGRES.sources[-1].serve() as server:
        database = await create_database(server)
        migrate(database)
        small = CollectorProcess(env={"SQLITE_PATH": str(tmp_path / "log.db")})
        large = CollectorProcess(env={"POSTGRES_CONNECTION_STRING": database})
        with small, large:
            await small.wait_until_ready(60)
            await large.wait_until_ready(60)
            made = events()
            for start in range(0, EVENTS, 1000):
                post(small.url, made[start : start + 1000])
            before = known(small.url)
            assert len(before) == EVENTS
            moved(small.url, large.url)
            assert known(large.url) == before
            for source, target in ((large, small), (small, large)):
                assert moved(source.url, target.url) == f"0 stored, {EVENTS} were there, 0 rejected"
            assert known(small.url) == known(large.url) == before
        await drop_database(server, database)
