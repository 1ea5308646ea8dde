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
    """Each attribute and block by its path: its kind, whether it is required, whether it is computed."""
    own: Told = {}
    for name, one in block.get("attributes", {}).items():
        roles = (one.get("required", False), one.get("computed", False))
        kinds = (
            _nested(one["nested_type"], f"{path}{name}")
            if "nested_type" in one
            else _kinds(one["type"], f"{path}{name}")
        )
        own |= {where: (kind, *roles) for where, kind in kinds.items()}
    for name, one in block.get("block_types", {}).items():
        own |= {f"{path}{name}": (one["nesting_mode"], False, False), **flat(one["block"], f"{path}{name}.")}
    return own


def _kinds(kind: Any, path: str) -> Told:
    """The kinds in a type such as ["list", ["object", {"name": "string"}]], by path."""
    match kind:
        case ["object", fields]:
            below = [_kinds(one, f"{path}.{name}") for name, one in fields.items()]
            return {path: "single"} | {where: one for told in below for where, one in told.items()}
        case [container, ["object", _] as each]:
            return _kinds(each, path) | {path: container}
    return {path: kind}


def _nested(kind: Told, path: str) -> Told:
    """Likewise, of what the providers' newer framework writes as attributes of attributes."""
    below = [
        _nested(one["nested_type"], f"{path}.{name}")
        if "nested_type" in one
        else _kinds(one["type"], f"{path}.{name}")
        for name, one in kind["attributes"].items()
    ]
    return {path: kind["nesting_mode"]} | {where: one for told in below for where, one in told.items()}


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
        f"{name}.{path}": (told, real.get(name, {}).get(path))
        for name, block in ours.items()
        for path, told in block.items()
        if not _fits(told, real.get(name, {}).get(path))
    }
    assert not others, others
    forgotten = [
        f"{name}.{path}"
        for name, block in ours.items()
        for path, (_, required, _) in real[name].items()
        if required and "." not in path and not block.get(path, (None, False))[1]
    ]
    assert not forgotten, forgotten


def _fits(ours: tuple[Any, bool, bool], real: tuple[Any, bool, bool] | None) -> bool:
    # What the provider computes as well may be given only, here; what it does not compute, nobody else may.
    return real is not None and ours[0] == real[0] and (real[2] or not ours[2])


def test_kinds_are_compared_however_a_provider_writes_them() -> None:
    written = {
        "attributes": {
            "origins": {
                "type": [
                    "list",
                    ["object", {"name": "string", "header": ["object", {"host": ["list", "string"]}]}],
                ]
            }
        }
    }
    nested = {
        "nesting_mode": "list",
        "attributes": {
            "name": {"type": "string"},
            "header": {
                "nested_type": {"nesting_mode": "single", "attributes": {"host": {"type": ["list", "string"]}}}
            },
        },
    }
    told = flat({"attributes": {"origins": {"nested_type": nested}}})
    assert flat(written) == told
    assert told["origins.header.host"] == (["list", "string"], False, False)
    assert not _fits(("string", False, False), None)
    assert not _fits(("string", False, True), ("string", False, False))
