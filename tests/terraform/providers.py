"""Providers: those that terraform/ pins, in one mirror in `.tools`; from this machine, or from their registry.

Where neither has one, a provider of our own stands in if it is told what the resources have (`schemas/NAME.json`):
what is valid, planned and mocked is judged all the same, with what the real one would answer left out. A mirror's
folder says which it is, so that a test that needs the real one can say that it is not there.
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


def is_here(provider: Provider) -> bool:
    """Whether there is the provider, or what stands in for it."""
    return is_real(provider) or (STANDINS / provider.package).exists()


def real(name: str) -> Provider:
    """Give the provider of that name. Raises NotHere where it is not here, or something stands in for it."""
    for provider in pinned():
        if provider.name == name and is_real(provider):
            return provider
    raise NotHere(f"the provider {name} itself is neither on this machine nor to be had from {REGISTRY}")


def fetch(provider: Provider) -> str:
    """Bring a provider into the mirror, and give where it came from. Raises NotHere, NotInstalled."""
    for folder in _folders():
        if (folder / provider.package).is_dir():
            _link(MIRROR / provider.package, folder / provider.package)
            return f"on this machine, {folder}"
    if _from_registry(provider):
        return f"from {REGISTRY}"
    _stand_in(provider)
    return f"a stand-in: it is neither on this machine nor to be had from {REGISTRY}"


@cache
def configuration() -> Path:
    """Give a configuration of Terraform's command that takes providers from the mirrors alone."""
    MIRROR.mkdir(parents=True, exist_ok=True)
    STANDINS.mkdir(parents=True, exist_ok=True)
    known = {True: MIRROR, False: STANDINS}
    sources = {which: [f"{REGISTRY}/{one.source}" for one in pinned() if is_real(one) is which] for which in known}
    mirrors = "".join(
        f'  filesystem_mirror {{\n    path    = "{folder}"\n    include = {_listed(sources[which])}\n  }}\n'
        for which, folder in known.items()
        if sources[which]
    )
    path = FOLDER / "terraform" / "terraform.rc"
    path.write_text(f"disable_checkpoint = true\nprovider_installation {{\n{mirrors}}}\n", encoding="utf-8")
    return path


def _listed(names: list[str]) -> str:
    return json.dumps(names)


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
        command = [terraform(), f"-chdir={folder}", "providers", "mirror", MIRROR]
        done = run(command, env={"TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}, timeout=PATIENCE)
    return done.returncode == 0


def _stand_in(provider: Provider) -> None:
    schema = SCHEMAS / f"{provider.name}.json"
    if not schema.is_file():
        raise NotHere(
            f"{provider.source} {provider.version} is not on this machine, nor to be had from {REGISTRY}"
        )
    if go() is None:
        raise NotHere(f"{provider.source} {provider.version} is not to be had, nor Go to build its stand-in with")
    built = _built()
    folder = STANDINS / provider.package
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(built, folder / f"terraform-provider-{provider.name}_v{provider.version}")
    _link(folder / "schema.json", schema)


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
