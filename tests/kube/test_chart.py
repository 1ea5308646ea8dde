"""What is in the chart: each value puts in, leaves out and changes what it says."""

from typing import Any

import pytest

from tests.kube.charts import (
    BY_KEDA,
    CNPG,
    EXISTING,
    FROM_STORE,
    REDIS,
    SCALED,
    migration,
    names,
    pod,
    rendered,
    settings,
)
from tests.kube.rendered import chart, having, one


def test_without_values_it_is_one_process_on_a_volume() -> None:
    manifests = rendered()
    assert names(manifests) == {
        "ServiceAccount/collector", "ConfigMap/collector", "PersistentVolumeClaim/collector-data",
        "Service/collector", "Deployment/collector", "PodDisruptionBudget/collector",
        "Job/collector-test", "Job/collector-narrate",
    }  # fmt: skip
    spec = one(manifests, "Deployment", "collector")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    volumes = {volume["name"]: volume for volume in spec["template"]["spec"]["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == "collector-data"
    assert {"name": "data", "mountPath": "/data"} in spec["template"]["spec"]["containers"][0]["volumeMounts"]
    assert not {"POSTGRES_CONNECTION_STRING", "REDIS_URL"} & settings(manifests).keys()


def test_postgres_brings_a_worker_and_a_migration_and_takes_the_volume_away() -> None:
    manifests = rendered(EXISTING)
    more, fewer = names(manifests) - names(rendered()), names(rendered()) - names(manifests)
    assert more == {
        "ServiceAccount/collector-worker",
        "Deployment/collector-worker",
        f"Job/{migration(manifests)['metadata']['name']}",
    }
    assert fewer == {"PersistentVolumeClaim/collector-data"}
    spec = one(manifests, "Deployment", "collector")["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert {volume["name"] for volume in spec["template"]["spec"]["volumes"]} == {"tmp", "database"}


def test_what_holds_events_outlives_the_release() -> None:
    for values, kind, name in (
        ({}, "PersistentVolumeClaim", "collector-data"),
        (CNPG, "Cluster", "collector-postgres"),
    ):
        annotations = one(rendered(values), kind, name)["metadata"]["annotations"]
        assert annotations["helm.sh/resource-policy"] == "keep"
        assert annotations["argocd.argoproj.io/sync-options"] == "Prune=false,Delete=false"


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ({}, set()),
        (SCALED, {"HorizontalPodAutoscaler/collector"}),
        (BY_KEDA, {"ScaledObject/collector", "ScaledObject/collector-worker"}),
    ],
    ids=["fixed", "hpa", "keda"],
)
def test_replicas_are_left_out_wherever_something_else_decides_them(
    values: dict[str, Any], kinds: set[str]
) -> None:
    manifests = rendered(EXISTING, {"replicas": 3}, values)
    scalers = {
        name for name in names(manifests) if name.partition("/")[0] in ("HorizontalPodAutoscaler", "ScaledObject")
    }
    assert scalers == kinds
    scaled = {name.partition("/")[2] for name in kinds}
    for name, replicas in (("collector", 3), ("collector-worker", 1)):
        spec = one(manifests, "Deployment", name)["spec"]
        assert spec.get("replicas") == (None if name in scaled else replicas)


def test_the_autoscaler_goes_up_at_once_and_down_slowly() -> None:
    spec = one(rendered(SCALED), "HorizontalPodAutoscaler", "collector")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (4, 10)
    assert spec["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    assert spec["behavior"] == {
        "scaleUp": {"stabilizationWindowSeconds": 0},
        "scaleDown": {
            "stabilizationWindowSeconds": 300,
            "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
        },
    }


def test_keda_asks_for_this_release_alone_and_falls_back_without_prometheus() -> None:
    for name in ("collector", "collector-worker"):
        spec = one(rendered(BY_KEDA, namespace="shop"), "ScaledObject", name)["spec"]
        assert spec["fallback"]["replicas"] == spec["minReplicaCount"]
        queries = [trigger["metadata"]["query"] for trigger in spec["triggers"] if trigger["type"] == "prometheus"]
        assert len(queries) == 1
        assert 'namespace="shop"' in queries[0]


def test_every_pod_runs_where_the_values_say_and_leaves_a_dead_node_soon_if_it_can_start_elsewhere() -> None:
    where = {"nodeSelector": {"disk": "fast"}, "priorityClassName": "high", "tolerations": [{"key": "spot"}]}
    manifests = rendered(EXISTING, {"redis.mode": "statefulset"}, where)
    for each in (each for kind in ("Deployment", "StatefulSet", "Job") for each in having(manifests, kind)):
        spec = each["spec"]["template"]["spec"]
        assert (spec["nodeSelector"], spec["priorityClassName"]) == ({"disk": "fast"}, "high")
        soon = {one["key"]: one["tolerationSeconds"] for one in spec["tolerations"] if "tolerationSeconds" in one}
        gone = {f"node.kubernetes.io/{what}": 30 for what in ("not-ready", "unreachable")}
        assert soon == (gone if each["kind"] == "Deployment" else {}), each["metadata"]["name"]
        assert spec["tolerations"][-1] == {"key": "spot"}


def test_the_password_comes_from_where_the_database_has_it() -> None:
    own = {**EXISTING, "database.existing.secret.key": "pw", "database.existing.secret.caKey": "ca"}
    for values, name, items in (
        (CNPG, "collector-postgres-app", [{"key": "password", "path": "password"}]),
        (own, "postgres", [{"key": "pw", "path": "password"}, {"key": "ca", "path": "ca.crt"}]),
    ):
        manifests = rendered(values)
        for each in (
            pod(manifests),
            pod(manifests, name="collector-worker"),
            migration(manifests)["spec"]["template"]["spec"],
        ):
            secrets = [volume["secret"] for volume in each["volumes"] if "secret" in volume]
            assert [(secret["secretName"], secret["items"]) for secret in secrets] == [(name, items)]
        assert not having(manifests, "Secret")
    assert (
        settings(rendered(CNPG))["POSTGRES_CONNECTION_STRING"]
        == "postgres://collector@collector-postgres-rw:5432/collector"
    )


def test_an_external_secret_makes_the_secret_that_is_mounted() -> None:
    manifests = rendered(FROM_STORE, {"database.existing.secret.key": "pw"})
    (made,) = having(manifests, "ExternalSecret")
    mounted = [volume["secret"] for volume in pod(manifests)["volumes"] if "secret" in volume]
    assert made["apiVersion"] == "external-secrets.io/v1"
    assert made["spec"]["target"]["name"] == mounted[0]["secretName"]
    assert made["spec"]["data"][0]["secretKey"] == mounted[0]["items"][0]["key"]


def test_cloudnativepg_has_two_copies_of_a_commit_and_the_connections_of_the_budget() -> None:
    budget = {"database.connections.max": 123}
    spec = one(rendered(CNPG, budget), "Cluster", "collector-postgres")["spec"]
    assert spec["postgresql"]["parameters"]["max_connections"] == "123"
    assert spec["postgresql"]["synchronous"] == {
        "method": "any", "number": 1, "dataDurability": "required", "failoverQuorum": True,
    }  # fmt: skip
    single = one(rendered(CNPG, {"database.cnpg.instances": 1}), "Cluster", "collector-postgres")["spec"]
    assert "synchronous" not in single["postgresql"]


def test_backups_are_scheduled_where_they_are_wanted() -> None:
    assert not having(rendered(CNPG), "ScheduledBackup")
    backup = {"database.cnpg.backup.enabled": True, "database.cnpg.backup.objectStore": "store"}
    manifests = rendered(CNPG, backup)
    (plugin,) = one(manifests, "Cluster", "collector-postgres")["spec"]["plugins"]
    assert plugin["parameters"] == {"barmanObjectName": "store"}
    assert (
        one(manifests, "ScheduledBackup", "collector-postgres")["spec"]["cluster"]["name"] == "collector-postgres"
    )


def test_redis_is_its_own_another_one_or_none() -> None:
    own = rendered({"redis.mode": "statefulset"})
    container = pod(own, "StatefulSet", "collector-redis")["containers"][0]
    words = container["args"]
    told = {word: words[place + 1] for place, word in enumerate(words) if word.startswith("--")}
    assert told == {
        "--appendonly": "yes", "--appendfsync": "always", "--save": "",
        "--maxmemory": "768mb", "--maxmemory-policy": "noeviction",
    }  # fmt: skip
    assert settings(own)["REDIS_URL"] == "redis://collector-redis:6379/0"
    other = rendered(REDIS, {"redis.existing.url": "rediss://r:6379/0"})
    assert settings(other)["REDIS_URL"] == "rediss://r:6379/0"
    secret = rendered(REDIS, {"redis.existing.secret.name": "redis"})
    assert settings(secret)["REDIS_URL_FILE"] == "/run/secrets/redis/url"
    assert "REDIS_URL" not in settings(secret)
    assert {"name": "redis", "mountPath": "/run/secrets/redis", "readOnly": True} in pod(secret)["containers"][0][
        "volumeMounts"
    ]
    assert not having(other + secret, "StatefulSet")


@pytest.mark.parametrize(("file", "least"), [("values-staging.yaml", 1), ("values-production.yaml", 4)])
def test_a_file_of_values_renders_with_its_number_of_processes(file: str, least: int) -> None:
    manifests = chart(file, namespace="collector-staging")
    spec = one(manifests, "Deployment", "collector")["spec"]
    scalers = having(manifests, "HorizontalPodAutoscaler")
    assert [each["spec"]["minReplicas"] for each in scalers] == ([] if "replicas" in spec else [least])
    assert spec.get("replicas", least) == least
    assert having(manifests, "NetworkPolicy")
    assert one(manifests, "StatefulSet", "collector-redis")


def test_two_releases_of_one_namespace_do_not_meet() -> None:
    def selectors(release: str) -> dict[str, Any]:
        found = rendered(EXISTING, {"redis.mode": "statefulset"}, release=release)
        return {
            f"{each['kind']}/{each['metadata']['name']}": each["spec"]["selector"]
            for each in found
            if "selector" in each.get("spec", {})
        }

    shop, bank = selectors("shop"), selectors("bank")
    assert not shop.keys() & bank.keys()
    assert all("bank" in str(selector) for selector in bank.values())
