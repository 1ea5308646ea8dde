"""What stands in for a provider has nothing that the provider itself does not have, and as it has it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kube.tools import NotHere
from tests.terraform.modules import Module
from tests.terraform.providers import REGISTRY, Provider, configuration, is_real, stands_in, with_schemas

Told = dict[str, Any]


def schemas(provider: Provider, folder: Path, *, standins: bool) -> Told:
    """What `terraform providers schema` tells of it: each block as the kinds and roles of what it has."""
    wanted = f'{{ source = "{provider.source}", version = "{provider.version}" }}'
    (folder / "main.tf").write_text(
        f"terraform {{\n required_providers {{\n {provider.name} = {wanted}\n }}\n}}\n"
    )
    module = Module(folder=folder, env={}, standins=standins)
    assert configuration(standins=standins).is_file()
    module.run("init", "-no-color")
    told: Told = json.loads(module.run("providers", "schema", "-json").stdout)
    resources: Told = told["provider_schemas"][f"{REGISTRY}/{provider.source}"]["resource_schemas"]
    return {name: flat(resource["block"]) for name, resource in resources.items()}


def flat(block: Told, path: str = "") -> Told:
    own = {
        f"{path}{name}": (one.get("type"), one.get("required", False), one.get("computed", False))
        for name, one in block.get("attributes", {}).items()
    }
    for name, one in block.get("block_types", {}).items():
        own |= {f"{path}{name}": one["nesting_mode"], **flat(one["block"], f"{path}{name}.")}
    return own


@pytest.mark.timeout(600)
@pytest.mark.parametrize("provider", with_schemas(), ids=lambda provider: provider.name)
def test_it_has_only_what_the_provider_has(provider: Provider, tmp_path: Path) -> None:
    if not (is_real(provider) and stands_in(provider)):
        raise NotHere(f"{provider.source} itself is not here: nothing to hold its stand-in to")
    (tmp_path / "real").mkdir()
    (tmp_path / "ours").mkdir()
    real = schemas(provider, tmp_path / "real", standins=False)
    ours = schemas(provider, tmp_path / "ours", standins=True)
    others = {
        f"{name}.{path}": (kind, real.get(name, {}).get(path))
        for name, block in ours.items()
        for path, kind in block.items()
        if real.get(name, {}).get(path) != kind
    }
    assert not others, others
