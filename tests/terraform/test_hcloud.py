"""What answers as Hetzner's API, asked by Hetzner's own client: the one that Terraform's provider is made with."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kube.tools import run
from tests.terraform.hcloud.server import TOKEN, Hcloud
from tests.terraform.tools import hcloud_client

CLUSTER = {
    "server": {
        "name": "c-cp-1",
        "status": "running",
        "type": "cx23",
        "image": "ubuntu-24.04",
        "location": "fsn1",
        "labels": {"cluster": "c"},
        "protected": True,
        "private": "10.0.1.10",
        "in": True,
        "mac": 6,
        "ipv4": "192.0.2.1",
        "ipv6": "2001:db8:1::/64",
        "walled": True,
        "group": "c-cp",
    },
    "balancer": {
        "type": "lb11",
        "algorithm": "least_connections",
        "private": "10.0.1.2",
        "ipv4": "198.51.100.1",
        "ipv6": "2001:db8:ffff::1",
        "public": True,
        "ports": [443, 443, 443],
        "proxy": True,
        "every": "5s",
        "targets": True,
        "privately": True,
        "protected": True,
    },
    "network": {
        "range": "10.0.0.0/16",
        "subnet": "10.0.1.0/24",
        "zone": "eu-central",
        "gateway": "10.0.0.1",
        "servers": 1,
        "balancers": 1,
    },
    "firewall": {"ports": ["22", "6443"], "from": "192.0.2.7/32", "applied": True},
    "group": {"type": "spread", "servers": 1},
    "key": {"public": "ssh-ed25519 AAAA", "fingerprint": 47},
}
REFUSED = {
    "delete server": "protected",
    "delete balancer": "protected",
    "delete network": "protected",
    "delete firewall": "resource_in_use",
    "attach again": "server_already_attached",
    "delete subnet": "resource_in_use",
    "apply again": "firewall_already_applied",
    "target again": "target_already_defined",
    "name again": "uniqueness_error",
    "no such type": "invalid_input",
    "another token": "unauthorized",
    "nobody is found": True,
}


@pytest.fixture
def hcloud() -> Iterator[Hcloud]:
    with Hcloud() as served:
        yield served


def asked(hcloud: Hcloud, command: str) -> Any:
    env = {"HCLOUD_ENDPOINT": hcloud.url, "HCLOUD_TOKEN": TOKEN}
    done = run([hcloud_client(), command], env=env)
    assert done.returncode == 0, done.stderr
    assert hcloud.lacking == []
    return json.loads(done.stdout)


def test_a_cluster_is_made_read_kept_and_taken_away(hcloud: Hcloud) -> None:
    assert asked(hcloud, "make") == CLUSTER
    made = hcloud.remains()
    assert made.keys() == {
        "firewalls",
        "load_balancers",
        "networks",
        "placement_groups",
        "servers",
        "ssh_keys",
    }
    assert asked(hcloud, "refused") == REFUSED
    assert hcloud.remains() == made
    assert asked(hcloud, "delete") == {"before it went": "off", "servers": 0}
    assert hcloud.remains() == {}


def test_what_it_does_not_have_it_says(hcloud: Hcloud) -> None:
    status, said = hcloud.answer("GET", "/v1/volumes", {}, token=TOKEN)
    assert (status, said["error"]["code"]) == (501, "not_implemented")
    assert hcloud.lacking == ["GET /v1/volumes {} {}"]
