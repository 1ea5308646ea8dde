"""What is read of a Deployment: its own words, Kubernetes' defaults, and what is refused."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.drills.supervisor import Check
from tests.kube.rendered import Manifest, chart, kustomization
from tests.rollouts.manifest import PLACES, Unplayable, read
from tests.rollouts.mutations import MUTATIONS, Mutation

HTTP = {"httpGet": {"path": "/readyz", "port": "http"}}
BARE: Manifest = {
    "kind": "Deployment",
    "metadata": {"name": "collector"},
    "spec": {
        "template": {
            "spec": {"containers": [{"name": "collector", "ports": [{"name": "http", "containerPort": 8080}]}]}
        }
    },
}
SETTINGS = {
    "kind": "ConfigMap",
    "metadata": {"name": "settings"},
    "data": {"DRAIN_SECONDS": "10", "REDIS_URL": "x"},
}


def pod(deployment: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found


def container(deployment: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = pod(deployment)["containers"][0]
    return found


def with_(change: Callable[[Manifest], object]) -> list[Manifest]:
    mine = copy.deepcopy(BARE)
    change(mine)
    return [mine, SETTINGS]


def test_what_is_not_said_is_kubernetes_default() -> None:
    found = read([BARE])
    assert (found.replicas, found.surge, found.unavailable) == (1, "25%", "25%")
    assert (found.min_ready, found.progress_deadline) == (0, 600)
    policy = found.template.policy
    assert (policy.startup, policy.liveness, policy.readiness) == (None, None, None)
    assert (policy.grace, policy.pre_stop) == (30, 0)


def test_a_probe_has_kubernetes_defaults_too() -> None:
    found = read(with_(lambda one: container(one).update(readinessProbe=HTTP)))
    assert found.template.policy.readiness == Check(path="/readyz", period=10, timeout=1, failures=3, successes=1)


def test_variables_win_over_the_config_map_and_places_are_left_out() -> None:
    sources = {
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "env": [{"name": "DRAIN_SECONDS", "value": "7"}],
    }
    found = read(with_(lambda one: container(one).update(sources)))
    assert (found.template.env, found.left_out) == ({"DRAIN_SECONDS": "7"}, ("REDIS_URL",))


def test_an_autoscaler_says_how_many_where_the_deployment_does_not() -> None:
    scaler = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "collector"},
        "spec": {"scaleTargetRef": {"name": "collector"}, "minReplicas": 3},
    }
    assert read([BARE, scaler]).replicas == 3
    assert read([*with_(lambda one: one["spec"].update(replicas=2)), scaler]).replicas == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda one: one["spec"].update(strategy={"type": "Recreate"}), "Recreate"),
        (lambda one: pod(one).update(initContainers=[{"name": "wait"}]), "wait"),
        (lambda one: pod(one)["containers"].append({"name": "sidecar"}), "sidecar"),
        (lambda one: container(one).update(args=["worker"]), "collector serve"),
        (lambda one: container(one).update(livenessProbe={"exec": {"command": ["true"]}}), "liveness"),
        (lambda one: container(one).update(livenessProbe={"httpGet": {"port": "admin"}}), "admin"),
        (lambda one: container(one).update(lifecycle={"preStop": {"exec": {"command": ["sleep", "5"]}}}), "exec"),
        (lambda one: container(one).update(lifecycle={"preStop": {"sleep": {"seconds": 30}}}), "grace"),
        (lambda one: container(one).update(env=[{"name": "LOG_LEVEL", "valueFrom": {}}]), "LOG_LEVEL"),
        (lambda one: container(one).update(envFrom=[{"configMapRef": {"name": "none"}}]), "ConfigMap none"),
        (lambda one: one["metadata"].update(name="other"), "Deployment collector"),
    ],
)
def test_what_cannot_be_played_is_refused_by_name(change: Callable[[Manifest], object], says: str) -> None:
    with pytest.raises(Unplayable, match=says):
        read(with_(change))


def test_a_pace_divides_every_time_and_no_count() -> None:
    sources = {
        "env": [{"name": "DRAIN_SECONDS", "value": "10"}, {"name": "RETENTION_DAYS", "value": "90"}],
        "readinessProbe": {**HTTP, "periodSeconds": 3, "timeoutSeconds": 2, "initialDelaySeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 4}}},
    }
    found = read(with_(lambda one: container(one).update(sources))).faster(4)
    assert found.template.env == {"DRAIN_SECONDS": "2.5", "RETENTION_DAYS": "90"}
    policy = found.template.policy
    assert policy.readiness == Check(path="/readyz", period=0.75, timeout=0.5, delay=0.25)
    assert (policy.grace, policy.pre_stop, policy.steady, found.progress_deadline) == (7.5, 1, 150, 150)


@pytest.mark.parametrize(("overlay", "replicas"), [("overlays/staging", 1), ("overlays/production", 4)])
def test_the_overlays_can_be_played(overlay: str, replicas: int) -> None:
    found = read(kustomization(overlay))
    assert found.replicas == replicas
    assert set(found.left_out) <= PLACES
    assert float(found.template.env["DRAIN_SECONDS"]) > 0
    assert None not in (found.template.policy.startup, found.template.policy.readiness)


@pytest.mark.parametrize("of", ["staging", "production"])
def test_the_chart_is_played_as_the_overlay_is(of: str) -> None:
    assert read(chart(f"values-{of}.yaml")) == read(kustomization(f"overlays/{of}"))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_a_mutation_changes_one_thing_of_a_copy(mutation: Mutation) -> None:
    sound = kustomization("overlays/production")
    before = copy.deepcopy(sound)
    asked, mutated = read(sound), read(mutation.of(sound, replicas=4))
    assert sound == before
    assert mutated != asked
    changed = [
        name for name in ("env", "policy") if getattr(mutated.template, name) != getattr(asked.template, name)
    ]
    assert len(changed) == 1
