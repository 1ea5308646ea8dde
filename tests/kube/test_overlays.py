"""The base and its overlays: the numbers that were decided, and that the parts of each overlay fit each other."""

import re
import shutil
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings
from tests.kube.rendered import K8S, Manifest, having, kustomization, one
from tests.kube.test_steps import needs
from tests.kube.tools import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
IMAGE = f"{PYPROJECT['tool']['collector']['image']}:{PYPROJECT['project']['version']}"
NAMESPACES = {
    "staging": "collector-staging",
    "production": "collector-production",
    "blue-green": "collector-production",
    "k3d": "collector",
}
# By CloudNativePG, by `up`, or by the commands of the page.
MADE_ELSEWHERE = {"collector-postgres-app", "collector-tokens"}
CONNECTIONS = (
    Settings.model_fields["postgres_pool_size"].default + 5
)  # of a process; a worker has one more, to lead
SUPERUSER, HEADROOM = 3, 10  # connections that are not the collector's

each_overlay = pytest.mark.parametrize("name", NAMESPACES)


@cache
def overlay(name: str) -> tuple[Manifest, ...]:
    return tuple(kustomization(f"overlays/{name}"))


@cache
def base() -> tuple[Manifest, ...]:
    return tuple(kustomization("base"))


def templates(manifests: tuple[Manifest, ...]) -> dict[str, Manifest]:
    """The pod templates, by the name of what makes them."""
    return {
        f"{each['kind']} {each['metadata']['name']}": each["spec"]["template"]
        for each in manifests
        if "template" in each.get("spec", {})
    }


def test_the_version_and_the_image_are_the_projects() -> None:
    version = PYPROJECT["project"]["version"]
    found = templates(base())
    ours = {name: template for name, template in found.items() if "redis" not in name}
    assert sorted(ours) == [
        "Deployment collector",
        "Deployment collector-worker",
        f"Job collector-migrate-{version.replace('.', '-')}",
    ]
    for name, template in ours.items():
        assert template["spec"]["containers"][0]["image"] == IMAGE, name
        assert template["metadata"]["labels"]["app.kubernetes.io/version"] == version, name
    state = yaml.safe_load((K8S / "overlays/blue-green/slots.yaml").read_text())["spec"]
    assert {state[slot]["image"] for slot in ("blue", "green", "newest")} == {IMAGE}
    assert f"Job {state['newest']['job']}" in ours


def test_an_update_takes_nobody_away() -> None:
    for name in ("collector", "collector-worker"):
        spec = one(base(), "Deployment", name)["spec"]
        assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        assert spec["minReadySeconds"] == 5
        assert spec["progressDeadlineSeconds"] == 120
        assert spec["revisionHistoryLimit"] == 5


def test_probes_are_those_that_were_decided() -> None:
    for name in ("collector", "collector-worker"):
        (container,) = one(base(), "Deployment", name)["spec"]["template"]["spec"]["containers"]
        asked = {"healthz": {"path": "/healthz", "port": "http"}, "readyz": {"path": "/readyz", "port": "http"}}
        assert container["startupProbe"] == {
            "httpGet": asked["healthz"],
            "periodSeconds": 2,
            "failureThreshold": 30,
        }
        assert container["livenessProbe"] == {
            "httpGet": asked["healthz"],
            "periodSeconds": 10,
            "timeoutSeconds": 2,
            "failureThreshold": 6,
        }
        assert container["readinessProbe"] == {
            "httpGet": asked["readyz"],
            "periodSeconds": 3,
            "timeoutSeconds": 2,
            "failureThreshold": 2,
        }
        assert "lifecycle" not in container, "the process drains by itself"


def test_the_ports_are_those_of_the_settings() -> None:
    wanted = {"collector": "port", "collector-worker": "worker_port"}
    for name, setting in wanted.items():
        template = one(base(), "Deployment", name)["spec"]["template"]
        port = Settings.model_fields[setting].default
        assert template["spec"]["containers"][0]["ports"][0]["containerPort"] == port
        assert template["metadata"]["annotations"] == {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(port),
            "prometheus.io/path": "/metrics",
        }


def test_the_collector_has_no_cpu_limit_and_the_quota_asks_for_none() -> None:
    for name, template in templates(base()).items():
        for container in template["spec"]["containers"]:
            assert set(container["resources"]["limits"]) == {"memory", "ephemeral-storage"}, name
    (quota,) = having(base(), "ResourceQuota")
    assert not {name for name in quota["spec"]["hard"] if "limits.cpu" in name}
    (limits,) = having(base(), "LimitRange")
    assert [set(each) for each in limits["spec"]["limits"]] == [{"type", "defaultRequest"}]


