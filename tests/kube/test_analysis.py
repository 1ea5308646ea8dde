"""What a canary is judged by: its queries on what a collector exports, and its conditions on their answers."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.metrics import Metrics
from tests.checks.test_alerts import TARGET, names_in, scraped, selections_in
from tests.kube.analysis import Measured, Series, evaluate, is_value, measured, phases, series
from tests.kube.charts import CANARY, WATCHED, rendered
from tests.kube.rendered import having, one

NAMESPACE = "shop"
NEW, OLD = "5d8b4c", "7f9a21"
AT = "4m"  # the window begins two minutes before, with the ninth scrape
NAN = math.nan


def metrics() -> dict[str, Measured]:
    return measured(rendered(CANARY, WATCHED, namespace=NAMESPACE))


def pod(version: str, name: str = "a") -> dict[str, str]:
    """The labels that Prometheus gives to what it scrapes, by the chart's monitor."""
    (added,) = one(rendered(CANARY, WATCHED), "PodMonitor", "collector")["spec"]["podTargetLabels"]
    hashed = {re.sub(r"\W", "_", added): version}
    return {"namespace": NAMESPACE, "job": "collector", "pod": name, "instance": f"{name}:8080", **hashed}


def did(*, posts: int = 0, slow: int = 0, errors: int = 0, gets: int = 0) -> Metrics:
    """A process that has answered so often."""
    counted = Metrics(1)
    for _ in range(posts):
        counted.answered("POST /events", 201, 0.004)
    for _ in range(slow):
        counted.answered("POST /events", 201, 2.0)
    for _ in range(gets):
        counted.answered("GET /events", 200, 0.004)
    for _ in range(errors):
        counted.answered("POST /events", 503, 0.004)
        counted.failed("unavailable")
    for _ in range(1000):  # what probes ask is no traffic
        counted.answered("GET /readyz", 200, 0.001)
    return counted


def grows(counted: Metrics, version: str = NEW, name: str = "a") -> Series:
    """It does so between any two scrapes."""
    return series(counted, pod(version, name), "0+Nx20")


def began(counted: Metrics) -> Series:
    """All of it was done before its first scrape, and nothing since."""
    return series(counted, pod(NEW), "_x12 Nx8")


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """Series, and for each metric its answer and what it comes to."""

    inputs: Series
    errors: tuple[float | None, str]
    latency: tuple[float | None, str]


