"""Reach: who may open a connection to whom, as a cluster decides it from the NetworkPolicies of a rendering."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from tests.kube.pods import pods
from tests.kube.rendered import Manifest, having

NAME = "kubernetes.io/metadata.name"


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """A pod with its labels and named ports, or an address outside of the cluster."""

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    address: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """Who opens it, to whom, on which port."""

    source: Peer
    target: Peer
    port: int
    protocol: str = "TCP"


def peers(manifests: Iterable[Manifest], namespace: str) -> dict[str, Peer]:
    """Find the pods of a rendering: by their component, and `database` for PostgreSQL's."""
    manifests = list(manifests)
    found = {}
    for pod in pods(manifests):
        labels = pod.metadata.get("labels") or {}
        named = {
            port["name"]: port["containerPort"] for each in pod.containers for port in each.get("ports") or []
        }
        role = "database" if "postgres" in pod.owner else labels["app.kubernetes.io/component"]
        found[role] = Peer(namespace=namespace, labels=labels, ports=named)
    for cluster in having(manifests, "Cluster"):
        inherited = (cluster["spec"].get("inheritedMetadata") or {}).get("labels") or {}
        labels = {"cnpg.io/cluster": cluster["metadata"]["name"], **inherited}
        found["database"] = Peer(namespace=namespace, labels=labels)
    return found


def may(connection: Connection, manifests: Iterable[Manifest]) -> bool:
    """Tell whether the source's way out and the target's way in are both open by these policies."""
    policies = having(manifests, "NetworkPolicy")
    out = _open(policies, "Egress", connection.source, connection.target, connection)
    return out and _open(policies, "Ingress", connection.target, connection.source, connection)


def _open(policies: list[Manifest], way: str, one: Peer, other: Peer, connection: Connection) -> bool:
    mine = [policy["spec"] for policy in policies if _governs(policy, way, one)]
    word = {"Egress": "to", "Ingress": "from"}[way]
    rules = [rule for spec in mine for rule in spec.get(way.lower()) or []]
    # Whom no policy governs, nobody has isolated.
    return not mine or any(
        _on_port(rule.get("ports"), connection) and _among(rule.get(word), one.namespace, other) for rule in rules
    )


def _governs(policy: Manifest, way: str, peer: Peer) -> bool:
    spec = policy["spec"]
    ways = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
    here = policy["metadata"].get("namespace", peer.namespace) == peer.namespace
    return way in ways and here and peer.address is None and _selected(spec.get("podSelector") or {}, peer.labels)


def _on_port(ports: list[dict[str, Any]] | None, connection: Connection) -> bool:
    if not ports:
        return True
    for each in ports:
        wanted = each.get("port", connection.port)
        number = connection.target.ports.get(wanted, -1) if isinstance(wanted, str) else wanted
        same = each.get("protocol", "TCP") == connection.protocol
        if same and number <= connection.port <= each.get("endPort", number):
            return True
    return False


def _among(allowed: list[dict[str, Any]] | None, namespace: str, other: Peer) -> bool:
    return not allowed or any(_is(each, namespace, other) for each in allowed)


def _is(allowed: dict[str, Any], namespace: str, other: Peer) -> bool:
    if "ipBlock" in allowed or other.address is not None:
        return _within(allowed.get("ipBlock"), other.address)
    if "namespaceSelector" in allowed:
        near = _selected(allowed["namespaceSelector"] or {}, {NAME: other.namespace})
    else:
        near = other.namespace == namespace
    return near and _selected(allowed.get("podSelector") or {}, other.labels)


def _within(block: dict[str, Any] | None, address: str | None) -> bool:
    if block is None or address is None:
        return False
    blocks = [ip_network(each) for each in (block["cidr"], *block.get("except", []))]
    inside, *without = (ip_address(address) in each for each in blocks)
    return inside and not any(without)


def _selected(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    exact = (selector.get("matchLabels") or {}).items() <= dict(labels).items()
    return exact and all(_holds(each, labels) for each in selector.get("matchExpressions") or [])


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[expression["operator"]]