def test_collectors_are_spread_and_leave_a_dead_node() -> None:
    for name in ("collector", "collector-worker"):
        spec = one(base(), "Deployment", name)["spec"]
        pod = spec["template"]["spec"]
        spread = {each["topologyKey"]: each for each in pod["topologySpreadConstraints"]}
        assert sorted(spread) == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
        for each in spread.values():
            assert each["matchLabelKeys"] == ["pod-template-hash"]
            assert each["labelSelector"] == spec["selector"]
        assert {each["key"]: each["tolerationSeconds"] for each in pod["tolerations"]} == {
            "node.kubernetes.io/not-ready": 30,
            "node.kubernetes.io/unreachable": 30,
        }


def test_the_autoscaler_owns_the_number_of_collectors() -> None:
    assert "replicas" not in one(base(), "Deployment", "collector")["spec"]
    spec = one(base(), "HorizontalPodAutoscaler", "collector")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (4, 10)
    assert spec["metrics"] == [
        {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
        }
    ]
    assert spec["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert spec["behavior"]["scaleDown"] == {
        "stabilizationWindowSeconds": 300,
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
    }
    budget = one(base(), "PodDisruptionBudget", "collector")["spec"]
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


@pytest.mark.parametrize(("name", "count"), [("staging", 1), ("k3d", 2)])
def test_without_an_autoscaler_the_overlay_says_how_many(name: str, count: int) -> None:
    assert one(overlay(name), "Deployment", "collector")["spec"]["replicas"] == count
    assert not having(overlay(name), "HorizontalPodAutoscaler")


