"""`collector purge`: it shows, asks, deletes, and says which of that it did not do."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app import purge as command
from app.cli import main
from app.purge import purge
from tests.credentials import credential
from tests.http.serving import client_of, event, kept, post, running, wait_until
from tests.ports import free_port
from tests.process import CollectorProcess

USER, ADMIN = credential(), credential(scopes=("admin",))


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    tokens = f"{USER.line}\n{ADMIN.line}"
    with running({"SQLITE_PATH": str(tmp_path / "log.db"), "TOKENS": tokens}) as process:
        yield process


@pytest.fixture
def user(collector: CollectorProcess) -> Iterator[httpx.Client]:
    with client_of(collector) as client:
        client.headers.update(USER.headers)
        post(client, [event("a", id="1"), event("a", id="2"), event("b", id="1")])
        yield client


@pytest.fixture
def token(tmp_path: Path) -> str:
    file = tmp_path / "token"
    file.write_text(f"{ADMIN.secret}\n")
    return f"--token-file={file}"


def words(collector: CollectorProcess, *more: str) -> list[str]:
    return [f"--url={collector.url}", "--before=0s", *more]


def test_it_shows_asks_and_deletes(collector: CollectorProcess, user: httpx.Client, token: str) -> None:
    said: list[str] = []
    asked: list[str] = []

    def no(question: str) -> str:
        asked.append(question)
        return "y"

    assert purge(words(collector, "--source=a", token), said.append, no) == 1
    assert asked == ["Delete 2 events, for good? Type yes: "]
    assert (said[0].split()[0], said[0].split()[-1], said[-1]) == ("2", "a", "Nothing was deleted.")
    assert len(kept(user, "a")) == 2
    assert purge(words(collector, "--source=a", token), said.append, lambda _: " Yes ") == 0
    assert said[-1] == "2 events and 0 dead letters deleted"
    assert (len(kept(user, "a")), len(kept(user, "b"))) == (0, 1)


def test_a_script_says_yes_beforehand(
    collector: CollectorProcess,
    user: httpx.Client,
    token: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes"))  # no terminal
    for yes, code, left in ((), 1, 3), (("--yes",), 0, 0), (("--yes",), 0, 0):
        with pytest.raises(SystemExit) as ended:
            main(["purge", *words(collector, "--source=a", "--source=b*", token, *yes)])
        assert ended.value.code == code
        assert len(kept(user, "a")) + len(kept(user, "b")) == left
    said = capsys.readouterr().out
    assert said.count(" deleted\n") == 1  # the last one found nothing to do
    assert "3 events and 0 dead letters deleted" in said
    assert "--yes was not given" in said


def test_what_the_collector_refuses_is_said(collector: CollectorProcess, user: httpx.Client, token: str) -> None:
    said: list[str] = []
    assert purge(words(collector, "--source=a"), said.append, None) == 1
    assert "answered 401" in said[-1]
    assert purge([*words(collector, "--source=a", token), "--before=soon"], said.append, None) == 1
    assert "answered 400: before is RFC 3339" in said[-1]
    nobody = f"--url=http://127.0.0.1:{free_port()}"
    assert purge([*words(collector, "--source=a", token), nobody], said.append, None) == 1
    assert "does not answer" in said[-1]
    assert purge([*words(collector, "--source=a"), "--token-file=/nowhere"], said.append, None) == 2
    with pytest.raises(SystemExit) as ended:
        purge(["--source=a"], said.append, None)
    assert ended.value.code == 2
    assert len(kept(user, "a")) == 2


def test_an_answer_that_breaks_off_is_no_success(
    collector: CollectorProcess, user: httpx.Client, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    progress = command._progress
    monkeypatch.setattr(command, "_progress", lambda answer: list(progress(answer))[:-1])
    assert purge(words(collector, "--source=a", "--yes", token), said.append, None) == 1
    assert said[-1] == "0 of 2 events deleted; the answer broke off"
    wait_until(lambda: kept(user, "a") == [], "the end, which nobody heard of")
