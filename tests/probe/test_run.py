"""Runs against real collectors: clean where they keep their promises, and red where they do not."""

import asyncio
import json
import os
import re
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.cli.terminal import run
from app.probe import readers
from app.probe.client import Caller
from app.probe.conduct import Run
from app.probe.ledger import Ledger, Record
from app.probe.schedule import Plan
from app.probe.watch import Watch
from tests.credentials import credential, lines
from tests.ports import LOOPBACK, free_port
from tests.probe.conftest import Env, FaultLog, Probe, Start, answered, judged

SHORT = ("--rate", "90", "--for", "1s")


async def test_a_run_against_a_collector_that_is_left_alone_is_clean(env: Env, start: Start) -> None:
    process = start(env)
    await process.wait_until_ready()
    verdict = await judged(process.url, *SHORT)
    assert (verdict["verdict"], verdict["reasons"]) == ("clean", [])
    assert verdict["requests"]["sent"] == verdict["requests"]["acknowledged"] == 90
    assert verdict["requests"]["by_status"] == {"201": 90}
    assert verdict["views"] == dict.fromkeys(("full", "pages", "sources", "stats", "newest"), "ok")
    assert verdict["proof"] == {"requests": 90, "below": pytest.approx(3 / 90)}
    assert verdict["run"]["version"]
    assert verdict["run"]["instances"]


async def test_batches_and_two_replicas(env: Env, start: Start, tmp_path: Path) -> None:
    replicas = [start(env) for _ in range(1 if "SQLITE_PATH" in env else 2)]
    for process in replicas:
        await process.wait_until_ready()
    ledger = tmp_path / "ledger"
    words = [process.url for process in replicas]
    verdict = await judged(*words, *SHORT, "--batch", "7", "--no-retry", "--ledger", str(ledger))
    assert (verdict["events"]["acknowledged"], verdict["proof"]["requests"]) == (630, 90)
    again = await judged("verify", str(ledger), *words)
    assert again["events"] == verdict["events"]
    assert again["run"]["urls"] == words


async def test_where_a_token_is_asked_for_it_shows_one_and_keeps_it_to_itself(
    sqlite_env: Env, start: Start, tmp_path: Path
) -> None:
    own, others = credential("collector.probe/*"), credential("web*")
    process = start(sqlite_env | {"TOKENS": lines(own, others)})
    await process.wait_until_ready()
    ledger, page = tmp_path / "ledger", tmp_path / "page.html"
    words = (process.url, "--rate=30", "--for=1s", f"--ledger={ledger}", f"--html={page}")
    verdict = await judged(*words, COLLECTOR_TOKEN=own.secret)
    assert (verdict["verdict"], verdict["requests"]["by_status"]) == ("clean", {"201": 30})
    assert own.secret not in f"{ledger.read_text()} {page.read_text()} {verdict} {process.output()}"
    secret = tmp_path / "secret"
    secret.write_text(f"{own.secret}\n")
    again = await judged("verify", str(ledger), process.url, f"--token-file={secret}")
    assert again["events"] == verdict["events"]
    for given, status in (({}, "401"), ({"COLLECTOR_TOKEN": others.secret}, "403")):
        refused = await judged(process.url, "--rate=10", "--for=1s", "--settle=1s", code=2, **given)
        assert refused["requests"]["by_status"] == {status: 10}


async def test_kill_9_loses_nothing_and_the_fault_bit(
    env: Env, start: Start, tmp_path: Path, fault_log: FaultLog
) -> None:
    process = start(env)
    await process.wait_until_ready()
    ledger = tmp_path / "ledger"
    running = await Probe.start(
        process.url,
        "--rate",
        "60",
        "--for",
        "5s",
        "--ledger",
        str(ledger),
        "--faults",
        str(fault_log.path),
        "--json",
    )
    await answered(ledger, 40)
    pid = process.pid
    fault_log.write(event="begin", fault=1, kind="kill", target="collector", at=time.time())
    process.kill()
    process.start()
    await process.wait_until_ready()
    fault_log.write(event="end", fault=1, at=time.time(), effect=f"restarted: pid {pid} -> {process.pid}")
    code, out, err = await running.end()
    assert code == 0, out + err
    verdict = json.loads(out)
    (fault,) = verdict["faults"]
    assert fault["bit"]
    assert fault["under_way"] > 0
    assert verdict["events"]["acknowledged"] == verdict["events"]["sent"] == 300
    assert verdict["requests"]["errors_without_retry"] > 0
    assert verdict["events"]["recovered"] > 0
    assert verdict["availability"]["longest_gap_seconds"] > 0.1
    print("longest gap", verdict["availability"], verdict["latency_ms"])


async def test_a_fault_that_never_bit_makes_the_run_invalid(
    sqlite_env: Env, start: Start, fault_log: FaultLog
) -> None:
    process = start(sqlite_env)
    await process.wait_until_ready()
    words = (process.url, *SHORT, "--faults", str(fault_log.path))
    assert "has no fault in it" in " ".join((await judged(*words, code=2))["reasons"])
    fault_log.write(event="begin", fault=1, kind="kill", target="collector", at=time.time() - 3600)
    fault_log.write(event="end", fault=1, at=time.time() - 3599, effect="restarted")
    verdict = await judged(*words, code=2)
    assert verdict["reasons"] == ["fault 1 (kill collector) did not bite: no request was under way"]
    assert verdict["verdict"] == "untested"


CHANGES = {
    "lost": "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)",
    "doubled": "INSERT INTO events (seq, received_at, time, source, action, id, subject, data) "
    "SELECT max(seq) + 1, received_at, time, source, action, id, subject, data FROM events",
    "corrupted": "UPDATE events SET data = replace(data, '\"worker\"', '\"wrecker\"') "
    "WHERE seq = (SELECT max(seq) FROM events)",
    "phantom": "INSERT INTO events (seq, received_at, time, source, action, id, subject, data) "
    "SELECT max(seq) + 1, received_at, time, source, action, 'strange', subject, data FROM events",
}


