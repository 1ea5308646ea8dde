"""The second region: its standby follows the first region's database, and is promoted by what git says."""

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.argocd.applications import HERE, Checkout, environments, rendered
from tests.kube.reach import Connection, Peer, may, peers
from tests.kube.rendered import Manifest, RenderError, having, one
from tests.kube.tools import ROOT

NAMESPACE = "collector-production"
POSTGRES, MANAGER = 5432, 8000
OVERRIDE = "argocd/overrides/us/production.yaml"
ELSEWHERE = Peer(address="10.1.2.3")  # in the private network between the regions
INTERNET = Peer(address="203.0.113.9")
AGENT = Peer(address="169.254.170.23")  # of EKS, on each node
OPERATOR = Peer(namespace="cnpg-system", labels={"app.kubernetes.io/name": "cloudnative-pg"})
# What a promotion changes in a region, as docs/regions.md says.
FOLLOWS, PROMOTED = "follows: true ", "follows: false "
REPOINTED = {
    FOLLOWS: PROMOTED,
    "mode: existing": "mode: cnpg",
    "  replica: {host: collector-postgres-rw}": "",
    'migrations: {mode: "off", waves: true}': "",
}


def production(cluster: str, checkout: Checkout = HERE) -> list[Manifest]:
    made = one(environments(cluster, checkout), "Application", f"production-{cluster}")
    assert made["spec"]["destination"]["namespace"] == NAMESPACE
    return rendered(checkout, made)


def database(manifests: list[Manifest]) -> dict[str, Any]:
    return dict(one(manifests, "Cluster", "collector-postgres")["spec"])


def settings(manifests: list[Manifest]) -> dict[str, str]:
    return dict(one(manifests, "ConfigMap", "collector")["data"])


def changed(copy: Checkout, file: str, words: dict[str, str]) -> Checkout:
    path = copy.path / file
    text = path.read_text()
    for before, after in words.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    path.write_text(text)
    return copy


def test_the_standby_follows_the_first_regions_database() -> None:
    source, standby = database(production("eu")), database(production("us"))
    assert "replica" not in source
    assert standby["replica"] == {"enabled": True, "source": "source"}
    assert standby["bootstrap"]["pg_basebackup"]["source"] == "source"
    (followed,) = standby["externalClusters"]
    assert followed["name"] == "source"
    assert followed["connectionParameters"]["user"] == "streaming_replica"
    assert followed["connectionParameters"]["sslmode"] == "verify-full"
    # A standby replays only what it could have been itself.
    assert standby["imageName"] == source["imageName"]
    assert standby["postgresql"]["parameters"] == source["postgresql"]["parameters"]


def test_the_first_region_is_published_by_the_name_that_is_asked_for() -> None:
    source, standby = database(production("eu")), database(production("us"))
    names = source["certificates"]["serverAltDNSNames"]
    assert [standby["externalClusters"][0]["connectionParameters"]["host"]] == names
    assert f"@{names[0]}:5432/" in settings(production("us"))["POSTGRES_CONNECTION_STRING"]
    (service,) = source["managed"]["services"]["additional"]
    assert service["selectorType"] == "rw"
    assert service["serviceTemplate"]["spec"]["type"] == "LoadBalancer"


def test_the_source_does_not_take_the_standby_for_one_of_its_own() -> None:
    """By the name of an instance it would count as one that a commit has to be on."""
    name = database(production("us"))["externalClusters"][0]["connectionParameters"]["application_name"]
    assert not name.startswith("collector-postgres")


def test_what_the_standby_proves_itself_by_comes_from_the_store() -> None:
    made = production("us")
    standby = database(made)
    asked = {standby["externalClusters"][0][each]["name"] for each in ("sslKey", "sslCert", "sslRootCert")}
    asked.add(standby["bootstrap"]["pg_basebackup"]["secret"]["name"])
    assert asked == {"collector-standby", "collector-postgres"}
    assert asked <= {each["spec"]["target"]["name"] for each in having(made, "ExternalSecret")}
    assert not having(made, "Secret")


def test_reads_are_near_and_the_rest_goes_far() -> None:
    made = production("us")
    assert "@collector-postgres-rw:5432/" in settings(made)["POSTGRES_REPLICA_CONNECTION_STRING"]
    assert settings(made)["REDIS_URL"] == "redis://collector-redis:6379/0"
    assert one(made, "HTTPRoute", "collector")["spec"]["hostnames"] == ["us.collector.example.com"]


