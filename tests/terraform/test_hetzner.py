"""hetzner/, applied for real: made, unchanged, grown, and gone again.

With what stands in for the provider, and with the provider itself, which asks a fake of Hetzner's API.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terraform.hcloud.server import TOKEN as API_TOKEN
from tests.terraform.hcloud.server import Hcloud
from tests.terraform.modules import TERRAFORM, Module, copy
from tests.terraform.providers import real
from tests.terraform.test_k3s import GIVEN, TOKEN

SECRETS = {
    "hcloud_token": API_TOKEN,
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
    "single": {"server": 1, "placement_group": 1, "firewall": 1, "network": 1, "ssh_key": 1},
    "three": {
        "server": 6,
        "placement_group": 2,
        "firewall": 1,
        "network": 1,
        "ssh_key": 1,
        "load_balancer": 1,
    },
}
# Nothing is deleted while Hetzner protects it, and the provider does not lift that by itself.
UNPROTECTED = "-var=protected=false"
OVERRIDE = """
provider "hcloud" {
  endpoint      = "%s"
  poll_interval = "10ms"
}
"""


@pytest.fixture(params=["stand-in", "provider"])
def standins(request: pytest.FixtureRequest) -> bool:
    if request.param == "provider":
        real("hcloud")
    return bool(request.param == "stand-in")


@pytest.fixture
def hcloud() -> Iterator[Hcloud]:
    with Hcloud() as served:
        yield served
    assert served.lacking == []


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path, hcloud: Hcloud, standins: bool) -> Module:
    module = copy("hetzner", tmp_path, standins=standins)
    (module.folder / "endpoint_override.tf").write_text(OVERRIDE % hcloud.url)
    (module.folder / "secrets.auto.tfvars.json").write_text(json.dumps(SECRETS))
    (module.folder / "terraform.tfvars").write_text(
        (module.folder / f"examples/{request.param}.tfvars").read_text()
    )
    return module


def gone(example: Module, hcloud: Hcloud) -> None:
    example.apply(UNPROTECTED)
    example.destroy(UNPROTECTED)
    assert resources(example) == []
    assert hcloud.remains() == {}


def resources(module: Module) -> list[str]:
    return [line for line in module.run("state", "list", ok=(0, 1)).stdout.split("\n") if line]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("example", EXAMPLES, indirect=True)
def test_an_example_is_made_once_and_leaves_nothing(
    example: Module, hcloud: Hcloud, standins: bool, request: pytest.FixtureRequest
) -> None:
    expected = MADE[request.node.callspec.params["example"]]
    example.apply()
    made = Counter(address.partition(".")[0].removeprefix("hcloud_") for address in resources(example))
    assert {kind: made[kind] for kind in expected} == expected
    assert ("load_balancer" in made) == ("load_balancer" in expected)
    if not standins:
        assert {kind.removesuffix("s"): len(names) for kind, names in hcloud.remains().items()} == expected
    assert example.plan() == {}
    gone(example, hcloud)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("example", ["three"], indirect=True)
def test_another_worker_is_an_addition_and_another_version_replaces_nobody(
    example: Module, hcloud: Hcloud, standins: bool
) -> None:
    example.apply()
    grown = {"workers": {"general": {"count": 4, "server_type": "cx43", "block": 1}}}
    (example.folder / "grown.auto.tfvars.json").write_text(json.dumps(grown))
    assert example.plan() == {
        'hcloud_load_balancer_target.node["production-general-4"]': ["create"],
        'hcloud_server.node["production-general-4"]': ["create"],
    }
    example.apply()
    if not standins:
        (balancer,) = hcloud.of("load_balancers")
        assert [len(balancer["targets"]), len(hcloud.of("servers"))] == [4, 7]
    (example.folder / "newer.auto.tfvars.json").write_text(json.dumps({"k3s_version": "v1.35.6+k3s1"}))
    assert example.plan() == {}
    assert example.plan('-replace=hcloud_server.node["production-cp-2"]') == {
        'hcloud_server.node["production-cp-2"]': ["delete", "create"]
    }
    gone(example, hcloud)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("example", ["three"], indirect=True)
def test_what_breaks_a_rule_of_the_cluster_is_refused_here_too(example: Module) -> None:
    for name, value in REFUSED.items():
        broken = example.folder / "zz-broken.auto.tfvars.json"
        broken.write_text(json.dumps({name: value}))
        told = example.run("plan", "-no-color", ok=(1,)).stderr
        assert "Invalid value for variable" in told, told
        assert f"= var.{name}" in told, told
