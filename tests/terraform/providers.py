"""Providers: those that terraform/ pins, in one mirror in `.tools`; from this machine, or from their registry.

A provider of our own stands in for one whose resources are described in `schemas/NAME.json`: it keeps what it is
told and asks nobody, so that plans, applies and mocks run where the provider, or its cloud, is not to be had.
Where both are here, `test_standin.py` holds those descriptions to the provider.
"""

import json
import os
import platform
import re
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.kube.tools import FOLDER, ROOT, NotHere, NotInstalled, go, run
from tests.terraform.tools import terraform

REGISTRY = "registry.terraform.io"
MIRROR = FOLDER / "terraform" / "mirror"
STANDINS = FOLDER / "terraform" / "standins"
STANDIN = Path(__file__).parent / "standin"
SCHEMAS = Path(__file__).parent / "schemas"
PATIENCE = 900.0  # seconds; a provider is some hundred megabytes, and the stand-in compiles for a minute
PINNED = re.compile(r'source\s*=\s*"(?P<source>[\w-]+/[\w-]+)"\s+version\s*=\s*"(?P<version>[^"]*)"')


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """A provider: `source` is like hashicorp/aws."""

    source: str
    version: str

    @property
    def name(self) -> str:
        """The last part of its source."""
        return self.source.rpartition("/")[2]

    @property
    def package(self) -> Path:
        """Where it is in a mirror: a folder of this machine's kind of system."""
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        return Path(REGISTRY, self.source, self.version, f"{platform.system().lower()}_{machine}")


def pinned() -> list[Provider]:
    """Give every provider of terraform/, at the version that is written there; each must be a single one."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "terraform").glob("*/versions.tf"))]
    told = {
        (found["source"], found["version"].removeprefix("=").strip())
        for text in texts
        for found in PINNED.finditer(text)
    }
    return [Provider(source=source, version=version) for source, version in sorted(told)]


def is_real(provider: Provider) -> bool:
    """Whether the provider itself is in the mirror: unpacked, or packed as the registry has it."""
    return (MIRROR / provider.package).exists() or any((MIRROR / REGISTRY / provider.source).glob("*.zip"))


def stands_in(provider: Provider) -> bool:
    """Whether what stands in for the provider is built."""
    return (STANDINS / provider.package / "schema.json").exists()


def with_schemas() -> list[Provider]:
    """Give every provider that something can stand in for."""
    return [provider for provider in pinned() if _schema(provider).is_file()]


def real(name: str) -> Provider:
    """Give the provider of that name. Raises NotHere where it is not here, or something stands in for it."""
    for provider in pinned():
        if provider.name == name and is_real(provider):
            return provider
    raise NotHere(f"the provider {name} itself is neither on this machine nor to be had from {REGISTRY}")


def fetch(provider: Provider) -> str:
    """Bring a provider into the mirror, and give where it came from. Raises NotHere."""
    for folder in _folders():
        if (folder / provider.package).is_dir():
            _link(MIRROR / provider.package, folder / provider.package)
            return "it is on this machine"
    if _from_registry(provider):
        return f"from {REGISTRY}"
    aside = ": a stand-in takes its place" if _schema(provider).is_file() else ""
    raise NotHere(
        f"{provider.source} {provider.version} is neither on this machine nor to be had from {REGISTRY}{aside}"
    )


def configuration(*, standins: bool = False) -> Path:
    """Give a configuration of Terraform's command: providers come from the mirrors alone.

    With `standins` they are those that stand in, where there are such, else where the provider itself is not here.
    """
    folders = {provider: _folder(provider, standins=standins) for provider in pinned()}
    mirrors = "".join(
        f'  filesystem_mirror {{\n    path    = "{folder}"\n    include = {json.dumps(sources)}\n  }}\n'
        for folder in (MIRROR, STANDINS)
        if (sources := [f"{REGISTRY}/{one.source}" for one, where in folders.items() if where == folder])
    )
    path = FOLDER / "terraform" / ("standins.rc" if standins else "terraform.rc")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"disable_checkpoint = true\nprovider_installation {{\n{mirrors}}}\n", encoding="utf-8")
    return path


def _folder(provider: Provider, *, standins: bool) -> Path | None:
    order = (STANDINS, MIRROR) if standins else (MIRROR, STANDINS)
    known = {MIRROR: is_real(provider), STANDINS: stands_in(provider)}
    return next((folder for folder in order if known[folder]), None)


def _schema(provider: Provider) -> Path:
    return SCHEMAS / f"{provider.name}.json"


def _folders() -> list[Path]:
    """Where plug-ins lie on a machine: where Terraform itself looks, what TF_PLUGIN_MIRROR names, and in /opt."""
    own = [
        Path.home() / ".terraform.d/plugins",
        Path("/usr/local/share/terraform/plugins"),
        Path("/usr/share/terraform/plugins"),
    ]
    named = [Path(folder) for folder in os.environ.get("TF_PLUGIN_MIRROR", "").split(":") if folder]
    return [*named, *own, *(folder.parent for folder in Path("/opt").glob(f"*/{REGISTRY}"))]


def _from_registry(provider: Provider) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        wanted = f'{{ source = "{provider.source}", version = "{provider.version}" }}'
        text = f"terraform {{\n  required_providers {{\n    {provider.name} = {wanted}\n  }}\n}}\n"
        Path(folder, "main.tf").write_text(text, encoding="utf-8")
        command: list[str | Path] = [terraform(), f"-chdir={folder}", "providers", "mirror", MIRROR]
        done = run(command, env={"TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}, timeout=PATIENCE)
    return done.returncode == 0


def stand_in(provider: Provider) -> None:
    """Build what stands in for a provider. Raises NotHere, NotInstalled."""
    if go() is None:
        raise NotHere(f"no Go to build what stands in for {provider.source}")
    folder = STANDINS / provider.package
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(_built(), folder / f"terraform-provider-{provider.name}_v{provider.version}")
    _link(folder / "schema.json", _schema(provider))


@cache
def _built() -> Path:
    """Build the stand-in. Raises NotInstalled."""
    program = FOLDER / "bin" / "standin"
    done = run(["go", "build", "-C", STANDIN, "-o", program, "."], env={"CGO_ENABLED": "0"}, timeout=PATIENCE)
    if done.returncode:
        raise NotInstalled(f"the stand-in of providers: {(done.stderr.strip() or 'nothing').splitlines()[-1]}")
    return program


def _link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)
