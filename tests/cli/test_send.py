"""`collector send`: whatever form events come in, each is stored once, and what was not is told and why."""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.exits import Exit
from app.cli.incoming import Item
from app.cli.posting import MAX_BYTES, MAX_EVENTS, batches
from tests.cli.conftest import Call, Events
from tests.cli.saying import on_a_terminal, said, started
from tests.credentials import credential
from tests.process import CollectorProcess

Kept = Callable[[], Events]


def test_an_event_by_its_flags(call: Call, source: str, kept: Kept) -> None:
    words = ["--source", source, "--action", "deploy", "--subject", "web", "--time", "2026-01-02T03:04:05+01:00"]
    assert call("send", *words, "--data", '{"v": 1.0}', "--id", "1").err == "1 stored, 0 rejected\n"
    assert call("send", *words, "--data", '{"v": 1.0}', "--id", "1").err == "0 stored, 1 were there, 0 rejected\n"
    assert call("send", *words, "--data", "plain text", "--quiet").err == ""
    one, other = kept()
    assert (one["id"], one["subject"], one["time"], one["data"]) == (
        "1",
        "web",
        "2026-01-02T02:04:05Z",
        {"v": 1.0},
    )
    assert (other["data"], len(other["id"])) == ("plain text", 36)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--source", "s"], "which --action?"),
        (["--source", "s", "--action", "a", "file"], "not both"),
        (["/nowhere/file"], "cannot read"),
        (["--flush"], "--queue"),
        (["--typo"], "--typo"),
        (["--url", "nonsense"], "the URL of a collector is like"),
        (["--token", "secret", "x"], "--token"),
    ],
)
def test_what_is_wrongly_asked_is_told_in_a_line(call: Call, words: list[str], says: str) -> None:
    told = call("send", *words)
    assert (told.code, told.out, told.err.count("\n")) == (Exit.WRONG, "", 1)
    assert says in told.err


@pytest.mark.parametrize("form", ["object", "array", "lines", "bom"])
def test_json_in_every_form(call: Call, source: str, kept: Kept, tmp_path: Path, form: str) -> None:
    events: Events = [
        {"source": source, "action": "a", "data": {"n": 1e22, "text": "a\nb"}},
        {"source": source, "action": "b"},
    ]
    text = {
        "object": json.dumps(events[0], indent=2),
        "array": json.dumps(events, indent=2),
        "lines": "\n\n".join(map(json.dumps, events)),
        "bom": "\ufeff" + json.dumps(events[0]) + "\r\n",
    }[form]
    file = tmp_path / "events"
    file.write_text(text)
    assert call("send", str(file)).code == Exit.DONE
    found = kept()
    assert [one["action"] for one in found] == (["a"] if form in ("object", "bom") else ["a", "b"])
    assert found[0]["data"] == events[0]["data"]


def test_what_is_rejected_is_told_line_by_line_and_the_rest_is_stored(
    call: Call, source: str, kept: Kept, tmp_path: Path
) -> None:
    lines = [
        {"source": source, "action": "a", "id": None},
        {"source": "", "action": "a"},
        {"source": source, "action": "a", "data": "x" * 300_000},
        {"source": source, "action": "\u001b[31m"},
    ]
    file = tmp_path / "events"
    file.write_text("\n".join([*map(json.dumps, lines), "no json", "[1]", '"text"', json.dumps(lines[0])]))
    told = call("send", str(file))
    assert told.code == Exit.FAILED
    for line, reason in {2: "source is empty", 3: "262144 bytes", 4: "control", 5: "no JSON", 6: "array"}.items():
        assert any(one.startswith(f"rejected: line {line}: ") and reason in one for one in told.err.splitlines())
    assert "\x1b" not in told.err
    assert told.err.endswith("2 stored, 6 rejected\n")
    assert len(kept()) == 2


