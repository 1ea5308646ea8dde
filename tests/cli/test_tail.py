"""`collector tail`: what is committed is told once, over restarts of either side, and what is missing is said."""

import json
import signal
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.cli.exits import Exit
from app.cli.tail import Frame, frames
from tests.cli.saying import on_a_terminal, started
from tests.process import CollectorProcess


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[CollectorProcess]:
    """A collector that a test may stop."""
    with CollectorProcess(env={"SQLITE_PATH": str(tmp_path / "log.db")}) as process:
        await process.wait_until_ready(60)
        yield process


def post(url: str, *actions: str) -> None:
    events = [{"source": "s", "action": action} for action in actions]
    assert httpx.post(f"{url}/events", json=events, trust_env=False).status_code == 201


def numbers(url: str) -> list[int]:
    return [one["seq"] for one in httpx.get(f"{url}/events", trust_env=False).json()]


def line(process: "subprocess.Popen[bytes]") -> str:
    assert process.stdout is not None
    return str(json.loads(process.stdout.readline())["action"])


async def test_it_goes_on_after_a_restart_of_either_side(own: CollectorProcess, tmp_path: Path) -> None:
    place = tmp_path / "place"
    post(own.url, "0")
    words = ("tail", "--json", "--since", "1h", "--resume", str(place), "--url", own.url)
    process = started(*words)
    assert line(process) == "0"  # it is there; from now on it hears of everything
    post(own.url, "1", "2")
    assert [line(process), line(process)] == ["1", "2"]
    own.kill()
    own.start()
    await own.wait_until_ready(60)
    post(own.url, "3")
    assert line(process) == "3"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED
    assert b"Traceback" not in err
    post(own.url, "4")
    process = started(*words)
    told = line(process)
    if told == "3":  # ended between telling of it and noting so, it tells again, and leaves nothing out
        told = line(process)
    assert told == "4"
    process.kill()
    process.communicate()


async def test_what_retention_dropped_is_told_as_a_gap(own: CollectorProcess, tmp_path: Path) -> None:
    post(own.url, "0")
    (seq,) = numbers(own.url)
    own.kill()
    with sqlite3.connect(tmp_path / "log.db") as file:
        file.execute("UPDATE log_state SET purged_through = ?", (seq - 1,))
    file.close()
    own.start()
    await own.wait_until_ready(60)
    place = tmp_path / "place"
    place.write_text("1\n")
    process = started("tail", "--json", "--resume", str(place), "--url", own.url)
    assert line(process) == "0"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert b"gap: what came after 1, up to " in err
    place.write_text("elsewhere")
    process = started("tail", "--resume", str(place), "--url", own.url)
    process.communicate(timeout=60)
    assert process.returncode == Exit.WRONG


def test_a_terminal_shows_each_on_a_line_and_ctrl_c_ends_it(url: str, source: str) -> None:
    first = {"source": source, "action": "deploy", "subject": "\x1b]0;title\x07", "data": {"v": 1}}
    httpx.post(f"{url}/events", json=first, trust_env=False)
    shown = on_a_terminal("tail", "--since", "1h", "--source", source, env={"COLLECTOR_URL": url})
    shown.until('{"v":1}')
    shown.types("\x03")
    ended = shown.ends()
    assert ended.code == Exit.INTERRUPTED
    assert "deploy" in ended.out
    assert "\x1b]0;" not in ended.out
    assert "Traceback" not in ended.out


def test_a_token_that_is_missing_is_no_reason_to_come_back(tmp_path: Path, url: str) -> None:
    process = started("tail", "--url", f"{url}/nowhere")
    _, err = process.communicate(timeout=60)
    assert (process.returncode, b"404" in err) == (Exit.FAILED, True)


def test_frames() -> None:
    lines = [
        "retry: 900",
        ": from 7",
        "",
        "id: 8",
        'data: {"a": "b: c"}',
        "",
        ":",
        "",
        "id: 9",
        "event: gap",
        "data: {}",
        "",
    ]
    assert list(frames(iter(lines))) == [
        Frame(7, "from", b""),
        Frame(8, "message", b'{"a": "b: c"}'),
        Frame(9, "gap", b"{}"),
    ]
