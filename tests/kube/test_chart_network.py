"""The chart's network policies: nothing in or out, unless one says so."""

from typing import Any

from tests.kube.charts import CNPG, EXISTING, ROUTE, Values, rendered
from tests.kube.rendered import having


def policies(*sets: Values) -> dict[str, dict[str, Any]]:
    manifests = having(rendered({"networkPolicy.enabled": True}, *sets), "NetworkPolicy")
    return {each["metadata"]["name"].removeprefix("collector-"): each["spec"] for each in manifests}


def test_nothing_is_let_in_or_out_unless_a_policy_says_so() -> None:
    found = policies(EXISTING)
    assert not having(rendered(EXISTING), "NetworkPolicy")
    assert found["deny"].keys() == {"podSelector", "policyTypes"}
    selected = found["deny"]["podSelector"]["matchLabels"].items()
    manifests = rendered(EXISTING, {"redis.mode": "statefulset"})
    for each in having(manifests, "Deployment") + having(manifests, "StatefulSet") + having(manifests, "Job"):
        assert selected <= each["spec"]["template"]["metadata"]["labels"].items(), each["metadata"]["name"]
    assert all(spec["policyTypes"] == ["Ingress", "Egress"] for spec in found.values())


def test_there_is_a_policy_for_each_part_that_is_there() -> None:
    always = {"deny", "collector", "probe", "narrate"}
    assert policies().keys() == always
    assert policies(EXISTING).keys() == always | {"worker", "migrate"}
    assert policies(EXISTING, {"migrations.mode": "off"}).keys() == always | {"worker"}
    assert policies({"narrate.enabled": False}).keys() == always - {"narrate"}
    assert policies(CNPG, {"redis.mode": "statefulset"}).keys() == always | {
        "worker",
        "migrate",
        "redis",
        "postgres",
    }


def test_the_gateway_is_let_in_only_where_there_is_a_route() -> None:
    def namespaces(*sets: Values) -> list[str]:
        peers = policies(*sets)["collector"]["ingress"][0]["from"]
        found = [peer["namespaceSelector"]["matchLabels"] for peer in peers if "namespaceSelector" in peer]
        return [labels["kubernetes.io/metadata.name"] for labels in found]

    assert namespaces() == ["monitoring"]
    assert namespaces(ROUTE) == ["kube-system", "monitoring"]


def test_peers_of_your_own_are_added() -> None:
    clients = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}]
    databases = [{"ipBlock": {"cidr": "10.0.0.0/8"}}]
    found = policies(EXISTING, {"networkPolicy.clients": clients, "networkPolicy.databasePeers": databases})
    assert clients[0] in found["collector"]["ingress"][0]["from"]
    for name in ("collector", "worker", "migrate"):
        assert {"ports": [{"protocol": "TCP", "port": 5432}], "to": databases} in found[name]["egress"]
    assert {"ports": [{"protocol": "TCP", "port": 5432}]} in policies(EXISTING)["worker"]["egress"]


def test_only_what_reads_reaches_the_standby() -> None:
    near = [{"ipBlock": {"cidr": "10.9.0.0/16"}}]
    values = {"database.replica.host": "near", "database.replica.port": 5433, "networkPolicy.replicaPeers": near}
    found = policies(EXISTING, values)
    way = {"ports": [{"protocol": "TCP", "port": 5433}], "to": near}
    assert [name for name, spec in found.items() if way in spec.get("egress", ())] == ["collector"]
