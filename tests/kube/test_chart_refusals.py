"""What the chart refuses with a sentence, each beside the nearest that it takes."""

import pytest

from tests.kube.charts import (
    BACKUP,
    BLUE_GREEN,
    CANARY,
    CNPG,
    EXISTING,
    FROM_STORE,
    HOOKS,
    KEDA,
    REDIS,
    ROUTE,
    SCALED,
    STANDBY,
    TOKENS,
    Values,
)
from tests.kube.rendered import RenderError, chart, having

# What is refused, by which words of the sentence, and the change that makes it right.
REFUSED: dict[str, tuple[Values, str, Values]] = {
    "embedded-replicas": ({"replicas": 2}, "one file for one process", {"replicas": 1}),
    "embedded-scaled": ({"autoscaling.enabled": True}, "one file for one process", SCALED),
    "no-host": ({**EXISTING, "database.existing.host": ""}, r"needs database\.existing\.host", EXISTING),
    "no-secret": ({**EXISTING, "database.existing.secret.name": ""}, r"needs .*secret\.name", EXISTING),
    "no-store": ({**FROM_STORE, "database.existing.externalSecret.store": ""}, "store and remoteKey", FROM_STORE),
    "no-key": ({**FROM_STORE, "database.existing.externalSecret.remoteKey": ""}, "store and remote", FROM_STORE),
    "two-instances": (
        {**CNPG, "database.cnpg.instances": 2},
        "refuse every write",
        {"database.cnpg.instances": 1},
    ),
    "no-object-store": (BACKUP, "needs objectStore", {"database.cnpg.backup.objectStore": "here"}),
    "no-redis": (REDIS, r"needs redis\.existing\.url", {"redis.existing.url": "redis://r:6379/0"}),
    "two-redis": (
        {**REDIS, "redis.existing.url": "redis://r:6379/0", "redis.existing.secret.name": "redis"},
        "give one of them",
        {"redis.existing.url": ""},
    ),
    "spool-above-memory": (
        {"redis.mode": "statefulset", "settings.SPOOL_MAX_MIB": 769},
        r"SPOOL_MAX_MIB \(769\) is more than redis\.statefulset\.maxmemoryMiB \(768\)",
        {"settings.SPOOL_MAX_MIB": 768},
    ),
    "default-spool-above-memory": (
        {"redis.mode": "statefulset", "redis.statefulset.maxmemoryMiB": 511},
        r"SPOOL_MAX_MIB \(512\)",
        {"redis.statefulset.maxmemoryMiB": 512},
    ),
    "replica-of-nothing": (
        {"database.replica.host": "near"},
        r"database\.replica\.host needs a PostgreSQL",
        {"database.replica.host": ""},
    ),
    "min-above-max": ({**SCALED, "autoscaling.min": 11}, r"min \(11\) is above", {"autoscaling.min": 10}),
    "keda-alone": (
        {**KEDA, "autoscaling.enabled": False},
        r"nothing without autoscaling\.enabled",
        {"autoscaling.keda.enabled": False},
    ),
    "keda-of-nobody": (KEDA, r"needs autoscaling\.keda\.prom", {"autoscaling.keda.prometheus": "http://p:9090"}),
    # 10 + 29 + 5 seconds are below 45, 10 + 30 + 5 are not.
    "leaving-too-long": ({"leaving.gracefulSeconds": 30}, "up to 45 s", {"leaving.gracefulSeconds": 29}),
    "drain-too-long": ({"leaving.drainSeconds": 20}, "would be killed", {"leaving.drainSeconds": 19.5}),
    "grace-too-short": (
        {"leaving.terminationGracePeriodSeconds": 35},
        "terminationGracePeriodSeconds has to be above",
        {"leaving.terminationGracePeriodSeconds": 36},
    ),
    # (replicas + 1) x 10 + (1 worker + 1) x 8 + 2 for the migration, of 100 - 3 - 10: six need 88, five 78.
    "connections": ({**EXISTING, "replicas": 6}, "88 connections and PostgreSQL has 87", {"replicas": 5}),
    "connections-of-max": (
        {**SCALED, "database.connections.max": 140},
        r"128 connections and PostgreSQL has 127.*autoscaling\.max",
        {"database.connections.max": 141},
    ),
    "connections-of-cnpg": ({**CNPG, "replicas": 6}, "88 connections", {"settings.POSTGRES_POOL_SIZE": 4}),
    "connections-blue-green": (
        {**EXISTING, "replicas": 3, "database.connections.blueGreen": True},
        "116 connections",
        {"database.connections.blueGreen": False},
    ),
    "connections-headroom": (
        {**EXISTING, "replicas": 5, "database.connections.headroom": 20},
        "PostgreSQL has 77",
        {"database.connections.headroom": 19},
    ),
    "connections-of-workers": ({**EXISTING, "worker.replicas": 8}, "94 connections", {"worker.replicas": 7}),
    # KEDA may start a second worker: 126 + 8.
    "connections-of-keda": (
        {**KEDA, "autoscaling.keda.prometheus": "http://p:9090", "database.connections.max": 148},
        "136 connections and PostgreSQL has 135",
        {"database.connections.max": 149},
    ),
    # (3 + 3) x 10 + 2 x 8 + 2 need 78 of 87, (4 + 4) x 10 + 18 need 98: as many again for a while.
    "connections-of-canary": (
        {**CANARY, "replicas": 4},
        r"98 connections and PostgreSQL has 87.*delivery\.strategy canary those that serve are there twice",
        {"replicas": 3},
    ),
    "connections-of-blue-green": (
        {**BLUE_GREEN, "replicas": 4},
        "98 connections and PostgreSQL has 87.*blueGreen",
        {"database.connections.max": 111},
    ),
    # What is doubled once is not doubled again: 2 x ((2 + 1) x 10 + 18).
    "connections-doubled-by-hand": (
        {**BLUE_GREEN, "replicas": 3, "database.connections.blueGreen": True},
        "116 connections",
        {"replicas": 1},
    ),
    "connections-of-scaled-canary": (
        {**CANARY, **SCALED},
        r"218 connections and PostgreSQL has 187.*autoscaling\.max",
        {"database.connections.max": 231},
    ),
    "canary-embedded": (
        {**CANARY, "database.mode": "embedded"},
        "two versions beside each other",
        {"database.mode": "existing"},
    ),
    "blue-green-embedded": (
        {"delivery.strategy": "blueGreen"},
        "two versions beside each other",
        EXISTING,
    ),
    "canary-without-route": ({**CANARY, "gateway.enabled": False}, r"needs gateway\.enabled", ROUTE),
    "canary-judged-by-nobody": (
        {**CANARY, "delivery.analysis.prometheus": ""},
        r"needs delivery\.analysis\.prometheus",
        {"delivery.strategy": "blueGreen"},
    ),
    "canary-goes-back": (
        {**CANARY, "delivery.canary.weights": [5, 50, 25]},
        r"\(5, 50, 25\) have to rise",
        {"delivery.canary.weights": [5, 25, 50]},
    ),
    "probe-without-token": (
        {**BLUE_GREEN, **TOKENS, "gateway.anonymous": False},
        r"test\.secret\.name",
        {"test.secret.name": "probe"},
    ),
    "standby-of-no-server": ({"database.standby.of": "first"}, "needs database.mode existing", STANDBY),
    "standby-that-is-written-to": (
        {**STANDBY, "database.mode": "cnpg"},
        "promote it",
        {"database.standby.follows": False},
    ),
    "standby-without-certificate": ({**STANDBY, "database.standby.secret.name": ""}, "proves itself by", STANDBY),
    "hook-before-database": (
        {**CNPG, "migrations.mode": "helmHook"},
        "take job or argo",
        {"migrations.mode": "job"},
    ),
    "hook-before-secret": (
        {**FROM_STORE, "migrations.mode": "helmHook"},
        "take job or argoSync",
        {"migrations.mode": "argoSync"},
    ),
    "public-route": ({**ROUTE, "gateway.anonymous": False}, r"asks nobody for a token", ROUTE),
    "public-webhooks": ({**ROUTE, **HOOKS, "gateway.anonymous": False}, r"tokens\.secret\.name", TOKENS),
    "tokens-and-anonymous": ({**ROUTE, **TOKENS}, "cannot both be so", {"gateway.anonymous": False}),
    "route-of-no-gateway": ({**ROUTE, "gateway.name": ""}, r"needs gateway\.name", ROUTE),
}


@pytest.mark.parametrize(("wrong", "sentence", "change"), REFUSED.values(), ids=REFUSED)
def test_what_would_lose_events_or_never_run_is_refused(wrong: Values, sentence: str, change: Values) -> None:
    with pytest.raises(RenderError, match=sentence):
        chart(set=wrong)

    assert having(chart(set={**wrong, **change}), "Deployment")
