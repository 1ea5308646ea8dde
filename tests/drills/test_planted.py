"""Planted bugs: each still finds its place in the code, and none is planted unless it is named."""

import subprocess
import sys
from pathlib import Path

from tests.child import clean_environment
from tests.drills.planted import BUGS

ROOT = Path(__file__).parents[2]
ALL = """
from importlib import import_module
from tests.drills.planted import BUGS
for bug in BUGS:
    import_module(f"tests.drills.planted.{bug}").plant()
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )


def test_every_file_is_a_bug_that_can_be_named() -> None:
    files = {path.stem for path in (Path(__file__).parent / "planted").glob("[!_]*.py")}
    assert files == set(BUGS)


def test_every_bug_finds_its_place() -> None:
    done = run("-c", ALL)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_bug_that_is_not_known_is_not_planted() -> None:
    done = run("-m", "tests.drills.planted", "none", "--version")
    assert done.returncode == 1
    assert all(bug in done.stderr for bug in BUGS)


def test_a_planted_collector_is_a_collector() -> None:
    done = run("-m", "tests.drills.planted", BUGS[0], "--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "collector")
