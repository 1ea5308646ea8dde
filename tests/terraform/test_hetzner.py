"""hetzner/, applied for real with what stands in for the provider: made, unchanged, grown, and gone again."""

import json
from pathlib import Path

import pytest

from tests.terraform.modules import TERRAFORM, Module, copy
from tests.terraform.test_k3s import GIVEN, TOKEN

SECRETS = {
    "hcloud_token": "ours",
    "cluster_token": "the cluster's",
    "k3s_token": TOKEN,
    "snapshots": GIVEN["snapshots"],
}
EXAMPLES = sorted(path.stem for path in (TERRAFORM / "hetzner" / "examples").glob("*.tfvars"))
REFUSED = {
    "control_planes": {"count": 2, "server_type": "cx33"},
    "k3s_version": "stable",
    "admin_cidrs": ["::/0"],
    "k3s_token": "short",
}
MADE = {
    "single": {"hcloud_server": 1, "hcloud_placement_group": 1, "hcloud_load_balancer": 0},
    "three": {"hcloud_server": 6, "hcloud_placement_group": 2, "hcloud_load_balancer": 1},
}


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Module:
    module = copy("hetzner", tmp_path, standins=True)
    (module.folder / "secrets.auto.tfvars.json").write_text(json.dumps(SECRETS))
    (module.folder / "terraform.tfvars").write_text(
        (module.folder / f"examples/{request.param}.tfvars").read_text()
    )
    return module


def resources(module: Module) -> list[str]:
    return [line for line in module.run("state", "list", ok=(0, 1)).stdout.split("\n") if line]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("example", EXAMPLES, indirect=True)
def test_an_example_is_made_once_and_leaves_nothing(example: Module, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["example"]
    example.apply()
    made = resources(example)
    for kind, number in MADE[name].items():
        assert sum(address.startswith(f"{kind}.") for address in made) == number, (kind, made)
    assert example.plan() == {}
    example.destroy()
    assert resources(example) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("example", ["three"], indirect=True)
def test_another_worker_is_an_addition_and_another_version_replaces_nobody(example: Module) -> None:
    example.apply()
    grown = {"workers": {"general": {"count": 4, "server_type": "cx43", "block": 1}}}
    (example.folder / "grown.auto.tfvars.json").write_text(json.dumps(grown))
    assert example.plan() == {
        'hcloud_load_balancer_target.node["production-general-4"]': ["create"],
        'hcloud_server.node["production-general-4"]': ["create"],
    }
    example.apply()
    (example.folder / "newer.auto.tfvars.json").write_text(json.dumps({"k3s_version": "v1.35.6+k3s1"}))
    assert example.plan() == {}
    assert example.plan('-replace=hcloud_server.node["production-cp-2"]') == {
        'hcloud_server.node["production-cp-2"]': ["delete", "create"]
    }
    example.destroy()
    assert resources(example) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("example", ["three"], indirect=True)
def test_what_breaks_a_rule_of_the_cluster_is_refused_here_too(example: Module) -> None:
    for name, value in REFUSED.items():
        broken = example.folder / "zz-broken.auto.tfvars.json"
        broken.write_text(json.dumps({name: value}))
        told = example.run("plan", "-no-color", ok=(1,)).stderr
        assert "Invalid value for variable" in told, told
        assert f"= var.{name}" in told, told
