"""docs/operations.md: every secret has its section in one mould, and what it names is there."""

import re
from pathlib import Path

import pytest

from app.metrics import Metrics
from app.settings import NEVER_SHOWN

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
ROTATING = PAGE.partition("\n## Rotating secrets\n")[2]
PARTS = ["Do", "Meanwhile", "Over"]
ELSEWHERE = "Argo CD's, Terraform's, and the cluster's"  # a table

SECTIONS = dict(re.findall(r"^### (.+)\n((?:(?!^### ).*\n)*)", ROTATING, re.MULTILINE))


@pytest.mark.parametrize("name", [name for name in SECTIONS if name != ELSEWHERE])
def test_a_rotation_says_what_to_do_what_happens_and_when_it_is_over(name: str) -> None:
    assert re.findall(r"^\*\*(\w+):\*\*", SECTIONS[name], re.MULTILINE) == PARTS


def test_every_secret_among_the_settings_is_rotated() -> None:
    assert len(SECTIONS) > 5
    missing = {name.upper() for name in NEVER_SHOWN} - set(re.findall(r"`([A-Z_]+)`", ROTATING))
    assert not missing


def test_every_metric_that_it_names_is_exported() -> None:
    exported = Metrics(1).text().decode()
    named = set(re.findall(r"`(collector_\w+)`", PAGE))
    assert named
    assert not {word for word in named if word not in exported}


def test_every_drill_that_it_names_is_there() -> None:
    named = re.findall(r'make drills(-compose)? ARGS="--only ([a-z-]+)', PAGE)
    assert named
    scenarios = ROOT / "tests" / "drills" / "scenarios"
    for kind, name in named:
        assert (scenarios / kind.removeprefix("-") / f"{name}.toml").is_file()
