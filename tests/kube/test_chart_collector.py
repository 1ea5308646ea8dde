"""The chart and the collector: versions, settings, budgets and paths that have to agree."""

import re
import tomllib
from typing import Any, cast

import pytest
from fastapi import APIRouter

from app.api import operations, routes
from app.main import CLOSE_SECONDS
from app.settings import SECRETS, Settings, load
from app.store.postgres import COMMITS_AT_ONCE
from tests.kube import chart_docs
from tests.kube.charts import (
    ABOUT,
    CNPG,
    DEFAULTS,
    EXISTING,
    HOOKS,
    ROUTE,
    TOKENS,
    Values,
    migration,
    pod,
    rendered,
    settings,
    variables,
)
from tests.kube.rendered import CHART, chart, having, one
from tests.kube.schemas import OLDEST
from tests.kube.tools import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_version_and_image_are_those_of_the_project() -> None:
    assert ABOUT["version"] == ABOUT["appVersion"] == PYPROJECT["project"]["version"]
    assert ABOUT["name"] == PYPROJECT["project"]["name"]
    assert ABOUT["description"] == PYPROJECT["project"]["description"]
    assert DEFAULTS["image"]["repository"] == PYPROJECT["tool"]["collector"]["image"]
    minor = ".".join(OLDEST.version.lstrip("v").split(".")[:2])
    assert ABOUT["kubeVersion"] == f">={minor}.0-0"


@pytest.mark.parametrize(
    "values",
    [
        CNPG,
        {"redis.mode": "statefulset"},
        {"settings.RETENTION_DAYS": 7, "settings.STALL_SECONDS": 1.5},
        {**CNPG, "database.replica.host": "near", "settings.REPLICA_LAG_SECONDS": 2},
    ],
    ids=["cnpg", "redis", "settings", "replica"],
)
def test_the_collector_starts_with_what_it_is_told(values: Values, monkeypatch: pytest.MonkeyPatch) -> None:
    told = settings(rendered(values)) | variables(rendered(values))
    secret = {name for name in told if name.endswith("_FILE")}
    for name, value in told.items():
        if name not in secret:
            monkeypatch.setenv(name, value)

    found = load(["--host=0.0.0.0"])

    assert {name.lower() for name in told.keys() - secret} <= found.model_fields_set
    assert {name.removesuffix("_FILE").lower() for name in secret} <= set(SECRETS)


def test_a_region_reads_from_its_standby_as_the_user_of_the_database() -> None:
    found = settings(rendered(EXISTING, {"database.replica.host": "near", "database.replica.parameters": "a=b"}))
    assert found["POSTGRES_REPLICA_CONNECTION_STRING"] == "postgres://collector@near:5432/collector?a=b"
    region = settings(chart("values-production.yaml", "values-region.yaml"))
    assert "first.example.com" in region["POSTGRES_CONNECTION_STRING"]
    assert "@collector-postgres-rw:" in region["POSTGRES_REPLICA_CONNECTION_STRING"]


def test_who_may_come_in_is_told_to_what_serves_and_to_nothing_else() -> None:
    assert variables(rendered(EXISTING)) == {"ALLOW_ANONYMOUS": "true"}
    manifests = rendered(EXISTING, TOKENS, HOOKS, {"tokens.secret.key": "entries"})
    told = {"TOKENS_FILE": "/run/secrets/tokens/tokens", "HOOKS_FILE": "/run/secrets/hooks/hooks"}
    assert variables(manifests) == told
    spec = pod(manifests)
    (container,) = spec["containers"]
    secrets = {volume["name"]: volume["secret"] for volume in spec["volumes"] if "secret" in volume}
    for mount in container["volumeMounts"]:
        assert "subPath" not in mount, "a changed Secret would never arrive"
    folders = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    for name, path in told.items():
        what = name.removesuffix("_FILE").lower()
        assert secrets[what]["secretName"] == f"collector-{what}"
        assert [f"{folders[what]}/{item['path']}" for item in secrets[what]["items"]] == [path]
    assert [item["key"] for item in secrets["tokens"]["items"]] == ["entries"]
    others = [pod(manifests, name="collector-worker"), migration(manifests)["spec"]["template"]["spec"]]
    assert not [word for word in ("TOKENS", "HOOKS", "ANONYMOUS", "collector-tokens") if word in str(others)]
    assert not settings(manifests).keys() & {"ALLOW_ANONYMOUS", *told}


