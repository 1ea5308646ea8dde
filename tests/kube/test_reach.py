"""Reach: who may talk to whom, by the network policies of each overlay."""

from typing import Any

import pytest

from tests.kube.rendered import Manifest, having
from tests.kube.test_overlays import NAMESPACES, each_overlay, overlay

Labels = dict[str, str]

OURS = "app.kubernetes.io/name"
PART = "app.kubernetes.io/component"
COLLECTOR = {OURS: "collector", PART: "collector"}
WORKER = {OURS: "collector", PART: "worker"}
MIGRATE = {OURS: "collector", PART: "migrate"}
PROBE = {OURS: "collector", PART: "probe"}
REDIS = {OURS: "redis", PART: "spool"}
POSTGRES = {"database": "collector-postgres", "cnpg.io/cluster": "collector-postgres"}
GATEWAY = {OURS: "traefik"}
OPERATOR = {OURS: "cloudnative-pg"}
DNS = {"k8s-app": "kube-dns"}
STRANGER = {OURS: "stranger"}

HERE = ""  # the overlay's own namespace


def selects(selector: Manifest | None, labels: Labels) -> bool:
    """A label selector; none at all selects nothing, an empty one everything."""
    if selector is None:
        return False
    expressions = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


def is_peer(peer: Manifest, space: str, labels: Labels, *, within: str) -> bool:
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": space or within}):
            return False
        return selects(peer.get("podSelector", {}), labels)
    return space in (HERE, within) and selects(peer["podSelector"], labels)


def passes(policies: list[Manifest], way: str, pod: Labels, other: tuple[str, Labels], port: int) -> bool:
    """Whether `pod`, of the overlay, may get (Ingress) or send (Egress) from or to the other at that port."""
    mine = [
        each["spec"]
        for each in policies
        if way in each["spec"]["policyTypes"] and selects(each["spec"]["podSelector"], pod)
    ]
    assert mine, "every pod is under a policy"
    ends = "from" if way == "Ingress" else "to"
    within = policies[0]["metadata"]["namespace"]
    return any(
        any(each["port"] == port for each in rule["ports"])
        and (ends not in rule or any(is_peer(peer, *other, within=within) for peer in rule[ends]))
        for spec in mine
        for rule in spec.get(way.lower(), [])
    )


def reaches(name: str, sender: tuple[str, Labels], receiver: tuple[str, Labels], port: int) -> bool:
    """Whether both ends let it pass; an end in another namespace is not ours to ask."""
    policies = having(overlay(name), "NetworkPolicy")
    out = sender[0] != HERE or passes(policies, "Egress", sender[1], receiver, port)
    return out and (receiver[0] != HERE or passes(policies, "Ingress", receiver[1], sender, port))


def here(labels: Labels) -> tuple[str, Labels]:
    return (HERE, labels)


MAY: list[Any] = [
    (("kube-system", GATEWAY), here(COLLECTOR), 8080),
    (("monitoring", STRANGER), here(COLLECTOR), 8080),
    (("monitoring", STRANGER), here(WORKER), 8081),
    (here(PROBE), here(COLLECTOR), 8080),
    (here(COLLECTOR), here(POSTGRES), 5432),
    (here(WORKER), here(POSTGRES), 5432),
    (here(MIGRATE), here(POSTGRES), 5432),
    (here(COLLECTOR), here(REDIS), 6379),
    (here(WORKER), here(REDIS), 6379),
    (here(COLLECTOR), ("kube-system", DNS), 53),
    (here(REDIS), ("kube-system", DNS), 53),
]
MAY_NOT: list[Any] = [
    (here(STRANGER), here(COLLECTOR), 8080),
    (here(STRANGER), here(POSTGRES), 5432),
    (here(STRANGER), here(REDIS), 6379),
    (("team-reports", COLLECTOR), here(POSTGRES), 5432),
    (("team-reports", COLLECTOR), here(REDIS), 6379),
    (("kube-system", STRANGER), here(COLLECTOR), 8080),
    (("kube-system", GATEWAY), here(POSTGRES), 5432),
    (("kube-system", GATEWAY), here(WORKER), 8081),
    (here(PROBE), here(POSTGRES), 5432),
    (here(MIGRATE), here(REDIS), 6379),
    (here(COLLECTOR), ("elsewhere", STRANGER), 443),
    (here(REDIS), ("elsewhere", STRANGER), 443),
    (here(COLLECTOR), here(COLLECTOR), 8080),
]
CNPG_MAY: list[Any] = [
    (("cnpg-system", OPERATOR), here(POSTGRES), 8000),
    (("cnpg-system", OPERATOR), here(POSTGRES), 5432),
    (here(POSTGRES), here(POSTGRES), 5432),
    (here(POSTGRES), here(POSTGRES), 8000),
    (here(POSTGRES), ("default", STRANGER), 443),
    (here(POSTGRES), ("default", STRANGER), 6443),
    (("monitoring", STRANGER), here(POSTGRES), 9187),
]


@each_overlay
def test_who_has_to_talk_may_and_nobody_else(name: str) -> None:
    assert [each for each in MAY if not reaches(name, *each)] == []
    assert [each for each in MAY_NOT if reaches(name, *each)] == []


@pytest.mark.parametrize("name", ["production", "blue-green"])
def test_cloudnativepg_reaches_what_it_needs(name: str) -> None:
    assert [each for each in CNPG_MAY if not reaches(name, *each)] == []
    assert not reaches(name, (HERE, STRANGER), (HERE, POSTGRES), 8000)


@pytest.mark.parametrize("name", [name for name in NAMESPACES if name not in ("production", "blue-green")])
def test_a_database_of_one_pod_talks_to_nobody(name: str) -> None:
    assert not any(reaches(name, here(POSTGRES), to, port) for _, to, port in [*MAY[:9], *CNPG_MAY[4:6]])


@each_overlay
def test_every_policy_is_about_pods_that_there_are(name: str) -> None:
    there = [
        {**each["spec"]["template"]["metadata"]["labels"]}
        for each in overlay(name)
        if "template" in each.get("spec", {})
    ]
    there += [POSTGRES for _ in having(overlay(name), "Cluster")]
    there += [PROBE]  # comes and goes
    for policy in having(overlay(name), "NetworkPolicy"):
        assert any(selects(policy["spec"]["podSelector"], labels) for labels in there), policy["metadata"]["name"]
