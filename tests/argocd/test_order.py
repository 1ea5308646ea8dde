"""Waves: whatever an Application needs comes in an earlier one, and there is no circle."""

from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import Any

import pytest
import yaml

from tests.argocd.applications import HERE, WAVE, all_manifests, environments, names, platform, rendered
from tests.argocd.go_engine import engine
from tests.kube.rendered import Manifest, having, one
from tests.kube.tools import ROOT

ADDONS: Mapping[str, Mapping[str, Any]] = yaml.safe_load((ROOT / "argocd/platform/values.yaml").read_text())[
    "addons"
]
OF_KUBERNETES = {
    *("", "apps", "autoscaling", "batch", "networking.k8s.io", "policy", "rbac.authorization.k8s.io"),
    *("apiextensions.k8s.io", "admissionregistration.k8s.io"),
}
BROUGHT_BY = {group: name for name, addon in ADDONS.items() for group in addon.get("brings", ())}
# The design's order: definitions, operators, stores of secrets, database, migration, collector, monitors, smoke.
COLLECTOR = {
    "ExternalSecret": -3,
    "Cluster": -2,
    "ConfigMap": -2,
    "StatefulSet": -2,
    "Deployment": 0,
    "HTTPRoute": 0,
    "ServiceMonitor": 1,
    "PrometheusRule": 1,
}


def wave(manifest: Manifest) -> int:
    return int((manifest["metadata"].get("annotations") or {}).get(WAVE, "0"))


def group(manifest: Manifest) -> str:
    return str(manifest["apiVersion"].rpartition("/")[0])


def needed_by(manifests: list[Manifest]) -> set[str]:
    """The add-ons whose kinds they are made of."""
    return {BROUGHT_BY[group(each)] for each in manifests if group(each) not in OF_KUBERNETES}


def needs_of_addons() -> dict[str, set[str]]:
    needs = {name: set(addon.get("needs", ())) for name, addon in ADDONS.items()}
    return {**needs, "foundation": foundation_needs()}


def foundation_needs() -> set[str]:
    return {need for name in names() for need in needed_by(rendered(HERE, foundation(name)))}


def foundation(cluster: str) -> Manifest:
    return one(platform(cluster), "Application", f"foundation-{cluster}")


def waves(cluster: str) -> dict[str, int]:
    """Each add-on's wave, and the foundation's."""
    return {
        each["metadata"]["name"].removesuffix(f"-{cluster}"): wave(each)
        for each in having(platform(cluster), "Application")
    }


def test_there_is_no_circle() -> None:
    order = list(TopologicalSorter(needs_of_addons()).static_order())
    assert order.index("gateway-api") < order.index("foundation") < order.index("kube-prometheus-stack")


@pytest.mark.parametrize("cluster", names())
def test_what_an_addon_needs_is_there_and_before_it(cluster: str) -> None:
    when = waves(cluster)
    for name, needs in needs_of_addons().items():
        if name in when:
            late = {need: when.get(need) for need in needs if not when.get(need, 99) < when[name]}
            assert not late, f"{name} in wave {when[name]} needs {late}"


@pytest.mark.parametrize("cluster", names())
def test_what_an_environment_is_made_of_is_there_before_it(cluster: str) -> None:
    when = waves(cluster)
    (made_by,) = having(platform(cluster), "ApplicationSet")
    for environment in environments(cluster):
        needs = needed_by(rendered(HERE, environment))
        assert "external-secrets" in needs
        late = {need: when.get(need) for need in needs if not when.get(need, 99) < wave(made_by)}
        assert not late, f"{environment['metadata']['name']} needs {late}"


@pytest.mark.parametrize("cluster", names())
def test_projects_come_before_what_is_in_them(cluster: str) -> None:
    made = platform(cluster)
    others = [*having(made, "Application"), *having(made, "ApplicationSet")]
    assert max(map(wave, having(made, "AppProject"))) < min(map(wave, others))


@pytest.mark.parametrize("cluster", names())
def test_a_collector_comes_up_in_order(cluster: str) -> None:
    for environment in environments(cluster):
        manifests = rendered(HERE, environment)
        for each in manifests:
            if each["kind"] in COLLECTOR and not each["metadata"]["name"].endswith("dashboard"):
                assert wave(each) == COLLECTOR[each["kind"]], (each["kind"], each["metadata"]["name"])
        (migration,) = (each for each in having(manifests, "Job") if "-migrate-" in each["metadata"]["name"])
        assert wave(migration) == -1
        smoke = one(manifests, "Job", "collector-test")["metadata"]["annotations"]
        assert (smoke["argocd.argoproj.io/hook"], smoke[WAVE]) == ("PostSync", "2")


def test_every_kind_is_somebodys() -> None:
    """A group that nobody brings would be a sync that never works."""
    used = {group(each) for _, manifests in all_manifests() for each in manifests}
    assert used - OF_KUBERNETES - BROUGHT_BY.keys() == set()


def test_an_application_is_as_healthy_as_what_it_brings() -> None:
    """Without that, a wave does not wait for the one before."""
    values = yaml.safe_load((ROOT / "argocd/install/values.yaml").read_text())
    check = values["configs"]["cm"]["resource.customizations.health.argoproj.io_Application"]
    told = ("Healthy", "Degraded", "Progressing", "Missing", "Suspended")
    made = [{}, {"status": {}}, *({"status": {"health": {"status": health}}} for health in told)]
    # Until it has been looked at it is under way: a wave must not pass it by.
    assert engine("health", {"lua": check, "objects": made}) == ["Progressing", "Progressing", *told]
