"""The units as systemd's own tools judge them."""

import re
import shutil
from pathlib import Path

import pytest

from tests.engine import ROOT, run

FOLDER = ROOT / "deploy" / "systemd"
COMMAND = "/opt/collector/bin/collector"
EXPOSURE = {"collector.service": 1.5, "collector-ready.service": 2.2}  # at most; 10 is wide open


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """The units, with a command that is there, as systemd-analyze looks for it."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze: the units are not verified")
    for path in FOLDER.glob("collector*"):
        text = path.read_text()
        (tmp_path / path.name).write_text(text.replace(COMMAND, "/bin/true"))
    return sorted(tmp_path.iterdir())


def test_systemd_finds_nothing_wrong_with_them(units: list[Path]) -> None:
    done = run("systemd-analyze", "verify", "--man=no", *map(str, units))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", EXPOSURE)
def test_what_they_are_exposed_to_is_little(name: str, units: list[Path]) -> None:
    (unit,) = [path for path in units if path.name == name]
    done = run("systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    if found is None:
        pytest.skip(f"this systemd-analyze knows no score offline: {done.stderr.strip()}")
    print(f"{name}: {found[1]}")
    assert float(found[1]) <= EXPOSURE[name]
