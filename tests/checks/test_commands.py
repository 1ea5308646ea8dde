"""The README's commands: each is run by continuous integration, or what it names is judged there."""

import re
from pathlib import Path

import pytest

from tests import readme
from tests.drills import scenario
from tests.readme import ROOT

CI = (ROOT / ".ci/run").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):.*## ", MAKEFILE, re.MULTILINE))
PAGES = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("command", readme.commands())
def test_every_command_is_run_by_one_file(command: str) -> None:
    assert len(readme.runners(command)) == 1, f"{command!r} needs a row in RUN_BY, and a test that runs it"


@pytest.mark.parametrize("pattern", readme.RUN_BY)
def test_every_row_has_a_command(pattern: str) -> None:
    assert any(re.fullmatch(pattern, command) for command in readme.commands())


@pytest.mark.parametrize("file", sorted({file for file in readme.RUN_BY.values() if file != ".ci/run"}))
def test_who_runs_it_takes_it_from_the_readme(file: str) -> None:
    assert re.search(r"\bcommands_for\(__file__\)", (ROOT / file).read_text())
    assert re.fullmatch(r"tests/(\w+/)+test_\w+\.py", file), "pytest does not find it"


@pytest.mark.parametrize("command", readme.commands_for(".ci/run"))
def test_continuous_integration_runs_it(command: str) -> None:
    target, args = readme.make_words(command)
    run = re.findall(r"^ *section .* (make .+?)(?: #.*)?$", CI, re.MULTILINE)
    assert any(ran == target and set(args) <= set(given) for ran, given in map(readme.make_words, run)), (
        f"not in .ci/run: {command}"
    )


def test_every_target_that_a_page_names_is_there() -> None:
    named = {
        readme.make_words(one)[0]
        for page in PAGES
        for one in [*readme.mentioned(page.read_text()), *readme.commands(page.read_text())]
        if one.startswith("make ")
    }
    assert named <= TARGETS


def test_every_drill_that_a_page_names_is_there() -> None:
    for page in PAGES:
        for one in readme.mentioned(page.read_text()):
            target, args = readme.make_words(one)
            if target in ("drills", "drills-compose") and "--only" in args:
                rig: scenario.Kind = "compose" if "compose" in args or target == "drills-compose" else "processes"
                assert set(args[args.index("--only") + 1].split(",")) <= set(scenario.names(rig)), one


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`(tests/[\w./-]+)`", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_test_function_that_a_page_names_is_there() -> None:
    there = "".join(path.read_text() for path in ROOT.glob("tests/**/test_*.py"))
    named = {name for page in PAGES for name in re.findall(r"`(test_\w+)(?:…)?`", page.read_text())}
    assert {name for name in named if f"def {name}" not in there} == set()
