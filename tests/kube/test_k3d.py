"""`make k3d`: what is missing is named."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kube.rendered import K8S
from tests.readme import ROOT, commands_for


@pytest.mark.parametrize("missing", ["docker", "k3d", "kubectl"])
def test_up_names_the_program_that_is_missing(tmp_path: Path, missing: str) -> None:
    for name in {"bash", "dirname", "docker", "k3d", "kubectl"} - {missing}:
        (tmp_path / name).symlink_to(shutil.which(name) or "/bin/true")
    up = K8S / "overlays/k3d/up"
    done = subprocess.run(
        ["/bin/bash", up],
        env={**os.environ, "PATH": str(tmp_path), "DOCKER_HOST": "tcp://127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert re.fullmatch(rf"k3d: this needs {missing}: https://\S+\n", done.stderr)


def test_the_readmes_command_is_this_script() -> None:
    (command,) = commands_for(__file__)
    done = subprocess.run(
        [*command.split(), "--dry-run", "--no-print-directory"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert ROOT / done.stdout.strip() == K8S / "overlays/k3d/up"
