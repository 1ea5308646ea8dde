"""The chart's images and migrations: which image, when it runs, and what a change changes."""

import re
from typing import Any

import pytest

from tests.kube.charts import (
    ABOUT,
    CNPG,
    DEFAULTS,
    DIGEST,
    EXISTING,
    FROM_STORE,
    MIGRATED,
    ROUTE,
    WATCHED,
    migration,
    rendered,
    settings,
)
from tests.kube.rendered import Manifest, having


def test_a_digest_decides_which_image_every_role_has() -> None:
    image = DEFAULTS["image"]["repository"]
    for values, reference in (
        ({}, f"{image}:{ABOUT['appVersion']}"),
        ({"image.tag": "edge"}, f"{image}:edge"),
        ({"image.digest": DIGEST}, f"{image}:{ABOUT['appVersion']}@{DIGEST}"),
    ):
        manifests = rendered(EXISTING, values)
        templates = [
            each["spec"]["template"]["spec"] for each in having(manifests, "Deployment") + having(manifests, "Job")
        ]
        assert {each["containers"][0]["image"] for each in templates} == {reference}
        assert len(templates) == 5


def test_a_migration_has_another_name_whenever_its_pod_is_another() -> None:
    def name(**values: Any) -> str:
        return str(migration(rendered(EXISTING, values))["metadata"]["name"])

    assert name() == name()
    assert re.fullmatch(rf"{MIGRATED}[0-9a-f]{{8}}", name())
    others: list[dict[str, Any]] = [
        {"image.digest": DIGEST},
        {"database.existing.host": "other"},
        {"database.existing.secret.name": "other"},
        {"migrations.resources.limits": {"memory": "1Gi"}},
    ]
    assert len({name(), *(name(**values) for values in others)}) == 5
    # It does not read them, so it need not run again for them.
    assert name(**{"settings.RETENTION_DAYS": 7, "replicas": 2}) == name()


def test_a_long_release_and_tag_still_make_names_that_there_may_be() -> None:
    manifests = rendered(EXISTING, WATCHED, {"image.tag": "V1.2.3-" + "x" * 100}, release="r" * 53)
    for each in manifests:
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", each["metadata"]["name"]), each["metadata"][
            "name"
        ]


@pytest.mark.parametrize(
    ("mode", "annotations"),
    [
        ("job", None),
        ("argoSync", {"argocd.argoproj.io/sync-wave": "-1"}),
        (
            "helmHook",
            {"helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-delete-policy": "before-hook-creation"},
        ),
    ],
)
def test_the_migration_runs_when_its_mode_says(mode: str, annotations: dict[str, str] | None) -> None:
    job = migration(rendered(EXISTING, {"migrations.mode": mode}))
    assert job["metadata"].get("annotations") == annotations
    assert "ttlSecondsAfterFinished" not in job["spec"]


def test_nobody_migrates_where_it_is_off_or_there_is_nothing_to_migrate() -> None:
    for values in ({**EXISTING, "migrations.mode": "off"}, {}):
        jobs = {each["metadata"]["name"] for each in having(rendered(values), "Job")}
        assert jobs == {"collector-test", "collector-narrate"}


def test_a_hook_needs_nothing_of_its_own_release() -> None:
    spec = migration(rendered(EXISTING, {"migrations.mode": "helmHook"}))["spec"]["template"]["spec"]
    assert "serviceAccountName" not in spec
    assert "envFrom" not in spec["containers"][0]
    environment = {variable["name"]: variable["value"] for variable in spec["containers"][0]["env"]}
    said = settings(rendered(EXISTING))
    assert environment.items() <= said.items()
    assert {"POSTGRES_CONNECTION_STRING", "POSTGRES_PASSWORD_FILE"} <= environment.keys()


def test_waves_bring_first_what_later_ones_need() -> None:
    manifests = rendered(
        FROM_STORE,
        ROUTE,
        WATCHED,
        {"redis.mode": "statefulset", "networkPolicy.enabled": True, "migrations.mode": "argoSync"},
    )
    manifests += rendered(CNPG, {"migrations.mode": "argoSync"})

    def wave(each: Manifest) -> int | None:
        found = (each["metadata"].get("annotations") or {}).get("argocd.argoproj.io/sync-wave")
        return None if found is None else int(found)

    waves = {f"{each['kind']}/{each['metadata']['name']}": wave(each) for each in manifests}
    assert waves.pop("Job/collector-test") == 2
    first = waves["ExternalSecret/collector-database"]
    migrating = {number for name, number in waves.items() if name.startswith(f"Job/{MIGRATED}")}
    for name in (
        "ConfigMap/collector",
        "ServiceAccount/collector",
        "Cluster/collector-postgres",
        "StatefulSet/collector-redis",
    ):
        assert first == -3
        assert waves[name] == -2
    assert migrating == {-1}
    assert waves["Deployment/collector"] == waves["Deployment/collector-worker"] == 0
    assert waves["ServiceMonitor/collector"] == waves["PrometheusRule/collector"] == 1
    assert None not in waves.values()
    assert not any("sync-wave" in str(each["metadata"]) for each in rendered(EXISTING))


def test_a_changed_setting_rolls_every_pod() -> None:
    def sums(**values: Any) -> list[str]:
        manifests = having(rendered(EXISTING, values), "Deployment")
        return [each["spec"]["template"]["metadata"]["annotations"]["checksum/settings"] for each in manifests]

    before, after = sums(), sums(**{"settings.RETENTION_DAYS": 7})
    assert len(before) == 2
    assert not set(before) & set(after)
    assert settings(rendered({"settings.SPOOL_MAX_EVENTS": 2_000_000}))["SPOOL_MAX_EVENTS"] == "2000000"
