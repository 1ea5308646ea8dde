"""The README's tables against the code that they describe."""

import re
from pathlib import Path

from app import errors
from app.settings import Settings

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_every_setting_is_in_the_readme_with_its_default_and_meaning() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+) \|$", README, re.MULTILINE))
    said = {name: rows[name] for name in rows if name.lower() in Settings.model_fields}
    assert said == {
        name.upper(): f"{shown(field.default)} | {field.description}"
        for name, field in Settings.model_fields.items()
    }


def test_every_status_of_a_write_is_in_the_readme() -> None:
    writes = {201, 200, 202} | {
        cause.status for cause in causes() if cause.status not in (404, 405, 406, 410, 500)
    }
    table = README.partition("## Sending")[2].partition("## Reading")[0]
    assert {
        int(status) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for status in row.split(",")
    } == writes


def causes() -> list[type[errors.Problem]]:
    found = (value for value in vars(errors).values() if isinstance(value, type))
    return [one for one in found if issubclass(one, errors.Problem) and one is not errors.Problem]


def shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return "none" if default is None else str(default)
