"""Backups of the embedded database: made under load, restored elsewhere, audited by the probe."""

import asyncio
import sqlite3
import sys
from pathlib import Path

import httpx

from tests.child import clean_environment
from tests.probe.conftest import Probe, answered, judged
from tests.process import ROOT, CollectorProcess

LOAD = ("--rate=100", "--for=60s", "--json")


async def collector(command: str, *words: str, **env: str) -> tuple[int, str]:
    """Run a command to its end; gives its exit code and what it printed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", command, *words, cwd=ROOT, env=clean_environment() | env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await child.communicate()
    assert child.returncode is not None
    return child.returncode, out.decode()


async def test_a_backup_made_under_load_holds_what_was_acknowledged_before(tmp_path: Path) -> None:
    source, file, target = tmp_path / "one.db", tmp_path / "backup.db", tmp_path / "restored" / "two.db"
    before, ledger = tmp_path / "before", tmp_path / "meanwhile"
    with CollectorProcess(env={"SQLITE_PATH": str(source)}) as process:
        await process.wait_until_ready()
        await judged(process.url, "--rate=100", "--for=1s", f"--ledger={before}")
        load = await Probe.start(process.url, *LOAD, f"--ledger={ledger}")
        await answered(ledger, 50)
        assert (await collector("backup", str(file), SQLITE_PATH=str(source)))[0] == 0
        load.interrupt()
        assert (await load.end())[0] == 0

    assert names(tmp_path, "backup.db*") == [file.name]
    code, said = await collector("restore", str(file), SQLITE_PATH=str(target))
    assert code == 0, said
    with CollectorProcess(env={"SQLITE_PATH": str(target)}) as restored:
        await restored.wait_until_ready()
        verdict = await judged("verify", str(before), restored.url)
        assert (verdict["verdict"], verdict["events"]["lost"]) == ("clean", 0)
        assert verdict["events"]["acknowledged"] == 100
        # It is a collector like any other: what comes next is kept, after what is there.
        await judged(restored.url, "--rate=50", "--for=1s")


async def test_restoring_keeps_what_was_there_and_refuses_while_it_is_in_use(tmp_path: Path) -> None:
    path, file = tmp_path / "log.db", tmp_path / "backup.db"
    one = {"source": "s", "action": "a", "id": "1"}
    with CollectorProcess(env={"SQLITE_PATH": str(path)}) as process:
        await process.wait_until_ready()
        async with httpx.AsyncClient(base_url=process.url, trust_env=False) as client:
            await client.post("/events", json=one)
            assert (await collector("backup", str(file), SQLITE_PATH=str(path)))[0] == 0
            await client.post("/events", json=one | {"id": "2"})
        code, said = await collector("restore", str(file), SQLITE_PATH=str(path))
        assert code == 1
        assert "stop the collector first" in said
        process.kill()

    code, said = await collector("restore", str(file), SQLITE_PATH=str(path))
    assert code == 0, said
    assert ids(path) == ["1"]
    assert ids(tmp_path / "log.db.before") == ["1", "2"]
    assert not names(tmp_path, "*.new")


async def test_what_is_no_backup_is_not_restored(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    for content in (b"", b"no database at all" * 1000):
        (tmp_path / "file").write_bytes(content)
        code, said = await collector("restore", str(tmp_path / "file"), SQLITE_PATH=str(path))
        assert code == 1
        assert "is no database of a collector" in said
    assert (await collector("restore", str(tmp_path / "none"), SQLITE_PATH=str(path)))[0] == 1
    assert (await collector("backup", str(tmp_path / "file"), SQLITE_PATH=str(path)))[0] == 1
    assert (tmp_path / "file").read_bytes() == content
    assert names(tmp_path, "*") == ["file"]


async def test_with_postgresql_it_says_what_to_use_instead(tmp_path: Path) -> None:
    code, said = await collector("backup", str(tmp_path / "file"), POSTGRES_CONNECTION_STRING="postgres://x/y")
    assert code == 2
    assert "pg_dump" in said
    assert (await collector("backup"))[0] == 2


def ids(path: Path) -> list[str]:
    with sqlite3.connect(path) as database:
        return [id_ for (id_,) in database.execute("SELECT id FROM events ORDER BY seq")]


def names(folder: Path, pattern: str) -> list[str]:
    return [path.name for path in folder.glob(pattern)]