GOOD, BAD, OPEN = "Successful", "Failed", "Inconclusive"
FAST = (0.0025 + 0.0025 * 0.99, GOOD)  # the 99th of 100 that took more than 2.5 ms, and at most 5
SILENT = (math.nan, OPEN)
STRANGER = {**pod(NEW), "namespace": "bank"}
CASES = {
    "all is well": Case(inputs=grows(did(posts=80, gets=20)), errors=(0.0, GOOD), latency=FAST),
    "a few errors": Case(inputs=grows(did(posts=199, errors=1)), errors=(0.005, GOOD), latency=FAST),
    "just as many as may be": Case(inputs=grows(did(posts=99, errors=1)), errors=(0.01, GOOD), latency=FAST),
    "errors": Case(inputs=grows(did(posts=98, errors=2)), errors=(0.02, BAD), latency=FAST),
    "nothing but errors": Case(inputs=grows(did(errors=5)), errors=(1.0, BAD), latency=FAST),
    # The 99th of 100 is the fourth of five that took more than a second, and at most 2.5.
    "slow": Case(inputs=grows(did(posts=95, slow=5)), errors=(0.0, GOOD), latency=(1 + 1.5 * 4 / 5, BAD)),
    "one of its pods": Case(
        inputs={**grows(did(posts=100), name="a"), **grows(did(posts=90, errors=10), name="b")},
        errors=(0.05, BAD),
        latency=FAST,
    ),
    # It has answered before, and nobody has asked since: nothing of nothing, 0/0.
    "no traffic": Case(inputs=series(did(posts=9, errors=3), pod(NEW), "N+0x20"), errors=SILENT, latency=SILENT),
    "reads alone": Case(inputs=grows(did(gets=10)), errors=(0.0, GOOD), latency=(None, OPEN)),
    "asked by probes alone": Case(inputs=grows(did()), errors=(None, OPEN), latency=(None, OPEN)),
    "not scraped": Case(inputs={}, errors=(None, OPEN), latency=(None, OPEN)),
    "gone": Case(
        inputs=series(did(posts=100), pod(NEW), "0+Nx4 stale"), errors=(None, OPEN), latency=(None, OPEN)
    ),
    # Its first scrape finds all of its errors, which a rate would not see: they come with the series.
    "born with errors": Case(inputs=began(did(posts=80, errors=20)), errors=(0.2, BAD), latency=FAST),
    "the version before fails": Case(
        inputs={**grows(did(posts=100)), **grows(did(errors=50, slow=50), version=OLD)},
        errors=(0.0, GOOD),
        latency=FAST,
    ),
    "the version before is well": Case(
        inputs={**grows(did(posts=90, errors=10)), **grows(did(posts=9000), version=OLD)},
        errors=(0.1, BAD),
        latency=FAST,
    ),
    "somebody else's": Case(
        inputs={**grows(did(posts=100)), **series(did(errors=50, slow=50), STRANGER, "0+Nx20")},
        errors=(0.0, GOOD),
        latency=FAST,
    ),
    # Started anew within the window: the counters begin again, and nothing is below 0.
    "a counter reset": Case(
        inputs=series(did(posts=100), pod(NEW), "0+Nx11 0+Nx8"), errors=(0.0, GOOD), latency=FAST
    ),
    "errors after a reset": Case(
        inputs=series(did(posts=50, errors=50), pod(NEW), "0+Nx11 0+Nx8"), errors=(0.5, BAD), latency=FAST
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_goes_on_stops_or_waits(case: Case, tmp_path: Path) -> None:
    asked = metrics()
    answers = {"errors": case.errors[0], "latency": case.latency[0]}
    expressions = [is_value(asked[name].of(NEW), value) for name, value in answers.items()]
    evaluate(expressions, case.inputs, at=AT, folder=tmp_path)
    came_to = phases([(asked[name], value) for name, value in answers.items()])
    assert came_to == [case.errors[1], case.latency[1]]


def test_a_wrong_answer_is_noticed(tmp_path: Path) -> None:
    asked = metrics()["errors"].of(NEW)
    for wrong in (0.01, None, math.nan):
        with pytest.raises(AssertionError, match="FAILED"):
            evaluate([is_value(asked, wrong)], CASES["errors"].inputs, at=AT, folder=tmp_path)


def test_what_is_asked_for_is_exported() -> None:
    asked = metrics()
    assert asked.keys() == {"errors", "latency"}
    labels = {*TARGET, *pod(NEW)}
    for metric in asked.values():
        query = metric.of(NEW)
        assert names_in(re.sub(r"\boffset \w+", "", query)) <= scraped().keys()
        selections = list(selections_in(query))
        assert {value for _, label, value in selections if label.startswith("rollouts_")} == {NEW}
        for name, label, _ in selections:
            assert label in scraped()[name] | labels


def test_conditions_leave_nothing_to_an_error() -> None:
    """Argo Rollouts would call it one, and abort, where a condition cannot be evaluated."""
    answers = (None, 0.0, 1.0, 1e9, math.nan, math.inf)
    for metric in metrics().values():
        assert set(phases([(metric, answer) for answer in answers])) == {GOOD, BAD, OPEN}
    careless = Measured(name="careless", query="", success="result[0] < 1", failure="result[0] >= 1")
    assert phases([(careless, None), (careless, 0.5)]) == ["Error", GOOD]


def test_the_bounds_are_those_of_the_values() -> None:
    bounds = {"delivery.analysis.errorRatio": 0.03, "delivery.analysis.p99Seconds": 3}
    asked = measured(rendered(CANARY, bounds))
    assert phases([(asked["errors"], 0.03), (asked["errors"], 0.031)]) == [GOOD, BAD]
    assert phases([(asked["latency"], 3.0), (asked["latency"], 3.1)]) == [GOOD, BAD]


def test_nobody_is_scraped_twice_though_two_services_lead_there() -> None:
    manifests = rendered(CANARY, WATCHED)
    assert not having(manifests, "ServiceMonitor")
    monitor = one(manifests, "PodMonitor", "collector")["spec"]
    assert monitor["jobLabel"] == "app.kubernetes.io/component"
    template = one(manifests, "Rollout", "collector")["spec"]["template"]
    assert monitor["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert endpoint["port"] in [port["name"] for port in template["spec"]["containers"][0]["ports"]]