def test_where_all_is_bad_every_reason_is_told(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.write_text('{"source": "", "action": "a"}\n{"source": "s"}\n')
    told = call("send", str(file))
    assert told.code == Exit.FAILED
    assert "line 1: source is empty" in told.err
    assert "line 2: " in told.err
    assert told.err.endswith("0 stored, 2 rejected\n")


def test_csv_goes_out_and_in_again(call: Call, source: str, kept: Kept, tmp_path: Path) -> None:
    file, back = tmp_path / "events.csv", tmp_path / "back.csv"
    file.write_text(
        f'source,action,subject,data.n,data.text\n{source},=run,\'it,7,"a,b"\n{source},b,,,\n{source},c\n'
    )
    told = call("send", str(file))
    assert told.code == Exit.FAILED
    assert "line 4: it has 2 cells, the first row has 5" in told.err
    assert [(one["action"], one["data"]) for one in kept()] == [("=run", {"n": 7, "text": "a,b"}), ("b", None)]
    assert call("query", "--csv", "--source", source, "-o", str(back)).code == Exit.DONE
    assert "'=run" in back.read_text()
    assert call("send", str(back)).err == "0 stored, 2 were there, 0 rejected\n"
    file.write_text("source,actoin\n")
    assert "'actoin'" in call("send", str(file)).err


def test_commits_of_a_repository(
    call: Call, source: str, kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    who = ("-c", "user.name=Ann", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    for words in (
        ("init", "-q"),
        *((*who, "commit", "-q", "--allow-empty", "-m", f"n{n}\n\nwhy") for n in range(3)),
    ):
        subprocess.run(("git", *words), check=True)
    assert call("send", "--from-git", "HEAD~2..HEAD~1", "--source", source).err == "1 stored, 0 rejected\n"
    assert call("send", "--from-git", "--source", source).err == "2 stored, 1 were there, 0 rejected\n"
    assert {one["data"]["title"] for one in kept()} == {"n0", "n1", "n2"}
    assert kept()[0]["data"] == {"author": "Ann", "title": "n1", "body": "why"}
    monkeypatch.chdir("/")
    assert call("send", "--from-git").code == Exit.WRONG


def test_a_request_carries_no_more_than_it_may() -> None:
    many = [Item("", b"x" * 10)] * (MAX_EVENTS + 1)
    assert [len(batch) for batch in batches(many)] == [MAX_EVENTS, 1]
    large = [Item("", b"x" * (MAX_BYTES // 2))] * 3
    assert [len(batch) for batch in batches(large)] == [1, 1, 1] or [len(b) for b in batches(large)] == [2, 1]
    assert [len(batch) for batch in batches([many[0], None, None, many[0]])] == [1, 1]


def test_a_pipe_that_stays_open_is_sent_as_it_comes(url: str, source: str, kept: Kept) -> None:
    process = started("send", "--url", url, stdin=subprocess.PIPE)
    assert process.stdin is not None
    for n in range(2):
        process.stdin.write(json.dumps({"source": source, "action": str(n)}).encode() + b"\n")
        process.stdin.flush()
        until(lambda n=n: len(kept()) == n + 1)  # type: ignore[misc]
    process.communicate(timeout=60)
    assert process.returncode == Exit.DONE


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def test_it_waits_for_a_collector_that_is_away_and_stores_once(tmp_path: Path) -> None:
    process = CollectorProcess(env={"SQLITE_PATH": str(tmp_path / "log.db")})
    starter = threading.Timer(1.0, process.start)
    starter.start()
    told = said("send", "--source", "s", "--action", "a", "--url", process.url)
    starter.join()
    process.close()
    assert told.code == Exit.DONE
    assert "trying again" in told.err
    assert told.err.endswith("1 stored, 0 rejected\n")


def test_it_gives_up_after_a_while(call: Call) -> None:
    told = call("send", "--source", "s", "--action", "a", "--url", "http://127.0.0.1:9", "--wait", "0.5")
    assert told.code == Exit.AWAY
    assert "does not answer" in told.err


async def test_tokens_and_their_rate(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = credential("web*", rate=2.0, burst=2.0)
    env = {"SQLITE_PATH": str(tmp_path / "log.db"), "TOKENS": known.line}
    file = tmp_path / "token"
    file.write_text(f"{known.secret}\n")
    words = ("send", "--source", "web", "--action", "a")
    with CollectorProcess(env=env) as process:
        await process.wait_until_ready(60)
        monkeypatch.setenv("COLLECTOR_URL", process.url)
        assert "401" in (refused := call(*words)).err
        assert refused.code == Exit.FAILED
        assert call(*words, "--token-file", str(file)).code == Exit.DONE
        monkeypatch.setenv("COLLECTOR_TOKEN", known.secret)
        many = tmp_path / "events"
        many.write_text('{"source": "web", "action": "a"}\n' * 8)
        told = [call("send", str(many)), call(*words)]
        assert {one.code for one in told} == {Exit.DONE}
        assert "429" in told[1].err  # the eight are paid off in four seconds
        assert call("send", "--source", "other", "--action", "a").code == Exit.FAILED
        assert known.secret not in "".join(one.out + one.err for one in told)


def test_progress_is_drawn_on_a_terminal(url: str, source: str, tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.write_text("".join(f'{{"source": "{source}", "action": "{n}"}}\n' for n in range(3000)))
    shown = on_a_terminal("send", str(file), env={"COLLECTOR_URL": url}).ends()
    assert shown.code == Exit.DONE
    assert "sending" in shown.out
    assert "━" in shown.out
    assert shown.out.rstrip().endswith("3000 stored, 0 rejected")


def test_nothing_to_send_on_a_terminal_is_told(url: str) -> None:
    shown = on_a_terminal("send", env={"COLLECTOR_URL": url}).ends()
    assert (shown.code, "send: what?" in shown.out) == (Exit.WRONG, True)
