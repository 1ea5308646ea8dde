"""Tools: what judges terraform/: Terraform of this machine, tflint and checkov, at the versions written here."""

import re
import shutil
import sys
from functools import cache
from pathlib import Path

from tests.kube.tools import FOLDER, NotHere, NotInstalled, Tool, build, build_program, found, program, run

OLDEST = (1, 11)  # of Terraform: what the modules ask for; 1.10 brought locks without a table beside the bucket
TFLINT = Tool(package="github.com/terraform-linters/tflint", version="v0.64.0", tell=("--version",))
# Each in a venv of its own: what they depend on must not meet what the collector depends on.
VENVS = {"checkov": "checkov==3.3.30", "moto": "moto[server]==5.1.22"}
HCLOUD_CLIENT = Path(__file__).parent / "hcloud" / "client"
INSTALL_PATIENCE = 300.0  # seconds for a hundred packages


@cache
def terraform() -> Path:
    """Give the path of Terraform. Raises NotHere."""
    path = shutil.which("terraform")
    if path is None:
        raise NotHere("no terraform on PATH: https://developer.hashicorp.com/terraform/install")
    told = re.match(r"Terraform v(\d+)\.(\d+)", run([path, "version"]).stdout)
    if told is None or (int(told[1]), int(told[2])) < OLDEST:
        raise NotHere(f"terraform on PATH is older than {'.'.join(map(str, OLDEST))}")
    return Path(path)


@cache
def tflint() -> Path:
    """Give the path of tflint. Raises NotHere."""
    return found("tflint", TFLINT, by="make check-terraform")


@cache
def python_of(name: str) -> Path:
    """Give the Python that one of VENVS is installed in. Raises NotHere."""
    path = _venv(name) / "bin" / "python"
    if not path.is_file():
        raise NotHere(f"no {VENVS[name]} in .tools: `make check-terraform` installs it")
    return path


def checkov() -> Path:
    """Give the path of checkov. Raises NotHere."""
    return python_of("checkov").with_name("checkov")


def hcloud_client() -> Path:
    """Give the path of the client of Hetzner's API. Raises NotHere."""
    path = program(HCLOUD_CLIENT)
    if not path.is_file():
        raise NotHere("no client of Hetzner's API in .tools: `make check-terraform` builds it by Go")
    return path


def build_hcloud_client() -> None:
    """Build the client of Hetzner's API. Raises NotHere, NotInstalled."""
    build_program(HCLOUD_CLIENT)


def build_tflint() -> None:
    """Build tflint, of whose rules those for the language itself are part. Raises NotHere, NotInstalled."""
    build("tflint", TFLINT)
    tflint.cache_clear()


def install(name: str) -> None:
    """Install one of VENVS. Raises NotInstalled."""
    FOLDER.mkdir(exist_ok=True)
    uv = shutil.which("uv")
    python = _venv(name) / "bin" / "python"
    making: list[str | Path] = [uv, "venv", "-q"] if uv else [sys.executable, "-m", "venv"]
    filling: list[str | Path] = (
        [uv, "pip", "install", "-q", "--python", python] if uv else [python, "-m", "pip", "install", "-q"]
    )
    for command in ([*making, "--clear", _venv(name)], [*filling, VENVS[name]]):
        done = run(command, timeout=INSTALL_PATIENCE)
        if done.returncode:
            shutil.rmtree(_venv(name), ignore_errors=True)
            raise NotInstalled(f"{VENVS[name]}: {(done.stderr.strip() or 'it said nothing').splitlines()[-1]}")
    python_of.cache_clear()


def _venv(name: str) -> Path:
    # The version is in the path: another pin is another folder.
    return FOLDER / f"{name}-{VENVS[name].rpartition('==')[2]}"
