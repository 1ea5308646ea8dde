"""Room: the connections and the quota of each overlay are enough for all that may be there at once."""

import re

from app.settings import Settings
from tests.kube.rendered import Manifest, having
from tests.kube.test_overlays import each_overlay, overlay

CONNECTIONS = (
    Settings.model_fields["postgres_pool_size"].default + 5
)  # of a process; a worker has one more, to lead
SUPERUSER, HEADROOM = 3, 10  # connections that are not the collector's


def at_most(manifests: tuple[Manifest, ...], deployment: Manifest) -> int:
    """How many pods of a Deployment there may be, one of them on top while it rolls."""
    for scaler in having(manifests, "HorizontalPodAutoscaler"):
        if scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]:
            return int(scaler["spec"]["maxReplicas"]) + 1
    return int(deployment["spec"]["replicas"]) + 1


def busiest(manifests: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
    """The same with both slots up, where there are two."""
    most = max((each["spec"].get("replicas", 0) for each in having(manifests, "Deployment")), default=0)
    return tuple(
        {**each, "spec": {**each["spec"], "replicas": most}} if each.get("spec", {}).get("replicas") == 0 else each
        for each in manifests
    )


@each_overlay
def test_connections_are_enough_for_all_that_may_be_there_at_once(name: str) -> None:
    there = busiest(overlay(name))
    wanted = len(having(there, "Job")) * 2
    for deployment in having(there, "Deployment"):
        leads = deployment["metadata"]["name"] == "collector-worker"
        wanted += at_most(there, deployment) * (CONNECTIONS + leads)
    parameters = [each["spec"]["postgresql"]["parameters"] for each in having(there, "Cluster")]
    maximum = int(parameters[0]["max_connections"]) if parameters else 100
    print(f"{name}: {wanted} of {maximum - SUPERUSER - HEADROOM}")
    assert wanted <= maximum - SUPERUSER - HEADROOM


UNITS = {"m": 1e-3, "Mi": 2**20, "Gi": 2**30, "": 1}


def amount(quantity: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(\D*)", str(quantity)).groups()  # type: ignore[union-attr]
    return float(number) * UNITS[unit]


@each_overlay
def test_the_quota_has_room_for_a_rollout(name: str) -> None:
    """Those that leave count until they are gone: all that are replaced may be leaving at once."""
    there = busiest(overlay(name))
    used = dict.fromkeys(("pods", "requests.cpu", "requests.memory", "limits.memory"), 0.0)
    for each in there:
        if each["kind"] == "Cluster":
            pods, resources = each["spec"]["instances"] + 1, [each["spec"]["resources"]]
        elif "template" in each.get("spec", {}):
            pods = 2 * at_most(there, each) if each["kind"] == "Deployment" else 1
            resources = [one["resources"] for one in each["spec"]["template"]["spec"]["containers"]]
        else:
            continue
        used["pods"] += pods
        for resource in resources:
            used["requests.cpu"] += pods * amount(resource["requests"]["cpu"])
            used["requests.memory"] += pods * amount(resource["requests"]["memory"])
            used["limits.memory"] += pods * amount(resource["limits"]["memory"])
    (quota,) = having(there, "ResourceQuota")
    for what, most in quota["spec"]["hard"].items():
        assert used.get(what, 0) <= amount(most), f"{name}: {what}"
