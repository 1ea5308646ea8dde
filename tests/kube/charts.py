"""The chart in tests: values that turn something on, and what they render to."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

import yaml

from tests.kube.rendered import CHART, Manifest, chart, having, one

Values = Mapping[str, Any]

DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
ABOUT = yaml.safe_load((CHART / "Chart.yaml").read_text())

EXISTING = {
    "database.mode": "existing",
    "database.existing.host": "postgres.example.com",
    "database.existing.secret.name": "postgres",
}
FROM_STORE = {
    **EXISTING,
    "database.existing.externalSecret.enabled": True,
    "database.existing.externalSecret.store": "vault",
    "database.existing.externalSecret.remoteKey": "collector",
}
CNPG = {"database.mode": "cnpg"}
BACKUP = {**CNPG, "database.cnpg.backup.enabled": True}
STANDBY = {**EXISTING, "database.standby.of": "first", "database.standby.secret.name": "collector-standby"}
SCALED = {**EXISTING, "autoscaling.enabled": True, "database.connections.max": 200}
KEDA = {**SCALED, "autoscaling.keda.enabled": True}
ROUTE = {"gateway.enabled": True, "gateway.anonymous": True, "gateway.name": "shared"}
CANARY = {
    **EXISTING,
    **ROUTE,
    "delivery.strategy": "canary",
    "delivery.analysis.prometheus": "http://prometheus:9090",
}
BLUE_GREEN = {**EXISTING, **ROUTE, "delivery.strategy": "blueGreen"}
TOKENS = {"tokens.secret.name": "collector-tokens"}
HOOKS = {"hooks.secret.name": "collector-hooks"}
REDIS = {"redis.mode": "existing"}
BY_KEDA = {**KEDA, "autoscaling.keda.prometheus": "http://prometheus:9090"}
WATCHED = {f"monitoring.{what}.enabled": True for what in ("serviceMonitor", "rules", "dashboard")}
DIGEST = "sha256:" + "a" * 64
MIGRATED = f"collector-migrate-{ABOUT['version'].replace('.', '-')}-"


def rendered(*sets: Values, release: str = "collector", namespace: str = "collector") -> list[Manifest]:
    """Render with all these values, of which the later ones count; once for all tests, which only read it."""
    values = {name: value for each in sets for name, value in each.items()}
    return _rendered(json.dumps(values, sort_keys=True), release, namespace)


@cache
def _rendered(values: str, release: str, namespace: str) -> list[Manifest]:
    return chart(set=json.loads(values), release=release, namespace=namespace)


def names(manifests: list[Manifest]) -> set[str]:
    return {f"{each['kind']}/{each['metadata']['name']}" for each in manifests}


def pod(manifests: list[Manifest], kind: str = "Deployment", name: str = "collector") -> dict[str, Any]:
    return cast("dict[str, Any]", one(manifests, kind, name)["spec"]["template"]["spec"])


def variables(manifests: list[Manifest], name: str = "collector") -> dict[str, str]:
    """What a Deployment's container is told beside the settings of all."""
    return {each["name"]: each["value"] for each in pod(manifests, name=name)["containers"][0].get("env", ())}


def migration(manifests: list[Manifest]) -> Manifest:
    (job,) = [each for each in having(manifests, "Job") if each["metadata"]["name"].startswith(MIGRATED)]
    return job


def settings(manifests: list[Manifest]) -> dict[str, str]:
    return cast("dict[str, str]", one(manifests, "ConfigMap", "collector")["data"])
