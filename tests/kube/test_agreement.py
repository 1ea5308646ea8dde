"""The chart and the overlays say the same of what both run, and a difference would be seen."""

import copy
import shutil
from functools import cache, reduce
from pathlib import Path
from typing import Any, cast

import pytest

from tests.kube.agreement import differences
from tests.kube.findings import Finding, expect_none
from tests.kube.rendered import K8S, Manifest, chart, kustomization, one

ENVIRONMENTS = ("production", "staging")
SIDES = ("overlay", "chart")
DROP_ALL = "spec.template.spec.containers.0.securityContext.capabilities.drop"
PLANTED: dict[str, tuple[str, str, Any]] = {
    "a probe": ("Deployment/collector", "spec.template.spec.containers.0.readinessProbe.periodSeconds", 30),
    "security": ("Deployment/collector-worker", DROP_ALL, []),
    "a port": ("Service/collector", "spec.ports.0.port", 80),
    "a resource": ("Deployment/collector", "spec.template.spec.containers.0.resources.limits.memory", "1Gi"),
    "a disruption budget": ("PodDisruptionBudget/collector", "spec.maxUnavailable", 2),
    "a connection budget": ("ConfigMap/collector", "data.POSTGRES_POOL_SIZE", "99"),
    "the time to leave": ("Deployment/collector", "spec.template.spec.terminationGracePeriodSeconds", 2),
    "a setting": ("ConfigMap/collector", "data.DRAIN_SECONDS", "0"),
    "who may come in": ("Deployment/collector", "spec.template.spec.containers.0.env.0.value", "/tmp/tokens"),
    "the way in": ("HTTPRoute/collector", "spec.rules.0.matches.0.path.value", "/metrics"),
    "the spool's promise": ("StatefulSet/collector-redis", "spec.template.spec.containers.0.args.4", "no"),
    "an autoscaler": (
        "HorizontalPodAutoscaler/collector",
        "spec.behavior.scaleDown.stabilizationWindowSeconds",
        0,
    ),
    "what a commit waits for": ("Cluster/collector-postgres", "spec.postgresql.synchronous.number", 0),
}


@cache
def rendered(side: str, environment: str) -> list[Manifest]:
    if side == "overlay":
        return kustomization(f"overlays/{environment}")
    return chart(f"values-{environment}.yaml", namespace=f"collector-{environment}")


@cache
def different(environment: str) -> list[Finding]:
    overlay, helm = (rendered(side, environment) for side in SIDES)
    return differences(overlay, helm, SIDES)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_chart_and_the_overlay_agree(environment: str) -> None:
    expect_none(f"agreement/{environment}", different(environment))


def test_with_webhooks_they_agree_as_well(tmp_path: Path) -> None:
    copied = Path(shutil.copytree(K8S, tmp_path / "k8s"))
    file = copied / "overlays/staging/kustomization.yaml"
    tokens = "  - ../../components/tokens\n"
    file.write_text(file.read_text().replace(tokens, f"{tokens}  - ../../components/hooks\n"))
    overlay = kustomization(copied / "overlays/staging")
    values = {"hooks.secret.name": "collector-hooks"}
    helm = chart("values-staging.yaml", set=values, namespace="collector-staging")
    expect_none("agreement/staging", differences(overlay, helm, SIDES))
    assert "HOOKS_FILE" in str(one(overlay, "Deployment", "collector"))


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("side", SIDES)
def test_a_difference_is_noticed(planted: str, side: str) -> None:
    thing, path, value = PLANTED[planted]
    sides = {each: copy.deepcopy(rendered(each, "production")) for each in SIDES}
    kind, _, name = thing.partition("/")
    plant(named(sides[side], kind, name), path, value)
    new = set(differences(sides["overlay"], sides["chart"], SIDES)) - set(different("production"))
    assert [found.object for found in new] == [thing], new


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    if kind != "ConfigMap":
        return one(manifests, kind, name)
    return next(each for each in manifests if each["kind"] == kind and "DRAIN_SECONDS" in (each.get("data") or {}))


def plant(manifest: Manifest, path: str, value: Any) -> None:
    *above, last = (int(word) if word.isdigit() else word for word in path.split("."))
    place: Any = reduce(lambda node, word: node[word], above, cast("Any", manifest))
    place[last] = value
