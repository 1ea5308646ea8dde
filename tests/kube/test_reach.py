"""The NetworkPolicies let through what is needed and nothing else, in the overlays as in the chart."""

from collections.abc import Iterable, Mapping
from functools import cache

import pytest

from tests.kube.reach import Connection, Peer, may, peers
from tests.kube.rendered import Manifest, chart, having, kustomization

NAMESPACE = "collector-production"
OWN = {"app.kubernetes.io/name": "collector", "app.kubernetes.io/instance": "collector"}
OURS = ("collector", "worker", "migrate", "spool", "database", "probe")
# Those of a platform that the manifests name, and those that must not come in.
OTHERS = {
    "gateway": Peer(namespace="kube-system", labels={"app.kubernetes.io/name": "traefik"}),
    "prometheus": Peer(namespace="monitoring", labels={"app.kubernetes.io/name": "prometheus"}),
    "operator": Peer(namespace="cnpg-system", labels={"app.kubernetes.io/name": "cloudnative-pg"}),
    "dns": Peer(namespace="kube-system", labels={"k8s-app": "kube-dns"}),
    "another team": Peer(namespace="collector-staging", labels=OWN),
    "a neighbour": Peer(namespace=NAMESPACE, labels={"app.kubernetes.io/name": "batch"}),
    "outside": Peer(address="203.0.113.7"),
}
PORTS = (22, 443, 5432, 6379, 6443, 8000, 8080, 8081, 9187)
NEEDED = {
    *((source, "collector", 8080) for source in ("gateway", "prometheus", "probe")),
    ("prometheus", "worker", 8081),
    *((source, "spool", 6379) for source in ("collector", "worker")),
    *((source, "database", 5432) for source in ("collector", "worker", "migrate", "database", "operator")),
    *((source, "database", 8000) for source in ("database", "operator")),
    ("prometheus", "database", 9187),
    # The API server and the bucket, which have no labels, and addresses that change.
    *(("database", target, port) for target in OTHERS for port in (443, 6443)),
}
UNSEEN = ("dns", "default-deny", "collector-deny")
Way = tuple[str, str, int]


@cache
def production(way: str) -> list[Manifest]:
    if way == "overlay":
        return kustomization("overlays/production")
    return chart("values-production.yaml", namespace=NAMESPACE)


def everybody(manifests: Iterable[Manifest]) -> Mapping[str, Peer]:
    probe = Peer(namespace=NAMESPACE, labels={**OWN, "app.kubernetes.io/component": "probe"})
    return {**OTHERS, "probe": probe, **peers(manifests, NAMESPACE)}


def opened(manifests: list[Manifest], policies: list[Manifest]) -> set[Way]:
    known = everybody(manifests)
    return {
        (source, target, port)
        for source in known
        for target in known
        for port in PORTS
        if (source in OURS or target in OURS)
        and may(Connection(source=known[source], target=known[target], port=port), policies)
    }


@pytest.mark.parametrize("way", ["overlay", "chart"])
def test_what_is_needed_is_open_and_nothing_else(way: str) -> None:
    found = opened(production(way), production(way))
    # A namespace that denies by default has nobody in it who may be reached.
    needed = {each for each in NEEDED if way == "chart" or each[1] != "a neighbour"}
    assert (found - needed, needed - found) == (set(), set()), "open for nothing, and shut"


@pytest.mark.parametrize("way", ["overlay", "chart"])
def test_names_can_be_looked_up(way: str) -> None:
    known = everybody(production(way))
    for source in (each for each in OURS if each != "spool"):  # it looks for nobody
        for protocol in ("UDP", "TCP"):
            lookup = Connection(source=known[source], target=known["dns"], port=53, protocol=protocol)
            assert may(lookup, production(way)), (source, protocol)


def test_nobody_else_in_the_namespace_is_reached_or_reaches() -> None:
    known = everybody(production("overlay"))
    without = [each for each in production("overlay") if each["metadata"]["name"] != "default-deny"]
    inward = Connection(source=known["gateway"], target=known["a neighbour"], port=8080)
    outward = Connection(source=known["a neighbour"], target=known["outside"], port=443)

    assert not may(inward, production("overlay"))
    assert not may(outward, production("overlay"))
    assert may(inward, without)


@pytest.mark.parametrize("way", ["overlay", "chart"])
def test_a_policy_less_is_noticed(way: str) -> None:
    policies = having(production(way), "NetworkPolicy")
    found = opened(production(way), policies)
    # Those are about pods and ports that are not among these.
    for policy in (each for each in policies if each["metadata"]["name"] not in UNSEEN):
        rest = [each for each in policies if each is not policy]
        assert opened(production(way), rest) != found, policy["metadata"]["name"]
