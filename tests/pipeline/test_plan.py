"""A plan is shown, with nothing done: by a real Terraform, on a folder that needs no provider."""

import shutil
from pathlib import Path

import pytest

from tests.pipeline.outside import ran

MAIN = """
terraform {
  backend "local" {}
}
variable "name" {
  type = string
}
variable "word" {
  type      = string
  sensitive = true
  default   = "a-word-that-nobody-may-see"
}
resource "terraform_data" "it" {
  input = "${var.name} ${var.word}"
}
resource "terraform_data" "beside" {
  input = var.name
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if shutil.which("terraform") is None:
        pytest.skip("no terraform on PATH, which is what is to be run")
    made = tmp_path / "infrastructure"
    made.mkdir()
    (made / "main.tf").write_text(MAIN)
    return made


def planned(folder: Path, **env: str) -> tuple[int, str, str]:
    """The exit code, what was said, and the summary."""
    summary = folder.with_name("summary")
    summary.touch()
    state = f'path = "{folder.with_name("state")}"'
    given = {"PLAN_BACKEND": state, "PLAN_VARS": 'name = "somebody"', "TF_CLI_CONFIG_FILE": "/dev/null", **env}
    code, said = ran("plan", [folder], outside=folder, cwd=folder, GITHUB_STEP_SUMMARY=str(summary), **given)
    return code, said, summary.read_text()


def test_a_plan_is_shown_and_nothing_is_done(folder: Path) -> None:
    code, said, summary = planned(folder)
    assert code == 0, said
    for shown in (said, summary):
        assert "Plan: 2 to add, 0 to change, 0 to destroy." in shown
        assert '"somebody"' in shown
        assert "a-word-that-nobody-may-see" not in shown
    assert str(folder) in summary
    assert not folder.with_name("state").exists()


def test_a_plan_that_fails_is_shown_and_fails_the_job(folder: Path) -> None:
    code, _, summary = planned(folder, PLAN_VARS="")
    assert code == 1
    assert "No value for required variable" in summary


def test_a_state_that_cannot_be_had_is_no_empty_plan(folder: Path) -> None:
    code, said, summary = planned(folder, PLAN_BACKEND="bucket = 1")
    assert code == 1, said
    assert summary == ""
