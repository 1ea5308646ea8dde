"""The k3s module, applied: each server's cloud-init read as YAML, and its k3s configuration field by field."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from tests.terraform.modules import copy

Told = dict[str, Any]
TOKEN = "0123456789abcdef" * 2
GIVEN: Told = {
    "cluster_name": "prod",
    "k3s_version": "v1.35.5+k3s1",
    "control_planes": {"count": 3, "server_type": "cx33"},
    "workers": {
        "general": {
            "count": 2,
            "server_type": "cx43",
            "block": 1,
            "labels": {"disk": "ssd"},
            "taints": ["a=b:NoSchedule"],
        }
    },
    "admin_cidrs": ["192.0.2.7/32", "2001:db8::/64"],
    "api_names": ["api.example.com"],
    "token": TOKEN,
    "snapshots": {
        "endpoint": "fsn1.your-objectstorage.com",
        "region": "fsn1",
        "bucket": "etcd",
        "access_key": "key",
        "secret_key": "a secret: with a colon",
    },
    "cloud": {"token": "the cloud's token", "network": "prod"},
}
SERVERS = ["prod-cp-1", "prod-cp-2", "prod-cp-3"]
WORKERS = ["prod-general-1", "prod-general-2"]
ADDRESSES = dict(
    zip([*SERVERS, *WORKERS], ["10.0.1.10", "10.0.1.11", "10.0.1.12", "10.0.1.20", "10.0.1.21"], strict=True)
)
LIMIT = 32 * 1024  # bytes of user_data that Hetzner takes

# What every server is told beside what is of itself.
OF_SERVERS: Told = {
    "cluster-cidr": "10.42.0.0/16",
    "service-cidr": "10.43.0.0/16",
    "flannel-backend": "wireguard-native",
    "disable": ["traefik", "local-storage"],
    "disable-cloud-controller": True,
    "secrets-encryption": True,
    "write-kubeconfig-mode": "0600",
    "tls-san": ["10.0.1.10", "10.0.1.11", "10.0.1.12", "api.example.com"],
    "kube-apiserver-arg": [
        "audit-log-path=/var/lib/rancher/k3s/server/logs/audit.log",
        "audit-policy-file=/etc/rancher/k3s/audit.yaml",
        "audit-log-maxage=30",
        "audit-log-maxbackup=10",
        "audit-log-maxsize=100",
    ],
    "etcd-snapshot-schedule-cron": "0 */6 * * *",
    "etcd-snapshot-retention": 28,
    "etcd-s3": True,
    "etcd-s3-endpoint": "fsn1.your-objectstorage.com",
    "etcd-s3-region": "fsn1",
    "etcd-s3-bucket": "etcd",
    "etcd-s3-folder": "prod",
    "etcd-s3-access-key": "key",
    "etcd-s3-secret-key": "a secret: with a colon",
    "node-taint": ["node-role.kubernetes.io/control-plane=true:NoSchedule"],
    "node-label": ["pool=cp"],
}
OF_WORKERS: Told = {"node-taint": ["a=b:NoSchedule"], "node-label": ["pool=general", "disk=ssd"]}


@cache
def applied() -> Told:
    """The outputs of a real apply: there is no provider, so nothing but the module itself runs."""
    with TemporaryDirectory() as folder:
        module = copy("modules/k3s", Path(folder))
        (module.folder / "given.auto.tfvars.json").write_text(json.dumps(GIVEN))
        module.apply()
        assert module.plan() == {}
        return module.outputs()


def cloud_init(name: str) -> Told:
    text: str = applied()["user_data"][name]
    assert text.startswith("#cloud-config\n")
    assert len(text.encode()) < LIMIT
    told: Told = yaml.safe_load(text)
    return told


def files(name: str) -> dict[str, Told]:
    return {file["path"]: file for file in cloud_init(name)["write_files"]}


def config(name: str) -> Told:
    file = files(name)["/etc/rancher/k3s/config.yaml"]
    assert file["permissions"] == "0600"
    told: Told = yaml.safe_load(file["content"])
    return told


def test_the_servers_are_those_that_were_asked_for() -> None:
    servers = applied()["servers"]
    assert {name: server["address"] for name, server in servers.items()} == ADDRESSES
    assert {name: server["server_type"] for name, server in servers.items()} == {
        **dict.fromkeys(SERVERS, "cx33"),
        **dict.fromkeys(WORKERS, "cx43"),
    }
    assert servers["prod-general-1"]["labels"] == {"cluster": "prod", "role": "agent", "pool": "general"}


@pytest.mark.parametrize("name", ADDRESSES)
def test_k3s_is_told_this_and_nothing_else(name: str) -> None:
    founds = name == "prod-cp-1"
    expected = {
        "node-name": name,
        "node-ip": ADDRESSES[name],
        "token-file": "/etc/rancher/k3s/token",
        "protect-kernel-defaults": True,
        "kubelet-arg": ["cloud-provider=external"],
        **(OF_SERVERS if name in SERVERS else OF_WORKERS),
        **({"cluster-init": True} if founds else {"server": "https://10.0.1.10:6443"}),
    }
    assert config(name) == expected
    assert applied()["config"][name] == expected


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_server_starts_k3s_of_its_version(name: str) -> None:
    role = "server" if name in SERVERS else "agent"
    told = cloud_init(name)
    assert told["hostname"] == name
    assert told["runcmd"][-1] == ["/usr/local/sbin/start-k3s", "v1.35.5+k3s1", role, ADDRESSES[name]]
    assert files(name)["/usr/local/sbin/start-k3s"]["permissions"] == "0700"
    assert files(name)["/etc/rancher/k3s/token"] == {
        "path": "/etc/rancher/k3s/token",
        "permissions": "0600",
        "content": TOKEN,
    }


def test_the_kernel_is_as_the_kubelet_wants_it() -> None:
    content = files("prod-general-1")["/etc/sysctl.d/90-kubelet.conf"]["content"]
    assert content.split() == [
        "vm.panic_on_oom=0",
        "vm.overcommit_memory=1",
        "kernel.panic=10",
        "kernel.panic_on_oops=1",
    ]
    assert ["sysctl", "--system"] in cloud_init("prod-general-1")["runcmd"]


def test_updates_come_by_themselves_and_reboots_by_kured() -> None:
    told = files("prod-general-1")
    assert 'APT::Periodic::Unattended-Upgrade "1";' in told["/etc/apt/apt.conf.d/20auto-upgrades"]["content"]
    assert 'Automatic-Reboot "false"' in told["/etc/apt/apt.conf.d/52no-reboot"]["content"]
    assert "unattended-upgrades" in cloud_init("prod-general-1")["packages"]


def test_no_password_opens_ssh() -> None:
    lines = files("prod-cp-1")["/etc/ssh/sshd_config.d/10-keys.conf"]["content"].splitlines()
    assert {"PasswordAuthentication no", "PermitRootLogin prohibit-password"} <= set(lines)


def test_only_servers_have_the_clouds_token_and_the_buckets_key() -> None:
    for name in WORKERS:
        text = applied()["user_data"][name]
        assert "the cloud's token" not in text
        assert "a secret: with a colon" not in text
        assert not [path for path in files(name) if "manifests" in path or path.endswith("audit.yaml")]


def test_the_audit_log_never_holds_a_secret() -> None:
    rules = yaml.safe_load(files("prod-cp-1")["/etc/rancher/k3s/audit.yaml"]["content"])["rules"]
    assert {rule["level"] for rule in rules} == {"None", "Metadata"}
    assert rules[-1] == {"level": "Metadata"}


def test_manifests_are_applied_in_order() -> None:
    folder = "/var/lib/rancher/k3s/server/manifests/"
    told = {
        path.removeprefix(folder): file for path, file in files("prod-cp-2").items() if path.startswith(folder)
    }
    assert list(told) == ["00-cloud.yaml", "10-ccm.yaml", "20-csi.yaml", "30-kured.yaml"]
    assert {file["permissions"] for file in told.values()} == {"0600"}
    secret, ccm, csi, kured = (yaml.safe_load(file["content"]) for file in told.values())
    assert secret["stringData"] == {"token": "the cloud's token", "network": "prod"}
    assert [(chart["spec"]["chart"], chart["spec"]["version"]) for chart in (ccm, csi, kured)] == [
        ("hcloud-cloud-controller-manager", "1.33.0"),
        ("hcloud-csi", "2.21.0"),
        ("kured", "6.1.0"),
    ]
    assert ccm["spec"]["bootstrap"] is True
    values = yaml.safe_load(ccm["spec"]["valuesContent"])
    assert values["networking"] == {"enabled": True, "clusterCIDR": "10.42.0.0/16"}
    # Two who serve Services, or route pods, would fight.
    assert {name: one["value"] for name, one in values["env"].items()} == {
        "HCLOUD_NETWORK_ROUTES_ENABLED": "false",
        "HCLOUD_LOAD_BALANCERS_ENABLED": "false",
    }
    csi_values = yaml.safe_load(csi["spec"]["valuesContent"])
    assert csi_values == {"controller": {"volumeExtraLabels": {"cluster": "prod"}}}
    assert yaml.safe_load(kured["spec"]["valuesContent"])["configuration"]["concurrency"] == 1


def test_administrators_alone_come_in() -> None:
    rules = {rule["description"]: (rule["port"], rule["source_ips"]) for rule in applied()["firewall"]}
    assert rules.pop("Path MTU and ping")[0] is None
    assert rules == {"SSH": ("22", GIVEN["admin_cidrs"]), "Kubernetes API": ("6443", GIVEN["admin_cidrs"])}
