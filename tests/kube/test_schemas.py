"""The schemas take what a cluster takes, and refuse what is misspelt, in Kubernetes' kinds and in operators'."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.kube.judges import JudgeError, refused, scored
from tests.kube.schemas import NEWEST, OLDEST, strict

POD: dict[str, Any] = {"containers": [{"name": "one", "image": "one:1", "ports": [{"containerPort": 80}]}]}
CORES: dict[str, Any] = {"limits": {"cpu": 1, "memory": "1Gi"}}


def labelled(**spec: Any) -> dict[str, Any]:
    return {
        "selector": {"matchLabels": {"app": "one"}},
        "template": {"metadata": {"labels": {"app": "one"}}, "spec": POD},
        **spec,
    }


TRIGGER = {"type": "cpu", "metadata": {"value": "70"}}
TARGET = {"name": "one", "kind": "Deployment", "apiVersion": "apps/v1"}
SOUND: Mapping[str, tuple[str, dict[str, Any]]] = {
    "Deployment": ("apps/v1", labelled(strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}})),
    "PodDisruptionBudget": ("policy/v1", {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"}),
    "HTTPRoute": ("gateway.networking.k8s.io/v1", {"rules": [{"backendRefs": [{"name": "one", "port": 80}]}]}),
    "Cluster": ("postgresql.cnpg.io/v1", {"instances": 3, "storage": {"size": "1Gi"}, "resources": CORES}),
    "ObjectStore": ("barmancloud.cnpg.io/v1", {"configuration": {"destinationPath": "s3://bucket"}}),
    "ExternalSecret": ("external-secrets.io/v1", {"secretStoreRef": {"name": "vault"}, "dataFrom": []}),
    "ServiceMonitor": ("monitoring.coreos.com/v1", {"selector": {}, "endpoints": [{"port": "http"}]}),
    "PrometheusRule": ("monitoring.coreos.com/v1", {"groups": [{"name": "one", "rules": [{"expr": "1"}]}]}),
    "ScaledObject": (
        "keda.sh/v1alpha1",
        {"scaleTargetRef": TARGET, "triggers": [{"type": "cpu", "metadata": {}}]},
    ),
    "Rollout": ("argoproj.io/v1alpha1", labelled(strategy={"canary": {"steps": [{"setWeight": 5}]}})),
}
kubernetes = pytest.mark.parametrize("kubernetes", [OLDEST, NEWEST], ids=lambda module: module.version)


def text(kind: str, **spec: Any) -> str:
    version, sound = SOUND[kind]
    head = {"apiVersion": version, "kind": kind, "metadata": {"name": "one"}}
    return str(yaml.safe_dump({**head, "spec": {**sound, **spec}}))


@pytest.mark.parametrize("kind", SOUND)
def test_a_kind_is_known_and_a_misspelt_field_is_not(kind: str) -> None:
    assert refused(text(kind), NEWEST) == []
    assert [found.object for found in refused(text(kind, mispelt=1), NEWEST)] == [f"{kind}/one"]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Deployment", {"replicas": "three"}),
        ("Deployment", {"template": {"spec": {"containers": [{"name": "one", "image": "one", "cmd": []}]}}}),
        ("Deployment", {"selector": None}),
        ("HTTPRoute", {"rules": [{"backendRefs": [{"name": "one", "prt": 80}]}]}),
        ("HTTPRoute", {"rules": [{"matches": [{"path": {"type": "Suffix", "value": "/"}}]}]}),
        ("Cluster", {"instances": 0}),
        ("Cluster", {"postgresql": {"synchronous": {"method": "some", "number": 1}}}),
        ("ObjectStore", {"configuration": {}}),
        ("Rollout", {"strategy": {"canary": {"steps": [{"setWheight": 5}]}}}),
    ],
)
def test_a_value_that_does_not_fit_is_refused(kind: str, spec: dict[str, Any]) -> None:
    assert refused(text(kind, **spec), NEWEST)


@kubernetes
def test_an_unknown_kind_and_a_repeated_key_are_refused(kubernetes: Any) -> None:
    assert refused("apiVersion: example.com/v1\nkind: Unknown\nmetadata: {name: one}\n", kubernetes)
    assert refused("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  a: b\n  a: c\n", kubernetes)
    assert not refused("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  a: b\n", kubernetes)


def test_nothing_is_not_called_sound() -> None:
    with pytest.raises(JudgeError):
        refused("", NEWEST)


def test_the_linter_sees_a_service_without_pods() -> None:
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: one}\nspec: {selector: {app: one}}\n"
    assert [found.check for found in scored(service)] == ["service-targets-pod"]


def test_what_may_hold_anything_still_may() -> None:
    free = {"type": "object", "properties": {"known": {}}, "x-kubernetes-preserve-unknown-fields": True}
    assert "additionalProperties" not in strict(free)
    assert strict({"type": "object", "additionalProperties": {"type": "string"}}) == {
        "type": "object",
        "additionalProperties": {"type": "string"},
    }
