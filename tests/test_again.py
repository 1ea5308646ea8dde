"""What failed runs once more: a few, alone, and only those."""

from pathlib import Path

import pytest

from tests import __main__ as everything

STEADY = "def test_steady(): pass\n"
UNSTEADY = """
import pathlib

def test_unsteady():
    been = pathlib.Path("been")
    if not been.exists():
        been.touch()
        raise AssertionError("the first time")
"""
BROKEN = "def test_broken(): assert False\n"
MANY = """
import pytest

@pytest.mark.parametrize("number", range(6))
def test_many(number): assert False
"""


def test_what_passes_runs_once(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert _run(project, beside=STEADY, alone=STEADY) == 0
    assert "Once more" not in capfd.readouterr().out


@pytest.mark.parametrize("where", ["beside", "alone"])
def test_what_fails_once_is_named_at_the_end(where: str, project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """And its traceback stays."""
    tests = {"beside": STEADY, "alone": STEADY} | {where: UNSTEADY}
    assert _run(project, **tests) == 0
    output = capfd.readouterr().out
    assert "the first time" in output
    assert "1 passed" in output.rpartition("Once more")[2]  # none but this one
    assert output.rstrip().endswith(f"passed alone:\n  test_{where}.py::test_unsteady")


def test_what_fails_twice_fails(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert _run(project, beside=BROKEN, alone=UNSTEADY) == pytest.ExitCode.TESTS_FAILED
    assert capfd.readouterr().out.rpartition("Once more")[2].count("FAILED test_beside.py::test_broken") == 1


def test_many_that_fail_are_no_accident(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert _run(project, beside=MANY, alone=STEADY) == pytest.ExitCode.TESTS_FAILED
    assert "Once more" not in capfd.readouterr().out


def test_a_run_that_broke_off_is_final(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert _run(project, beside=STEADY, alone="import nothing.of.this.name") == pytest.ExitCode.INTERRUPTED
    assert "Once more" not in capfd.readouterr().out


def test_what_failed_before_is_forgotten(project: Path) -> None:
    assert _run(project, beside=BROKEN, alone=STEADY) == pytest.ExitCode.TESTS_FAILED
    assert _run(project, beside=STEADY, alone=UNSTEADY) == 0


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of no settings but its own, without the plug-ins that take seconds, and the folder that is worked in."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "xdist")
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def _run(project: Path, *, beside: str, alone: str) -> int:
    (project / "test_beside.py").write_text(beside)
    (project / "test_alone.py").write_text(alone)
    return everything.run(beside=["test_beside.py"], alone=["test_alone.py"])
