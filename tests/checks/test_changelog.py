"""The changelog tells of the version that pyproject.toml names, newest first."""

import re
import tomllib
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
LINES = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
HEADINGS = [line for line in LINES if line.startswith("## ")]
HEADING = re.compile(r"## (?P<version>\d+\.\d+\.\d+) - (?P<date>unreleased|\d{4}-\d{2}-\d{2})")


def test_headings_are_a_version_and_a_date() -> None:
    wrong = [heading for heading in HEADINGS if not HEADING.fullmatch(heading)]
    assert not wrong, f"Write `## 1.2.3 - 2030-01-31`, or `- unreleased`: {wrong}"


def test_the_newest_version_is_that_of_the_project() -> None:
    assert versions()[:1] == [VERSION], f"CHANGELOG.md begins with {versions()[:1]}, pyproject.toml has {VERSION}"


def test_the_newest_stands_first_and_only_it_may_be_unreleased() -> None:
    assert versions() == sorted(set(versions()), key=Version, reverse=True)
    assert not [heading for heading in HEADINGS[1:] if heading.endswith("unreleased")]


def versions() -> list[str]:
    return [found["version"] for heading in HEADINGS if (found := HEADING.fullmatch(heading))]
