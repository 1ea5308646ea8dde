"""Modules: the folders of terraform/, and Terraform's command in a copy of one: the tree stays as it is."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kube.tools import ROOT, NotHere
from tests.terraform.providers import configuration, is_real, pinned, stands_in
from tests.terraform.tools import terraform

TERRAFORM = ROOT / "terraform"
PATIENCE = 900.0  # seconds; AWS's provider alone takes ten to start beside others, and a minute for a bucket
NOT_OURS = shutil.ignore_patterns(".terraform", "*.tfstate*")
CHANGES = 2  # the status of a plan that is not empty


class Failed(AssertionError):
    """Terraform said no; the message is what it said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Module:
    """A module in a copy of terraform/, with what it refers to beside it; `env` goes to its commands."""

    folder: Path
    env: Mapping[str, str]
    standins: bool = False

    def run(self, *words: str, ok: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        """Run Terraform's command in the folder. Raises Failed on another status than those."""
        own = {
            "TF_CLI_CONFIG_FILE": str(configuration(standins=self.standins)),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }
        command: list[str | Path] = [terraform(), f"-chdir={self.folder}", *words]
        env = {**os.environ, **own, **self.env}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode not in ok:
            raise Failed(f"terraform {' '.join(words)} in {self.folder.name}:\n{done.stdout}{done.stderr}")
        return done

    def apply(self, *words: str) -> None:
        """Apply without asking."""
        self.run("apply", "-auto-approve", "-no-color", *words)

    def destroy(self, *words: str) -> None:
        """Destroy without asking."""
        self.run("destroy", "-auto-approve", "-no-color", *words)

    def plan(self, *words: str) -> dict[str, list[str]]:
        """Give what a plan would do: the actions for each address that it would change."""
        done = self.run("plan", "-no-color", "-detailed-exitcode", "-out=plan", *words, ok=(0, CHANGES))
        shown = json.loads(self.run("show", "-json", "plan").stdout)
        found = {
            change["address"]: change["change"]["actions"]
            for change in shown.get("resource_changes", [])
            if change["change"]["actions"] not in (["no-op"], ["read"])
        }
        assert done.returncode == CHANGES or not found, done.stdout
        assert done.returncode == 0 or found or "outputs" in done.stdout.lower(), done.stdout
        return found

    def outputs(self) -> dict[str, Any]:
        """Give its outputs, the sensitive ones too."""
        told = json.loads(self.run("output", "-json").stdout)
        return {name: output["value"] for name, output in told.items()}


def names() -> list[str]:
    """Give every folder of terraform/ that is a module, such as eks and modules/k3s."""
    folders = {path.parent for path in TERRAFORM.rglob("*.tf") if ".terraform" not in path.parts}
    return sorted(str(folder.relative_to(TERRAFORM)) for folder in folders if (folder / "versions.tf").is_file())


def copy(name: str, into: Path, env: Mapping[str, str] | None = None, *, standins: bool = False) -> Module:
    """Give a module, initialised in a copy, with its state in that folder whatever backend it names.

    With `standins`, its providers are those that stand in, which ask no cloud. Raises NotHere if one is missing.
    """
    shutil.copytree(TERRAFORM, into, ignore=NOT_OURS, dirs_exist_ok=True)
    module = Module(folder=into / name, env=env or {}, standins=standins)
    for path in module.folder.glob("backend*.tf"):
        path.unlink()
    wanted = [one for one in pinned() if one.source in (module.folder / "versions.tf").read_text(encoding="utf-8")]
    for one in wanted:
        if not is_real(one) and not stands_in(one):
            raise NotHere(f"there is neither {one.source} {one.version} nor what could stand in for it")
    if any(standins or not is_real(one) for one in wanted):
        # What stands in for a provider has other hashes.
        (module.folder / ".terraform.lock.hcl").unlink(missing_ok=True)
    module.run("init", "-no-color")
    return module
