"""The README's first screen and first rung, run as they stand there: on another port, and on other files."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from tests.child import Child, clean_environment
from tests.ports import LOOPBACK, free_port
from tests.readme import ROOT, commands, commands_for

PATIENCE = 60.0  # seconds; all of it takes some ten
PROGRAMS = Path(sys.executable).parent  # what `make install` has made, wherever it is
OURS = commands_for(__file__)
SERVE = "make run"
ENDLESS = ("curl -sN ", "collector tail")
POST = next(command for command in OURS if " -d " in command)
# What is shortened, or lies elsewhere here; every other word is the README's.
HERE = {
    "localhost:8080": "{netloc}",
    "http://127.0.0.1:8080": "http://{netloc}",
    ".venv/bin": str(PROGRAMS),
    "--for 60s": "--for 1s",
    "collector demo": "collector demo --speed 0",
}


def here(command: str, netloc: str) -> str:
    for theirs, ours in HERE.items():
        command = command.replace(theirs, ours.format(netloc=netloc))
    return command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with one commit, as `--from-git` wants one."""
    for words in (("init", "--quiet"), ("commit", "--quiet", "--allow-empty", "--message=first")):
        who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, timeout=PATIENCE)
    return tmp_path


@pytest.fixture
def netloc(tmp_path: Path) -> Iterator[str]:
    """`make run`, but that it installs nothing: where it serves."""
    assert SERVE in OURS
    port = free_port()
    words = [*SERVE.split(), "--old-file=.venv/.runtime", f"BIN={PROGRAMS}"]
    env = {**clean_environment(), "PORT": str(port), "SQLITE_PATH": str(tmp_path / "data" / "collector.db")}
    child = Child(words, log=tmp_path / "log", cwd=ROOT, env=env)
    try:
        child.wait_until(lambda: answers(f"http://{LOOPBACK}:{port}/readyz"), PATIENCE)
        yield f"{LOOPBACK}:{port}"
    finally:
        child.end(signal.SIGTERM, PATIENCE)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def until(there: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_the_commands_do_what_is_said_of_them(netloc: str, folder: Path) -> None:
    env = {**clean_environment(), "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "COLLECTOR_URL": f"http://{netloc}"}
    told = {}
    shown = follow(netloc, folder, env)
    for command in (one for one in OURS if one != SERVE and not one.startswith(ENDLESS)):
        done = subprocess.run(
            ["bash", "-c", here(command, netloc)], cwd=folder, env=env, capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        told[command] = done.stdout + done.stderr
    assert set(json.loads(told[POST])) == {
        "seq",
        "id",
        "source",
        "action",
        "subject",
        "time",
        "received_at",
        "data",
    }
    (page,) = (json.loads(text) for command, text in told.items() if "since=15m" in command)
    assert json.loads(told[POST]) in page
    assert "1 stored, 0 rejected" in told["collector send --from-git"]
    assert (folder / "probe.html").read_text().startswith("<!doctype html>")
    assert set(shown) == {command for command in OURS if command.startswith(ENDLESS)}


def follow(netloc: str, folder: Path, env: Mapping[str, str]) -> list[str]:
    """Run the commands that do not end by themselves, until each has shown an event; gives those that did."""
    started: dict[str, Child] = {}
    logs = {}
    for number, command in enumerate(one for one in OURS if one.startswith(ENDLESS)):
        logs[command] = folder / f"endless-{number}"
        words = ["bash", "-c", f"exec {here(command, netloc)}"]
        started[command] = Child(words, log=logs[command], cwd=folder, env=env)

    def all_have_shown_it() -> bool:
        subprocess.run(
            ["bash", "-c", here(POST, netloc)], env=env, capture_output=True, timeout=PATIENCE, check=True
        )
        return all("1.4.2" in log.read_text() for log in logs.values())

    try:
        until(all_have_shown_it, f"no event in {[str(log) for log in logs.values()]}")
        return [command for command, log in logs.items() if log.stat().st_size]
    finally:
        for child in started.values():
            child.end(signal.SIGINT, PATIENCE)


def test_the_first_two_commands_are_all_that_it_takes() -> None:
    assert commands()[:2] == [SERVE, POST]
