"""The command as a whole: one help for all, completion in a shell, and what it imports to do how little."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import services
from app.cli.exits import Exit
from app.settings import Settings
from tests.cli.conftest import Call
from tests.cli.saying import COMMAND, environment, on_a_terminal, said
from tests.process import ROOT

EVENTS = ("send", "tail", "query", "stats", "demo", "copy")
TRUST = ("probe", "token", "completion")
DOCS = (ROOT / "docs" / "cli.md").read_text()


def test_the_help_has_every_command(call: Call) -> None:
    told = call("--help")
    assert told.code == Exit.DONE
    for name in (*EVENTS, *TRUST, *services.COMMANDS):
        assert re.search(rf"^│ {name.partition(' ')[0]}\s", told.out, re.MULTILINE), name
    assert call().code == Exit.WRONG
    assert call("dead-letters").code == Exit.WRONG
    assert "no such command 'nothing'" in call("nothing").err.lower()
    assert call("--version").out.startswith("collector ")


@pytest.mark.parametrize("name", [*EVENTS, "probe", "probe verify", "token new", "completion"])
def test_every_command_has_a_help(call: Call, name: str) -> None:
    told = call(*name.split(), "--help")
    assert (told.code, "Usage: collector" in told.out) == (Exit.DONE, True)


@pytest.mark.parametrize("name", services.COMMANDS)
def test_what_serves_takes_every_setting(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        services.run([*name.split(), "--help"])
    out = capsys.readouterr().out
    assert left.value.code == 0
    assert all(f"--{setting.replace('_', '-')}" in out for setting in Settings.model_fields)


@pytest.mark.parametrize(
    "words", [["serve", "--nothing"], ["backup"], ["restore", "--port", "1"], ["dead-letters", "x"]]
)
def test_what_is_wrongly_asked_is_told_in_a_line(words: list[str]) -> None:
    told = said(*words)
    assert (told.code, told.err.count("\n")) == (Exit.WRONG, 1)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Of a shell that finds the command."""
    command = tmp_path / "collector"
    command.write_text(f'#!/bin/sh\ncd {ROOT} && exec {" ".join(COMMAND)} "$@"\n')
    command.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("collector s", {"send", "stats", "serve"}),
        ("collector query --su", {"--subject"}),
        ("collector serve --retention", {"--retention-days"}),
        ("collector probe --le", {"--ledger"}),
        ("collector dead-letters ", {"list", "replay"}),
        ("collector completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_bash_completes(path: str, line: str, offers: set[str]) -> None:
    words = line.split(" ")
    script = f"""source <(collector completion bash)
        COMP_WORDS=({" ".join(map(repr, words))}); COMP_CWORD={len(words) - 1}
        $(complete -p collector | sed 's/.*-F \\([^ ]*\\) .*/\\1/') collector
        printf '%s\\n' "${{COMPREPLY[@]}}\""""
    done = subprocess.run(
        ("bash", "-c", script),
        env=environment({"PATH": path}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert set(done.stdout.split()) == offers


def test_zsh_gets_a_script(call: Call) -> None:
    assert call("completion", "zsh").out.startswith("#compdef collector\n")
    assert call("completion", "csh").code == Exit.WRONG


def test_every_exit_code_is_written_down() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| `(\w+)` \|", DOCS, re.MULTILINE))
    assert rows == {str(int(one)): one.name for one in Exit}


def test_what_runs_the_collector_does_not_wait_for_what_draws() -> None:
    loaded = "import sys; from app.cli import main, services; print(sorted(sys.modules.keys() & {*sys.argv[1:]}))"
    done = subprocess.run(
        (sys.executable, "-c", loaded, "typer", "rich", "httpx", "app.cli.terminal"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_help_has_no_colour_outside_a_terminal(call: Call) -> None:
    assert "\x1b[" not in call("--help").out
    shown = on_a_terminal("--help")
    assert "\x1b[" in shown.ends().out