async def test_an_old_ledger_finds_what_was_done_to_the_database_since(
    sqlite_env: Env, start: Start, tmp_path: Path
) -> None:
    process = start(sqlite_env)
    await process.wait_until_ready()
    ledger = tmp_path / "ledger"
    await judged(process.url, *SHORT, "--ledger", str(ledger))
    assert (await judged("verify", str(ledger), process.url))["verdict"] == "clean"
    for finding, change in CHANGES.items():
        with sqlite3.connect(sqlite_env["SQLITE_PATH"]) as database:
            saved = database.execute("SELECT * FROM events").fetchall()
            last = max(saved)
            database.execute(change)
        database.close()
        verdict = await judged("verify", str(ledger), process.url, code=1)
        assert verdict["events"][finding] > 0, finding
        (named,) = verdict["named"][finding]
        assert named["id"] == ("strange" if finding == "phantom" else last[5])
        assert ("never sent" if finding == "phantom" else "201 by") in named["ledger"]
        with sqlite3.connect(sqlite_env["SQLITE_PATH"]) as database:
            database.execute("DELETE FROM events")
            database.executemany(f"INSERT INTO events VALUES ({','.join('?' * len(last))})", saved)
        database.close()


async def test_an_interrupted_run_is_judged_and_its_page_fits_a_terminal(
    sqlite_env: Env, start: Start, tmp_path: Path
) -> None:
    process = start(sqlite_env)
    await process.wait_until_ready()
    ledger, html = tmp_path / "ledger", tmp_path / "report.html"
    words = ("--rate", "50", "--for", "1h", "--ledger", str(ledger), "--html", str(html))
    running = await Probe.start(process.url, *words)
    await answered(ledger, 20)
    running.interrupt()
    code, out, err = await running.end()
    assert code == 0, out + err
    assert out.startswith("CLEAN")
    assert max(map(len, out.splitlines())) < 80
    assert all(f" {name}:" in out for name in ("lost", "phantom", "doubled", "corrupted"))
    text = html.read_text()
    assert "<svg" in text
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", text), "it loads something"


async def test_a_ledger_whose_probe_was_killed_can_be_judged(
    sqlite_env: Env, start: Start, tmp_path: Path
) -> None:
    process = start(sqlite_env)
    await process.wait_until_ready()
    ledger = tmp_path / "ledger"
    running = await Probe.start(process.url, "--rate", "50", "--for", "1h", "--ledger", str(ledger))
    await answered(ledger, 20)
    running.process.kill()
    await running.end()
    verdict = await judged("verify", str(ledger), process.url)
    assert verdict["requests"]["acknowledged"] >= 10


async def test_a_collector_that_is_not_there_proves_nothing() -> None:
    url = f"http://{LOOPBACK}:{free_port()}"
    verdict = await judged(url, *SHORT, "--no-retry", "--settle", "100ms", code=2)
    assert verdict["requests"]["not_sent"] == verdict["requests"]["errors_without_retry"] == 90
    assert "nothing was acknowledged" in verdict["reasons"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
async def test_a_history_that_cannot_be_written_ends_the_run(
    sqlite_env: Env, start: Start, tmp_path: Path
) -> None:
    process = start(sqlite_env)
    await process.wait_until_ready()

    class Full(Ledger):
        def append(self, record: Record) -> None:
            super().append(record)
            if len(self.records) == 20:
                os.dup2(os.open("/dev/full", os.O_WRONLY), self._file or 0)

    plan = Plan(run="full", urls=(process.url,), rate=100, seconds=600)
    with Full(tmp_path / "ledger") as book:
        with pytest.raises(OSError, match="space"):
            await Run(plan, book, 1.0, print).verdict(lambda: None)
        assert len(book.records) == 20


async def test_a_read_that_does_not_show_what_was_acknowledged_before_is_stale(
    env: Env, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(env)
    await process.wait_until_ready()
    plan = Plan(run="stale", urls=(process.url,), rate=1, seconds=1)
    caller = Caller(process.url)
    assert (await caller.post("/events", plan.body("stale/0/0", datetime.now(UTC)))).status == 201
    caller.close()
    monkeypatch.setattr(readers, "FULL_EVERY", 0.01)
    stale: list[str] = []
    reading = asyncio.create_task(readers.reread(plan, Watch(committed=["stale/0/0", "stale/1/0"]), stale))
    async with asyncio.timeout(30):
        while True:
            if stale:
                break
            await asyncio.sleep(0.01)
    reading.cancel()
    await asyncio.wait([reading])
    assert set(stale) == {"stale/1/0"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Missing argument"),
        (["nonsense"], "the URL of a collector is like http://host:port"),
        (["http://x", "--for", "3"], "a duration is like"),
        (["http://x", "--for", "0s"], "a duration is like"),
        (["http://x", "--rate", "0"], "'--rate'"),
        (["http://x", "--batch", "1001"], "'--batch'"),
        (["http://x", "--typo"], "--typo"),
        (["verify"], "LEDGER"),
        (["verify", "/nowhere/ledger", "http://x"], "No such file"),
        (["http://x", "--ledger", "/nowhere/ledger"], "No such file"),
    ],
)
def test_a_wrong_argument_is_told_in_a_line(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["probe", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1


def test_help_tells_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    for words, says in ((["--help"], "--no-retry"), (["verify", "--help"], "LEDGER")):
        assert run(["probe", *words]) == 0
        out, _ = capsys.readouterr()
        assert says in out
        assert "Exit code 0: clean" in out
