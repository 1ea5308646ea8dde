"""Rules and dashboard speak of metrics and labels that there are; each alert has a test and a runbook."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from app import errors
from app.metrics import Metrics

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
TESTS = sorted(FOLDER.glob("*_test.yaml"))
FILES = sorted(set(FOLDER.glob("*.yaml")) - set(TESTS))
RUNBOOKS = ROOT / "docs" / "runbooks.md"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "collector.json"
PARTS = ("What", "Look", "Do", "Over")  # of a runbook
SEVERITIES = {"critical", "warning", "info"}
TARGET = {"instance", "job"}  # labels that Prometheus adds to whatever it scrapes
GIVEN = {"up": set(TARGET), "ALERTS": {"alertname", "alertstate", "severity"}}  # by Prometheus itself
WORDS = {"and", "or", "unless", "on", "ignoring", "by", "without"}

STRING = re.compile(r'"[^"]*"')
SELECTOR = re.compile(r"(\w+)\{([^}]*)\}")
GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
NAME = re.compile(r"(?<![\w.])[a-zA-Z_:][\w:]*(?!\w*\s*\()")


def rules() -> list[dict[str, Any]]:
    """Every rule, of alerts and of what is recorded for them."""
    groups = [group for file in FILES for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def name_of(rule: dict[str, Any]) -> str:
    return str(rule.get("alert") or rule["record"])


def scraped() -> dict[str, set[str]]:
    """The names of a scrape's samples, each with its labels, where everything has happened once."""
    metrics = Metrics(1)
    metrics.kept("source")
    metrics.answered("POST /events", 201, 0.1)
    metrics.failed("unavailable")
    metrics.drained.labels("new")
    metrics.turn.labels("writer")
    metrics.redis_up.labels("calls")
    metrics.redis_calls.labels("find", "answered")
    metrics.shared_pages.labels("found")
    metrics.reads.labels("replica")
    families = text_string_to_metric_families(metrics.text().decode())
    found = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    # What is recorded has no labels: all of it is summed up.
    return found | GIVEN | {rule["record"]: set() for rule in rules() if "record" in rule}


def names_in(expr: str) -> set[str]:
    """The metrics that an expression asks for: every name that is neither a function nor a label."""
    bare = GROUPING.sub(" ", SELECTOR.sub(r"\1", STRING.sub('""', expr)))
    return set(NAME.findall(re.sub(r"\[[^\]]*\]", "", bare))) - WORDS


def selections_in(expr: str) -> Iterator[tuple[str, str, str]]:
    """Each metric that is asked for by label, with the label and the value."""
    for name, inside in SELECTOR.findall(expr):
        for label, value in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', inside):
            yield name, label, value


def test_a_name_is_told_from_functions_words_and_labels() -> None:
    expr = 'sum by (route) (rate(a_total{x=~"b.."}[5m])) / on() max(c:d) > 0.5e1 and e == 1'
    assert names_in(expr) == {"a_total", "c:d", "e"}
    assert list(selections_in(expr)) == [("a_total", "x", "b..")]


def test_every_metric_of_a_rule_is_exported() -> None:
    known = scraped()
    unknown = {name_of(rule): names_in(rule["expr"]) - known.keys() for rule in rules()}
    assert not {alert: names for alert, names in unknown.items() if names}
    assert all(names_in(rule["expr"]) for rule in rules())


def test_every_label_of_a_rule_is_one_of_its_metric() -> None:
    known = scraped()
    for rule in rules():
        used = {label for names in GROUPING.findall(rule["expr"]) for label in re.findall(r"\w+", names)}
        said = set(re.findall(r"\$labels\.(\w+)", " ".join(rule.get("annotations", {}).values())))
        has = TARGET.union(*(known[name] for name in names_in(rule["expr"])))
        assert used | said <= has, name_of(rule)
        for name, label, _ in selections_in(rule["expr"]):
            assert label in known[name] | TARGET, name_of(rule)


def test_every_cause_of_a_rule_is_one_that_is_counted() -> None:
    kinds = {
        one.kind().removeprefix("urn:problem:")
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.Problem)
    }
    causes = {value for rule in rules() for _, label, value in selections_in(rule["expr"]) if label == "cause"}
    assert causes
    assert causes <= kinds


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    for rule in alerts():
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert re.fullmatch(r"\d+[smhd]", rule["for"]), rule["alert"]
        assert rule["labels"].keys() == {"severity"}, rule["alert"]
        assert rule["labels"]["severity"] in SEVERITIES, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "do"}, rule["alert"]
        assert all(text.endswith(".") for text in rule["annotations"].values()), rule["alert"]


def test_what_is_summed_up_names_no_process() -> None:
    """An aggregate without `by` has no labels: the text would say nothing where it names one."""
    for rule in alerts():
        summed = re.search(r"\b(sum|max|min|count)\s*\(", rule["expr"])
        assert not (summed and "$labels" in " ".join(rule["annotations"].values())), rule["alert"]


def test_no_rule_is_there_twice() -> None:
    for found in ([name_of(rule) for rule in rules()], [" ".join(rule["expr"].split()) for rule in rules()]):
        assert len(found) == len(set(found))
    assert all(rule["alert"].startswith("Collector") for rule in alerts())
    assert all(rule["record"].startswith("collector:") for rule in rules() if "record" in rule)


def test_every_alert_is_seen_to_fire_and_to_be_silent() -> None:
    """promtool runs the tests; this sees that there is one for each alert, and one of each file without any."""
    for file in FILES:
        text = file.with_name(f"{file.stem}_test.yaml").read_text()
        document = yaml.safe_load(text)
        assert document["rule_files"] == [file.name]
        own = {rule["alert"] for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]
               if "alert" in rule}  # fmt: skip
        assert set(re.findall(r'alertname="(\w+)"', text)) == own
        well = document["tests"][0]
        assert well["name"].startswith("all is well")
        assert any(not one["exp_samples"] and "ALERTS" in one["expr"] for one in well["promql_expr_test"])
        series = [one["series"] for test in document["tests"] for one in test["input_series"]]
        assert set().union(*map(names_in, series)) <= scraped().keys()


def test_every_alert_has_a_runbook() -> None:
    sections = dict(re.findall(r"^## (\w+)\n((?:(?!^## ).*\n)*)", RUNBOOKS.read_text(), re.MULTILINE))
    assert list(sections) == [rule["alert"] for file in ("alerts", "slo", "targets") for rule in alerts_of(file)]
    for name, text in sections.items():
        assert re.findall(r"^\*\*(\w+):\*\*", text, re.MULTILINE) == list(PARTS), name
        assert {
            word for word in re.findall(r"collector_\w+", text) if not word.endswith("_")
        } <= scraped().keys(), name


def alerts_of(file: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / f"{file}.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_every_query_of_the_dashboard_is_of_what_there_is() -> None:
    known = scraped()
    panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if "targets" in panel]
    assert len(panels) > 20
    for panel in panels:
        for target in panel["targets"]:
            assert names_in(target["expr"]) <= known.keys(), panel["title"]
            for name, label, _ in selections_in(target["expr"]):
                assert label in known[name] | TARGET, panel["title"]
