"""`collector purge`: it shows, asks, deletes, and says which of that it did not do."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.cli import main
from app.cli import purge as command
from app.cli.purge import Wanted, carry_out
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


def wanted(
    collector: CollectorProcess, *, token: str | None = ADMIN.secret, before: str = "0s", yes: bool = False
) -> Wanted:
    return Wanted(url=collector.url, token=token, sources=["a"], before=before, yes=yes)


def test_it_shows_asks_and_deletes(collector: CollectorProcess, user: httpx.Client) -> None:
    said: list[str] = []
    asked: list[str] = []

    def no(question: str) -> str:
        asked.append(question)
        return "y"

    assert carry_out(wanted(collector), said.append, no) == 1
    assert asked == ["Delete 2 events, for good? Type yes: "]
    assert (said[0].split()[0], said[0].split()[-1], said[-1]) == ("2", "a", "Nothing was deleted.")
    assert len(kept(user, "a")) == 2
    assert carry_out(wanted(collector), said.append, lambda _: " Yes ") == 0
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
            main(["purge", f"--url={collector.url}", "--before=0s", "--source=a", "--source=b*", token, *yes])
        assert ended.value.code == code
        assert len(kept(user, "a")) + len(kept(user, "b")) == left
    said = capsys.readouterr().out
    assert said.count(" deleted\n") == 1  # the last one found nothing to do
    assert "3 events and 0 dead letters deleted" in said
    assert "--yes was not given" in said


def test_what_the_collector_refuses_is_said(collector: CollectorProcess, user: httpx.Client) -> None:
    said: list[str] = []
    assert carry_out(wanted(collector, token=None), said.append, None) == 1
    assert "answered 401" in said[-1]
    assert carry_out(wanted(collector, before="soon"), said.append, None) == 1
    assert "answered 400: before is RFC 3339" in said[-1]
    nobody = Wanted(url=f"http://127.0.0.1:{free_port()}", token=None, sources=["a"], before="0s", yes=False)
    assert carry_out(nobody, said.append, None) == 1
    assert "does not answer" in said[-1]
    for wrong in (["--source=a"], ["--source=a", "--before=0s", "--token-file=/nowhere"]):
        with pytest.raises(SystemExit) as ended:
            main(["purge", f"--url={collector.url}", *wrong])
        assert ended.value.code == 2
    assert len(kept(user, "a")) == 2


def test_an_answer_that_breaks_off_is_no_success(
    collector: CollectorProcess, user: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    progress = command._progress
    monkeypatch.setattr(command, "_progress", lambda answer: list(progress(answer))[:-1])
    assert carry_out(wanted(collector, yes=True), said.append, None) == 1
    assert said[-1] == "0 of 2 events deleted; the answer broke off"
    wait_until(lambda: kept(user, "a") == [], "the end, which nobody heard of")
