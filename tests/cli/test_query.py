"""`collector query` and `collector stats`: what is read, how it looks, and that nothing of it moves the cursor."""

import csv
import json
import subprocess
from pathlib import Path

import httpx
import pytest

from app.cli.exits import Exit
from app.cli.stats import sparkline
from tests.cli.conftest import Call, Events
from tests.cli.saying import COMMAND, environment, on_a_terminal
from tests.process import ROOT

ESCAPE = "\x1b["


@pytest.fixture
def posted(url: str, source: str) -> Events:
    """Three events, one of which would like to draw on the terminal."""
    events: Events = [
        {"source": source, "action": "deploy", "subject": "web", "data": {"v": "1.4"}, "id": "1"},
        {"source": source, "action": "alert", "subject": "\x1b[31mred\r\n", "data": {"v": "1.5"}, "id": "2"},
        {"source": source, "action": "deploy", "subject": "api", "data": "=1+1", "id": "3"},
    ]
    assert httpx.post(f"{url}/events", json=events, trust_env=False).status_code == 201
    return events


def test_a_pipe_gets_one_event_a_line(call: Call, source: str, posted: Events) -> None:
    told = call("query", "--source", source)
    assert (told.code, told.err) == (Exit.DONE, "")
    assert [json.loads(line)["id"] for line in told.out.splitlines()] == ["3", "2", "1"]
    assert call("query", "--source", source, "--all").out.splitlines() == told.out.splitlines()[::-1]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["--action", "deploy"], ["3", "1"]),
        (["--subject", "web"], ["1"]),
        (["--data", "v=1.5"], ["2"]),
        (["--text", "1.4"], ["1"]),
        (["--id", "2"], ["2"]),
        (["--since", "1h"], ["3", "2", "1"]),
        (["--until", "1h"], []),
        (["--limit", "1"], ["3"]),
        (["-n", "2", "--order", "asc"], ["1", "2"]),
    ],
)
def test_filters(call: Call, source: str, posted: Events, words: list[str], ids: list[str]) -> None:
    told = call("query", "--source", source, "--json", *words)
    assert [event["id"] for event in json.loads(told.out)] == ids


def test_csv_and_files(call: Call, source: str, posted: Events, tmp_path: Path) -> None:
    file = tmp_path / "out"
    assert call("query", "-s", source, "--csv", "-o", str(file)).out == ""
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [row["id"] for row in rows] == ["3", "2", "1"] or len(rows) >= 3
    assert list(tmp_path.iterdir()) == [file]
    assert call("query", "-o", "/nowhere/file").code == Exit.WRONG


def test_what_the_collector_refuses_is_told(call: Call) -> None:
    told = call("query", "--since", "yesterday")
    assert (told.code, told.out) == (Exit.FAILED, "")
    assert "since is RFC 3339 with an offset" in told.err
    assert call("query", "--json", "--csv").code == Exit.WRONG
    assert call("query", "--all", "--limit", "3").code == Exit.WRONG
    assert call("query", "--data", "novalue").code == Exit.WRONG


def test_a_terminal_gets_a_table_that_events_cannot_draw_on(url: str, source: str, posted: Events) -> None:
    shown = on_a_terminal("query", "--source", source, env={"COLLECTOR_URL": url}).ends()
    assert shown.code == Exit.DONE
    assert ESCAPE in shown.out
    assert f"{ESCAPE}31m" not in shown.out
    assert "�[31mred��" in shown.out
    plain = on_a_terminal("query", "--source", source, env={"COLLECTOR_URL": url, "NO_COLOR": "1"}).ends()
    head, *lines = (
        plain.out.replace(f"{ESCAPE}0m", "").replace(f"{ESCAPE}1m", "").replace(f"{ESCAPE}2m", "").splitlines()
    )
    assert head.split() == ["TIME", "SOURCE", "ACTION", "SUBJECT", "DATA"]
    assert len(lines) == 3
    assert source in lines[2]
    assert '{"v":"1.4"}' in lines[2]
    assert f"{ESCAPE}3" not in plain.out


def test_who_stops_reading_is_left_in_peace(url: str, source: str, tmp_path: Path) -> None:
    many = [{"source": source, "action": "a", "data": "x" * 1000} for _ in range(500)]
    assert httpx.post(f"{url}/events", json=many, trust_env=False).status_code == 201
    command = f"{COMMAND[0]} -m app query --all --source {source} | head -n 1 | wc -l; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ("bash", "-c", command),
        cwd=ROOT,
        env=environment({"COLLECTOR_URL": url}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout.split(), done.stderr) == (["1", str(int(Exit.BROKEN_PIPE))], "")


def test_counts_are_drawn_as_bars(call: Call, url: str, source: str, posted: Events) -> None:
    told = call("stats", "--source", source, "--by", "source,action")
    head, first, second = told.out.splitlines()
    assert head.startswith("SOURCE")
    assert (first.split()[:3], second.split()[:3]) == ([source, "deploy", "2"], [source, "alert", "1"])
    assert "█" in first
    assert json.loads(call("stats", "--source", source, "--json").out)["series"][0]["total"] == 3
    shown = on_a_terminal("stats", "--source", source, env={"COLLECTOR_URL": url}).ends()
    assert (shown.code, ESCAPE in shown.out) == (Exit.DONE, True)
    assert max(len(line) for line in shown.out.splitlines()) < 200
    assert call("stats", "--by", "nothing").code == Exit.FAILED


@pytest.mark.parametrize(
    ("counts", "width", "line"),
    [
        ([], 10, ""),
        ([0, 0], 10, "  "),
        ([0, 1, 8], 10, " ▁█"),
        (list(range(9)), 10, " ▁▂▃▄▅▆▇█"),
        ([1, 1, 2, 2], 2, "▄█"),
        ([5] * 7, 3, "██▃"),
    ],
)
def test_a_sparkline(counts: list[int], width: int, line: str) -> None:
    assert sparkline(counts, width) == line


def test_every_filter_is_an_option(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out = call("query", "--help").out
    for name in ("--source", "--action", "--subject", "--id", "--since", "--until", "--text", "--data", "--url"):
        assert name in out