@pytest.mark.parametrize(
    ("source", "target", "port", "open_"),
    [
        *((each, "database", POSTGRES, True) for each in ("collector", "database", OPERATOR)),
        *((each, "database", MANAGER, True) for each in ("database", OPERATOR)),
        *((each, ELSEWHERE, POSTGRES, True) for each in ("collector", "worker", "database")),
        *((each, INTERNET, POSTGRES, False) for each in ("collector", "worker", "database")),
        *((each, "database", POSTGRES, False) for each in ("probe", "spool", ELSEWHERE, INTERNET)),
        *((each, "database", MANAGER, False) for each in ("collector", "probe")),
    ],
)
def test_who_reaches_what_in_the_second_region(
    source: str | Peer, target: str | Peer, port: int, open_: bool
) -> None:
    made = production("us")
    there = peers(made, NAMESPACE)
    begins, ends = (there[each] if isinstance(each, str) else each for each in (source, target))
    assert may(Connection(source=begins, target=ends, port=port), made) is open_


@pytest.mark.parametrize(("source", "open_"), [(ELSEWHERE, True), (INTERNET, False)])
def test_the_other_region_reaches_the_first_regions_database(source: Peer, open_: bool) -> None:
    made = production("eu")
    connection = Connection(source=source, target=peers(made, NAMESPACE)["database"], port=POSTGRES)
    assert may(connection, made) is open_
    assert not may(replace(connection, port=MANAGER), made)


def test_one_server_has_connections_for_both_regions(copy: Checkout) -> None:
    regions = ("eu", "us")
    (allowed,) = {database(production(name))["postgresql"]["parameters"]["max_connections"] for name in regions}
    changed(copy, "argocd/envs/production.yaml", {f"max: {allowed}": "max: 20"})
    needed = 0
    for name in regions:
        with pytest.raises(RenderError) as refused:
            production(name, copy)
        (each,) = re.findall(r"may hold (\d+) connections", str(refused.value))
        needed += int(each)
    reserved, headroom = 3, 10  # PostgreSQL's for its superuser, and the chart's own for people
    assert needed + reserved + headroom <= int(allowed)


def test_backups_use_the_keys_that_there_are_or_a_role() -> None:
    def credentials(cluster: str) -> Any:
        store = one(production(cluster), "ObjectStore", "collector-postgres")
        return store["spec"]["configuration"]["s3Credentials"]

    assert credentials("us") == {"inheritFromIAMRole": True}
    assert {each["name"] for each in credentials("eu").values()} == {"collector-backup"}
    # The role is bound to a service account, which CloudNativePG calls as the cluster.
    bound = f'{{ namespace = "{NAMESPACE}", service_account = "collector-postgres" }}'
    assert bound in (ROOT / "terraform/eks/variables.tf").read_text()
    made = production("us")
    agent = Connection(source=peers(made, NAMESPACE)["database"], target=AGENT, port=80)
    assert may(agent, made)
    assert not may(agent, having(production("eu"), "NetworkPolicy"))


def test_it_is_promoted_by_one_value(copy: Checkout) -> None:
    before = production("us")
    after = production("us", changed(copy, OVERRIDE, {FOLLOWS: PROMOTED}))
    other = [each for each in after if each not in before]
    assert [(each["kind"], each["spec"]["replica"]["enabled"]) for each in other] == [("Cluster", False)]


def test_what_was_promoted_is_written_to(copy: Checkout) -> None:
    made = production("us", changed(copy, OVERRIDE, REPOINTED))
    assert "@collector-postgres-rw:5432/" in settings(made)["POSTGRES_CONNECTION_STRING"]
    assert "POSTGRES_REPLICA_CONNECTION_STRING" not in settings(made)
    assert any("-migrate-" in each["metadata"]["name"] for each in having(made, "Job"))
    # Its user has the password of before: the operator sets the one that is in this Secret.
    volumes = one(made, "Rollout", "collector")["spec"]["template"]["spec"]["volumes"]
    assert "collector-postgres" in {each["secret"]["secretName"] for each in volumes if "secret" in each}


def test_a_standby_is_not_written_to(copy: Checkout) -> None:
    with pytest.raises(RenderError, match="promote it"):
        production("us", changed(copy, OVERRIDE, {"mode: existing": "mode: cnpg"}))