def test_budgets_count_what_the_collector_holds() -> None:
    text = (CHART / "templates/_budgets.tpl").read_text()
    assert f".gracefulSeconds {CLOSE_SECONDS:g}" in text
    defaults = {name: Settings.model_fields[name].default for name in ("postgres_pool_size", "spool_max_mib")}
    said = dict(re.findall(r'dig "(\w+)" (\d+)', (CHART / "templates/_settings.tpl").read_text()))
    assert {name.lower(): int(value) for name, value in said.items()} == defaults
    # Those that write, and one each for checks, versions and sums; the pool's own description says so too.
    assert COMMITS_AT_ONCE + 3 == 5
    assert "five more" in str(Settings.model_fields["postgres_pool_size"].description)


def test_leaving_is_what_the_process_does_within_its_grace() -> None:
    for name in ("collector", "collector-worker"):
        manifests = rendered(EXISTING)
        each = pod(manifests, name=name)
        assert "lifecycle" not in each["containers"][0]
        leaving = sum(float(settings(manifests)[key]) for key in ("DRAIN_SECONDS", "GRACEFUL_SECONDS"))
        assert leaving + CLOSE_SECONDS < each["terminationGracePeriodSeconds"] == 45


def test_the_route_has_every_public_path_and_no_other() -> None:
    assert not having(rendered(), "HTTPRoute")
    (rule,) = one(rendered(ROUTE, {"gateway.hostnames": ["c.example"]}), "HTTPRoute", "collector")["spec"]["rules"]
    private = APIRouter()
    operations(private, cast("Any", None))
    inside = {str(getattr(route, "path", "")) for route in private.routes}
    paths = {str(getattr(route, "path", "")) for route in routes(cast("Any", None)).routes} | {"/openapi.json"}

    def matched(path: str) -> bool:
        return any(
            path == value if kind == "Exact" else path == value or path.startswith(f"{value.rstrip('/')}/")
            for match in rule["matches"]
            for kind, value in [(match["path"]["type"], match["path"]["value"])]
        )

    assert {path for path in paths if matched(path)} == paths - inside
    assert {"/metrics", "/healthz", "/readyz"} <= inside


def test_a_route_spells_out_what_it_hangs_on() -> None:
    spec = one(rendered(ROUTE, namespace="shop"), "HTTPRoute", "collector")["spec"]
    group = "gateway.networking.k8s.io"
    assert spec["parentRefs"] == [{"group": group, "kind": "Gateway", "name": "shared", "namespace": "shop"}]
    assert spec["rules"][0]["backendRefs"] == [
        {"group": "", "kind": "Service", "name": "collector", "port": 8080, "weight": 1}
    ]


def test_helm_test_is_the_probe_against_the_service() -> None:
    manifests = rendered({"test.rate": 7, "test.seconds": 30}, release="shop")
    job = one(manifests, "Job", "shop-collector-test")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (service,) = having(manifests, "Service")
    url = f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert container["args"] == ["probe", url, "--rate", "7", "--for", "30s"]
    assert job["spec"]["backoffLimit"] == 0
    assert "env" not in container


def test_helm_test_has_a_token_where_it_needs_one_or_is_not_there() -> None:
    assert not having(rendered(TOKENS), "Job", "collector-test")
    job = one(rendered(TOKENS, {"test.secret.name": "probe", "test.secret.key": "its"}), "Job", "collector-test")
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    (variable,) = container["env"]
    (secret,) = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] != "tmp"]
    assert variable["name"] == "COLLECTOR_TOKEN_FILE"
    assert variable["value"] == f"{mount['mountPath']}/{secret['items'][0]['path']}"
    assert (secret["secretName"], secret["items"][0]["key"]) == ("probe", "its")


def test_the_pages_table_is_made_of_the_values() -> None:
    made = chart_docs.table(chart_docs.values(chart_docs.VALUES.read_text()))
    page = chart_docs.README.read_text()
    assert page == chart_docs.with_table(page, made), "make chart-docs"


def test_a_value_that_does_not_say_what_it_means_is_not_documented() -> None:
    text = "image:\n  tag: x  # its tag\nsettings: {a: 1}\n"
    with pytest.raises(chart_docs.NotDocumented, match="3: settings"):
        chart_docs.values(text)
