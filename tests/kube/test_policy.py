"""What must not be in a pod or a manifest is found: each rule has a plant that breaks it."""

import copy
from typing import Any

import pytest

from tests.kube.policy import broken
from tests.kube.rendered import Manifest

CONTEXT = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
CONTAINER = {
    "name": "collector",
    "image": "registry.example.com:5000/collector:1.0.0",
    "securityContext": CONTEXT,
    "resources": {
        "requests": {"cpu": "1", "memory": "1Mi", "ephemeral-storage": "1Mi"},
        "limits": {"memory": "1Mi", "ephemeral-storage": "1Mi"},
    },
}
SPEC = {
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [CONTAINER],
}
SOUND: Manifest = {
    "kind": "Deployment",
    "metadata": {"name": "collector"},
    "spec": {"template": {"metadata": {"annotations": {}}, "spec": SPEC}},
}
APPARMOR = "container.apparmor.security.beta.kubernetes.io/collector"
OF_POD: dict[str, dict[str, Any]] = {
    "hostNetwork is true": {"hostNetwork": True},
    "hostPID is true": {"hostPID": True},
    "hostIPC is true": {"hostIPC": True},
    "the volume node is a hostPath": {"volumes": [{"name": "node", "hostPath": {"path": "/"}}]},
    "it sets kernel.msgmax": {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
    "runAsUser is 0": {"securityContext": {"runAsUser": 0}},
    "runAsNonRoot is not true": {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
    "runAsNonRoot is false": {"securityContext": {"runAsNonRoot": False}},
    "it has no seccompProfile": {"securityContext": {"runAsNonRoot": True}},
    "seccompProfile is neither RuntimeDefault nor Localhost": {
        "securityContext": {"seccompProfile": {"type": "Unconfined"}}
    },
    "its SELinux options are its own": {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}},
    "it is a process of its host": {"securityContext": {"windowsOptions": {"hostProcess": True}}},
    "automountServiceAccountToken is not false": {"automountServiceAccountToken": True},
    "enableServiceLinks is not false": {"enableServiceLinks": True},
}
OF_CONTAINER: dict[str, dict[str, Any]] = {
    "it is privileged": {"securityContext": {**CONTEXT, "privileged": True}},
    "allowPrivilegeEscalation is not false": {"securityContext": {"capabilities": {"drop": ["ALL"]}}},
    "procMount is not Default": {"securityContext": {**CONTEXT, "procMount": "Unmasked"}},
    "it does not drop ALL capabilities": {"securityContext": {"allowPrivilegeEscalation": False}},
    "it adds the capability NET_RAW": {"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}}},
    "it takes a port of its node": {"ports": [{"containerPort": 80, "hostPort": 80}]},
    "a probe or a hook goes to another host": {"livenessProbe": {"httpGet": {"port": 80, "host": "example.com"}}},
    "appArmorProfile is neither RuntimeDefault nor Localhost": {
        "securityContext": {"appArmorProfile": {"type": "Unconfined"}}
    },
    "its root is not read-only": {"securityContext": {}},
    "it has no requests.memory": {"resources": {"requests": {"cpu": "1"}}},
    "it has no limits.memory": {"resources": {}},
    "its CPU is limited": {"resources": {"limits": {"cpu": "1"}}},
    "its image has no tag that stays": {"image": "registry.example.com:5000/collector"},
    "POSTGRES_PASSWORD may be a secret": {"env": [{"name": "POSTGRES_PASSWORD", "value": "hunter2"}]},
    "POSTGRES_CONNECTION_STRING may be a secret": {
        "env": [{"name": "POSTGRES_CONNECTION_STRING", "value": "postgres://collector:hunter2@host/collector"}]
    },
}
OF_OBJECT: dict[str, Manifest] = {
    "a secret lies in the open": {"kind": "Secret", "stringData": {"password": "hunter2"}},
    "REDIS_URL may be a secret": {"kind": "ConfigMap", "data": {"REDIS_URL": "redis://:hunter2@host:6379/0"}},
    "it does not enforce restricted": {"kind": "Namespace"},
    "its enforce-version is not pinned": {"kind": "Namespace"},
    "it would reject every pod without a CPU limit": {
        "kind": "ResourceQuota",
        "spec": {"hard": {"limits.cpu": 1}},
    },
    "it would give pods a CPU limit": {"kind": "LimitRange", "spec": {"limits": [{"default": {"cpu": "1"}}]}},
    "nothing here is made of this kind": {"kind": "Ingress"},
    "it publishes /metrics and what is below": {
        "kind": "HTTPRoute",
        "spec": {"rules": [{"matches": [{"path": {"type": "Exact", "value": "/metrics"}}]}]},
    },
    "it publishes /purge and what is below": {
        "kind": "HTTPRoute",
        "spec": {"rules": [{"matches": [{"path": {"type": "Exact", "value": "/purge"}}]}]},
    },
    "it publishes / and what is below": {"kind": "HTTPRoute", "spec": {"rules": [{}]}},
    "a backend leaves out group, kind, weight": {
        "kind": "HTTPRoute",
        "spec": {"rules": [{"backendRefs": [{"name": "collector", "port": 8080}]}]},
    },
}


def said(manifest: Manifest) -> set[str]:
    return {finding.says for finding in broken([manifest])}


def test_a_sound_pod_breaks_nothing() -> None:
    assert said(SOUND) == set()


@pytest.mark.parametrize("rule", OF_POD)
def test_a_pod_that_breaks_a_rule_is_found(rule: str) -> None:
    planted = copy.deepcopy(SOUND)
    planted["spec"]["template"]["spec"].update(OF_POD[rule])
    assert rule in said(planted)


@pytest.mark.parametrize("place", ["containers", "initContainers"])
@pytest.mark.parametrize("rule", OF_CONTAINER)
def test_a_container_that_breaks_a_rule_is_found(rule: str, place: str) -> None:
    planted = copy.deepcopy(SOUND)
    planted["spec"]["template"]["spec"][place] = [{**CONTAINER, **OF_CONTAINER[rule]}]
    assert rule in said(planted)


def test_an_annotation_for_apparmor_is_found() -> None:
    planted = copy.deepcopy(SOUND)
    planted["spec"]["template"]["metadata"]["annotations"] = {APPARMOR: "unconfined"}
    assert said(planted) == {"its AppArmor is unconfined"}


@pytest.mark.parametrize("rule", OF_OBJECT)
def test_an_object_that_breaks_a_rule_is_found(rule: str) -> None:
    assert rule in said({"metadata": {"name": "planted"}, **OF_OBJECT[rule]})


def test_a_pod_is_found_wherever_it_is_made() -> None:
    pod = {"kind": "Pod", "metadata": {"name": "pod"}, "spec": {**SPEC, "hostPID": True}}
    job = {"spec": {"template": {"spec": pod["spec"]}}}
    made: list[Manifest] = [pod, {"kind": "CronJob", "metadata": {"name": "daily"}, "spec": {"jobTemplate": job}}]
    assert [finding.object for finding in broken(made)] == ["Pod/pod", "CronJob/daily"]
