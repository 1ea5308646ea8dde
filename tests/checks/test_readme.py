"""The tables of the pages against the code that they describe, and the README's matrix against the drills'."""

import re
from pathlib import Path

import pytest

from app import errors
from app.settings import Settings
from tests.drills import page, scenario

DOCS = Path(__file__).parents[2] / "docs"
READABLE = 250  # lines of the README: ten minutes


def test_every_setting_is_told_with_its_default_and_meaning() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+) \|$", (DOCS / "settings.md").read_text(), re.MULTILINE))
    said = {name: rows[name] for name in rows if name.lower() in Settings.model_fields}
    assert said == {
        name.upper(): f"{shown(field.default)} | {field.description}"
        for name, field in Settings.model_fields.items()
    }


def test_every_status_of_a_write_is_told() -> None:
    writes = {201, 200, 202} | {
        cause.status for cause in causes() if cause.status not in (404, 405, 406, 410, 500)
    }
    table = (DOCS / "api.md").read_text().partition("## Sending")[2].partition("## Reading")[0]
    assert {
        int(status) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for status in row.split(",")
    } == writes


@pytest.mark.parametrize("kind", page.HEADS)
def test_every_drill_has_a_row(kind: scenario.Kind) -> None:
    assert list(page.rows(page.PAGE.read_text(), kind)) == sorted(scenario.names(kind))


@pytest.mark.parametrize("kind", page.HEADS)
def test_every_drill_is_in_one_line_of_the_matrix(kind: scenario.Kind) -> None:
    assert sorted(name for line in page.LINES for name in getattr(line, kind)) == sorted(scenario.names(kind))


def test_the_matrix_is_made_of_the_drills() -> None:
    readme = page.README.read_text()
    assert page.MADE.search(readme)
    assert readme == page.with_matrix(readme, page.PAGE.read_text()), "python -m tests.drills.page"


def test_a_drill_that_was_repeated_takes_its_old_place() -> None:
    before = page.PAGE.read_text()
    row = page.rows(before, "compose")["reboot"]._replace(acknowledged="1", lost="1")
    after = page.with_rows(before, "compose", {"reboot": row})
    assert page.rows(after, "compose") == {**page.rows(before, "compose"), "reboot": row}
    assert page.rows(after, "processes") == page.rows(before, "processes")
    assert "| the whole machine ends |  |  |  | 1 | 1,551 | 16.66 s | 1 | 0 |" in page.matrix(after)


def test_the_readme_can_be_read() -> None:
    assert len(page.README.read_text().splitlines()) <= READABLE


def causes() -> list[type[errors.Problem]]:
    found = (value for value in vars(errors).values() if isinstance(value, type))
    return [one for one in found if issubclass(one, errors.Problem) and one is not errors.Problem]


def shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return "none" if default is None else str(default)
