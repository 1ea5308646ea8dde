"""Nothing that is ours would be out of sync for ever."""

from typing import Any

import pytest

from tests.argocd.applications import all_manifests, clusters, environments, names
from tests.argocd.drift import canonical, drift
from tests.kube.charts import BACKUP, BY_KEDA, FROM_STORE, REDIS, ROUTE, TOKENS, WATCHED, Values, rendered
from tests.kube.rendered import Manifest


def test_no_manifest_drifts() -> None:
    found = [finding for _, manifests in all_manifests() for each in manifests for finding in drift(each)]
    assert not found, "\n".join(sorted({f"{each.object}: {each.says}" for each in found}))


@pytest.mark.parametrize(
    "switched",
    [(FROM_STORE, REDIS, ROUTE), (BACKUP, {"networkPolicy.enabled": True}), (BY_KEDA, WATCHED, TOKENS), ()],
    ids=["external-secret", "cnpg", "keda", "embedded"],
)
def test_what_others_switch_on_in_the_chart_does_not_drift(switched: tuple[Values, ...]) -> None:
    store = {"database.cnpg.backup.objectStore": "collector-postgres", "redis.existing.url": "redis://redis:6379"}
    found = [finding for each in rendered(*switched, store) for finding in drift(each)]
    assert not found, found


def route(**backend: Any) -> Manifest:
    backends = [{"group": "", "kind": "Service", "name": "a", "port": 1, "weight": 1} | backend]
    rule = {"matches": [{"path": {"type": "Exact", "value": "/"}}], "backendRefs": backends}
    return thing("gateway.networking.k8s.io/v1", "HTTPRoute", {"rules": [rule]})


def thing(version: str, kind: str, spec: Any) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, "spec": spec}


def without(manifest: Manifest, key: str) -> Manifest:
    del manifest["spec"]["rules"][0]["backendRefs"][0][key]
    return manifest


def said(manifest: Manifest) -> list[str]:
    return [finding.says for finding in drift(manifest)]


def test_what_is_spelled_out_does_not_drift() -> None:
    assert said(route()) == []


def test_a_default_that_is_left_out_in_a_list_drifts() -> None:
    assert said(without(route(), "weight")) == [".spec.rules[0].backendRefs[0].weight is left out, and becomes 1"]
    assert said(without(route(), "kind")) == [
        '.spec.rules[0].backendRefs[0].kind is left out, and becomes "Service"'
    ]


def test_a_default_that_is_left_out_in_a_map_does_not() -> None:
    """An ExternalSecret's refreshInterval is such a one."""
    store = {"name": "secrets", "kind": "ClusterSecretStore"}
    assert said(thing("external-secrets.io/v1", "ExternalSecret", {"secretStoreRef": store})) == []


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"resources": {"limits": {"cpu": "1000m"}}}, ".spec.resources.limits.cpu is 1000m, and becomes 1"),
        ({"env": None}, ".spec.env is null, which is not stored"),
        ({"env": []}, ".spec.env is empty, which is not stored"),
        ({"ports": [{"containerPort": 1}]}, ".spec.ports[0].protocol is left out, and a port is known by it"),
        (
            {"volumeClaimTemplates": [{"spec": {"volumeMode": "Filesystem"}}]},
            ".spec.volumeClaimTemplates[0] leaves out apiVersion, kind, which the API server writes",
        ),
    ],
)
def test_what_is_stored_otherwise_drifts(spec: Any, says: str) -> None:
    assert said(thing("apps/v1", "StatefulSet", spec)) == [says]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        *(("1000m", "1"), ("0.5", "500m"), ("1.5", "1500m"), ("250m", "250m"), (2, "2"), (1000, "1k"), ("0", "0")),
        *(("1024Mi", "1Gi"), ("1536Mi", "1536Mi"), ("64Mi", "64Mi"), ("0.5Gi", "512Mi"), ("10G", "10G")),
    ],
)
def test_a_quantity_has_one_form(written: Any, stored: str) -> None:
    assert canonical(written) == stored


def test_what_is_generated_does_not_drift_either() -> None:
    found = [finding for name in names() for each in (*clusters(), *environments(name)) for finding in drift(each)]
    assert not found
