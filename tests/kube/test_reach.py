"""The network policies let through what is needed and nothing else, in every overlay as in the chart."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from tests.kube.reach import Connection, Peer, may, peers
from tests.kube.rendered import Manifest, chart, having, kustomization

NAMESPACE = "collector"  # which one it is does not matter
OWN = {"app.kubernetes.io/name": "collector", "app.kubernetes.io/instance": "collector"}
OURS = ("collector", "worker", "migrate", "spool", "database", "probe", "narrate")
# Those of a platform that the manifests name, and those that must not come in.
OTHERS = {
    "gateway": Peer(namespace="kube-system", labels={"app.kubernetes.io/name": "traefik"}),
    "prometheus": Peer(namespace="monitoring", labels={"app.kubernetes.io/name": "prometheus"}),
    "operator": Peer(namespace="cnpg-system", labels={"app.kubernetes.io/name": "cloudnative-pg"}),
    "dns": Peer(namespace="kube-system", labels={"k8s-app": "kube-dns"}),
    "another team": Peer(namespace="team-reports", labels=OWN),
    "a neighbour": Peer(namespace=NAMESPACE, labels={"app.kubernetes.io/name": "batch"}),
    "outside": Peer(address="203.0.113.7"),
}
PORTS = (22, 443, 5432, 6379, 6443, 8000, 8080, 8081, 9187)
Way = tuple[str, str, int]
NEEDED: set[Way] = {
    *((source, "collector", 8080) for source in ("gateway", "prometheus", "probe")),
    ("prometheus", "worker", 8081),
    *((source, "spool", 6379) for source in ("collector", "worker")),
    *((source, "database", 5432) for source in ("collector", "worker", "migrate")),
}
NEEDED_BY_CLOUDNATIVEPG: set[Way] = {
    *((source, "database", port) for source in ("database", "operator") for port in (5432, 8000)),
    ("prometheus", "database", 9187),
    # The API server and the bucket, which have no labels, and addresses that change.
    *(("database", target, port) for target in OTHERS for port in (443, 6443)),
}
OVERLAYS = ("staging", "production", "blue-green", "k3d")
UNSEEN = ("dns", "default-deny", "collector-deny")  # they are about ports and pods that are not among these
# By its values for production; the other one has all that may ask the collector besides.
CHART: Mapping[str, Mapping[str, Any]] = {
    "chart": {},
    "chart, canary": {
        "delivery.strategy": "canary",
        "delivery.analysis.prometheus": "http://prometheus.monitoring:9090",
        "database.connections.max": 300,
        "narrate.secret.name": "collector-narrator",
    },
}
each_rendering = pytest.mark.parametrize("name", [*OVERLAYS, *CHART])


@cache
def rendered(name: str) -> list[Manifest]:
    of_chart = name in CHART
    found = chart("values-production.yaml", set=CHART[name]) if of_chart else kustomization(f"overlays/{name}")
    return [{**each, "metadata": {**each["metadata"], "namespace": NAMESPACE}} for each in found]


@cache
def everybody(name: str) -> Mapping[str, Peer]:
    probe = Peer(namespace=NAMESPACE, labels={**OWN, "app.kubernetes.io/component": "probe"})
    return {**OTHERS, "probe": probe, **peers(rendered(name), NAMESPACE)}


def opened(name: str, policies: list[Manifest]) -> set[Way]:
    known = everybody(name)
    return {
        (source, target, port)
        for source in known
        for target in known
        for port in PORTS
        if (source in OURS or target in OURS)
        and may(Connection(source=known[source], target=known[target], port=port), policies)
    }


@each_rendering
def test_what_is_needed_is_open_and_nothing_else(name: str) -> None:
    needed = NEEDED | (NEEDED_BY_CLOUDNATIVEPG if having(rendered(name), "Cluster") else set())
    if "narrate" in everybody(name):
        needed = needed | {("narrate", "collector", 8080)}
    if name in OVERLAYS:  # the namespace is theirs: nobody else in it is reached
        needed = {way for way in needed if way[1] != "a neighbour"}
    found = opened(name, rendered(name))
    assert (found - needed, needed - found) == (set(), set()), "open for nothing, and shut"


@each_rendering
def test_names_can_be_looked_up(name: str) -> None:
    known = everybody(name)
    for source in (each for each in OURS if each in known and each != "spool"):  # which looks for nobody
        for protocol in ("UDP", "TCP"):
            lookup = Connection(source=known[source], target=known["dns"], port=53, protocol=protocol)
            assert may(lookup, rendered(name)), (source, protocol)


@pytest.mark.parametrize("name", OVERLAYS)
def test_nobody_else_in_the_namespace_is_reached_or_reaches(name: str) -> None:
    known = everybody(name)
    without = [each for each in rendered(name) if each["metadata"]["name"] != "default-deny"]
    inward = Connection(source=known["gateway"], target=known["a neighbour"], port=8080)
    outward = Connection(source=known["a neighbour"], target=known["outside"], port=443)

    assert not may(inward, rendered(name))
    assert not may(outward, rendered(name))
    assert may(inward, without)


@each_rendering
def test_a_policy_less_is_noticed(name: str) -> None:
    policies = having(rendered(name), "NetworkPolicy")
    found = opened(name, policies)
    for policy in (each for each in policies if each["metadata"]["name"] not in UNSEEN):
        rest = [each for each in policies if each is not policy]
        assert opened(name, rest) != found, policy["metadata"]["name"]
