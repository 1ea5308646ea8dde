"""What the README applies: modules that `test_modules.py` validates and tests, with files that are there."""

import shlex

import pytest

from tests.readme import commands_for
from tests.terraform.modules import TERRAFORM, names


@pytest.mark.parametrize("command", commands_for(__file__))
def test_what_is_applied_is_a_module(command: str) -> None:
    program, where, verb, *options = shlex.split(command)
    module = where.removeprefix("-chdir=terraform/")
    assert (program, verb) == ("terraform", "apply")
    assert module in names()
    for option in options:
        assert (TERRAFORM / module / option.removeprefix("-var-file=")).is_file()
