"""The chart's monitors, rules and dashboard: the project's own, under the names that they know."""

import re

import yaml

from tests.checks.test_alerts import TARGET, names_in, scraped, selections_in
from tests.kube.charts import BY_KEDA, EXISTING, WATCHED, Values, rendered
from tests.kube.rendered import having, one
from tests.kube.tools import ROOT


def test_the_rules_are_the_projects_own() -> None:
    manifests = rendered(EXISTING, WATCHED, {"monitoring.rules.labels": {"release": "prometheus"}})
    made = one(manifests, "PrometheusRule", "collector")
    files = sorted(
        set((ROOT / "deploy/prometheus").glob("*.yaml")) - set((ROOT / "deploy/prometheus").glob("*_test.yaml"))
    )
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    assert made["spec"]["groups"] == groups
    assert made["metadata"]["labels"]["release"] == "prometheus"


def test_where_there_is_no_worker_none_is_missed() -> None:
    def alerts(values: Values) -> set[str]:
        groups = one(rendered(values, WATCHED), "PrometheusRule", "collector")["spec"]["groups"]
        return {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}

    assert alerts(EXISTING) - alerts({}) == {"CollectorWorkerGone"}
    assert alerts({}) < alerts(EXISTING)


def test_scrape_jobs_have_the_names_that_the_rules_know() -> None:
    manifests = rendered(EXISTING, WATCHED)
    service = one(manifests, "ServiceMonitor", "collector")
    workers = one(manifests, "PodMonitor", "collector-worker")
    assert service["spec"]["jobLabel"] == workers["spec"]["jobLabel"] == "app.kubernetes.io/component"
    found = {
        one(manifests, "Service", "collector")["metadata"]["labels"]["app.kubernetes.io/component"],
        one(manifests, "Deployment", "collector-worker")["spec"]["template"]["metadata"]["labels"][
            "app.kubernetes.io/component"
        ],
    }
    assert found == set(re.findall(r'job="(\w+)"', (ROOT / "deploy/prometheus/targets.yaml").read_text()))


def test_the_dashboard_is_the_projects_own() -> None:
    made = one(rendered(WATCHED), "ConfigMap", "collector-dashboard")
    (file,) = (ROOT / "deploy/grafana/dashboards").iterdir()
    assert made["data"] == {file.name: file.read_text()}
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_keda_asks_for_what_is_scraped() -> None:
    objects = having(rendered(BY_KEDA), "ScaledObject")
    triggers = [trigger["metadata"] for each in objects for trigger in each["spec"]["triggers"]]
    queries = [trigger["query"] for trigger in triggers if "query" in trigger]
    assert len(queries) == 2
    assert set().union(*map(names_in, queries)) <= scraped().keys()
    for query in queries:
        for name, label, _ in selections_in(query):
            assert label in scraped()[name] | TARGET | {"namespace"}