@each_overlay
def test_a_namespace_enforces_the_restricted_standard_of_one_version(name: str) -> None:
    space = one(overlay(name), "Namespace", NAMESPACES[name])
    labels = space["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert re.fullmatch(r"v1\.\d+", labels[f"pod-security.kubernetes.io/{mode}-version"])
    others = [each for each in overlay(name) if each is not space]
    assert {each["metadata"].get("namespace") for each in others} == {NAMESPACES[name]}


@each_overlay
def test_what_a_pod_needs_is_there(name: str) -> None:
    for owner, template in templates(overlay(name)).items():
        for kind, wanted in needs(template["spec"]):
            there = wanted in MADE_ELSEWHERE if kind == "Secret" else having(overlay(name), kind, wanted)
            assert there, f"{owner} waits for {kind} {wanted}"


@each_overlay
def test_every_service_and_budget_selects_pods(name: str) -> None:
    labels = [template["metadata"]["labels"] for template in templates(overlay(name)).values()]
    for service in having(overlay(name), "Service"):
        selector = service["spec"]["selector"].items()
        assert any(selector <= each.items() for each in labels), service["metadata"]["name"]
    for budget in having(overlay(name), "PodDisruptionBudget"):
        selector = budget["spec"]["selector"]["matchLabels"].items()
        assert any(selector <= each.items() for each in labels)


def test_a_changed_setting_rolls_the_pods_and_leaves_the_migration_as_it_is(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(K8S, tmp_path / "k8s"))
    settings = copy / "base/settings.env"
    settings.write_text(settings.read_text() + "RETENTION_DAYS=30\n")
    before, after = overlay("staging"), tuple(kustomization(copy / "overlays/staging"))

    def source(manifests: tuple[Manifest, ...], name: str) -> Any:
        return one(manifests, "Deployment", name)["spec"]["template"]["spec"]["containers"][0]["envFrom"]

    for name in ("collector", "collector-worker"):
        assert source(before, name) != source(after, name)
    assert having(before, "Job") == having(after, "Job"), "a Job cannot be changed"
    assert having(before, "StatefulSet") == having(after, "StatefulSet")


@each_overlay
def test_the_migration_goes_to_the_database_of_the_collectors(name: str) -> None:
    (data,) = [each["data"] for each in having(overlay(name), "ConfigMap")]
    (job,) = having(overlay(name), "Job")
    given = {each["name"]: each["value"] for each in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert given.items() <= data.items()
    host = re.fullmatch(r"postgres://collector@([\w-]+):5432/collector", data["POSTGRES_CONNECTION_STRING"])
    assert host
    clusters = {f"{each['metadata']['name']}-rw" for each in having(overlay(name), "Cluster")}
    assert host[1] in clusters | {each["metadata"]["name"] for each in having(overlay(name), "Service")}


def test_production_keeps_a_receipt_through_the_loss_of_the_primary() -> None:
    spec = one(overlay("production"), "Cluster", "collector-postgres")["spec"]
    assert spec["instances"] == 3
    assert spec["postgresql"]["synchronous"] == {
        "method": "any",
        "number": 1,
        "dataDurability": "required",
        "failoverQuorum": True,
    }
    (plugin,) = spec["plugins"]
    assert plugin["isWALArchiver"]
    store = plugin["parameters"]["barmanObjectName"]
    assert having(overlay("production"), "ObjectStore", store)
    (backup,) = having(overlay("production"), "ScheduledBackup")
    assert backup["spec"]["cluster"]["name"] == "collector-postgres"
    assert backup["spec"]["pluginConfiguration"]["name"] == plugin["name"]


# The way in.


def test_the_public_paths_are_those_of_the_rung_below_and_neither_probes_nor_metrics() -> None:
    nginx = (ROOT / "deploy/compose/nginx.conf").read_text()
    below = set(re.findall(r"location (?:= )?(/\S*) \{ proxy_pass", nginx))
    (rule,) = one(base(), "HTTPRoute", "collector")["spec"]["rules"]
    here = {match["path"]["value"]: match["path"]["type"] for match in rule["matches"]}
    assert set(here) == {path.rstrip("/") or "/" for path in below}
    assert {path for path, kind in here.items() if kind == "PathPrefix"} == {
        path.rstrip("/") for path in below if path != "/" and path.endswith("/")
    }


@each_overlay
def test_nobody_comes_in_without_a_token_but_on_a_laptop(name: str) -> None:
    told = {
        each["metadata"]["name"]: {one["name"] for one in template["containers"][0].get("env", ())}
        for each in having(overlay(name), "Deployment")
        for template in [each["spec"]["template"]["spec"]]
    }
    door = "ALLOW_ANONYMOUS" if name == "k3d" else "TOKENS_FILE"
    assert {one: names for one, names in told.items() if names} == {
        one: {door} for one in told if one != "collector-worker"
    }
    (data,) = [each["data"] for each in having(overlay(name), "ConfigMap")]
    assert not data.keys() & {"ALLOW_ANONYMOUS", "TOKENS_FILE"}, "the worker has no door"
    for each in having(overlay(name), "Deployment"):
        for mount in each["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]:
            assert "subPath" not in mount, "a changed Secret would never arrive"


def test_the_base_lets_nobody_in() -> None:
    (container,) = one(base(), "Deployment", "collector")["spec"]["template"]["spec"]["containers"]
    assert "env" not in container


def test_the_route_spells_out_what_has_defaults() -> None:
    spec = one(base(), "HTTPRoute", "collector")["spec"]
    assert all({"group", "kind", "namespace", "name"} == set(parent) for parent in spec["parentRefs"])
    for rule in spec["rules"]:
        assert all({"group", "kind", "name", "port", "weight"} == set(to) for to in rule["backendRefs"])


def test_the_gateway_of_the_laptop_takes_the_routes_of_every_overlay() -> None:
    (gateway,) = having(yaml.safe_load_all((K8S / "overlays/k3d/platform/gateway.yaml").read_text()), "Gateway")
    (listener,) = gateway["spec"]["listeners"]
    wanted = listener["allowedRoutes"]["namespaces"]["selector"]["matchLabels"]
    for name, space in NAMESPACES.items():
        assert wanted.items() <= one(overlay(name), "Namespace", space)["metadata"]["labels"].items()
        (parent,) = one(overlay(name), "HTTPRoute", "collector")["spec"]["parentRefs"]
        assert (parent["namespace"], parent["name"]) == (
            gateway["metadata"]["namespace"],
            gateway["metadata"]["name"],
        )
    hosts = [
        one(overlay(name), "HTTPRoute", "collector")["spec"]["hostnames"] for name in ("staging", "production")
    ]
    assert hosts[0] != hosts[1]


# The page.


def test_the_page_names_files_and_targets_that_there_are() -> None:
    page = (K8S / "README.md").read_text()
    for link in re.findall(r"\]\(([^)]+)\)", page):
        assert (K8S / link.partition("#")[0]).exists(), link
    named = set(re.findall(r"deploy/k8s/[\w/-]+", page))
    assert {path for path in named if not (ROOT / path).exists()} == set()
    assert {f"deploy/k8s/overlays/{name}" for name in ("staging", "production", "blue-green")} <= named
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^\$ make ([\w-]+)", page, re.MULTILINE)) <= targets
