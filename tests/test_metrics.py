"""Metrics: the names that dashboards know, and no more series than allowed."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.metrics import Metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def sources(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.text().decode())
    samples = [
        sample for family in families for sample in family.samples if sample.name == "collector_events_total"
    ]
    return {sample.labels["source"]: sample.value for sample in samples}


def test_events_are_counted_by_source() -> None:
    metrics = Metrics(2)
    metrics.kept("ci")
    metrics.kept("ci", 3)
    metrics.kept("cron")
    assert sources(metrics) == {"ci": 4, "cron": 1, "_other": 0}
    assert value(metrics, "collector_label_overflow_total") == 0


def test_sources_past_the_limit_count_as_other_and_are_counted() -> None:
    metrics = Metrics(2)
    for source in ("ci", "cron", "late", "later", "ci"):
        metrics.kept(source, 2)
    assert sources(metrics) == {"ci": 4, "cron": 2, "_other": 4}
    assert value(metrics, "collector_label_overflow_total") == 4


def test_a_source_named_other_takes_no_place_of_its_own() -> None:
    metrics = Metrics(1)
    metrics.kept("_other")
    metrics.kept("ci")
    assert sources(metrics) == {"ci": 1, "_other": 1}
    assert value(metrics, "collector_label_overflow_total") == 1


def test_with_a_limit_of_none_all_are_other() -> None:
    metrics = Metrics(0)
    metrics.kept("ci")
    assert sources(metrics) == {"_other": 1}


def test_any_number_of_sources_makes_no_more_series_than_allowed() -> None:
    metrics = Metrics(100)
    for number in range(10_000):
        metrics.kept(f"source {number}")
    assert len(sources(metrics)) == 101
    assert sum(sources(metrics).values()) == 10_000
    assert value(metrics, "collector_label_overflow_total") == 9_900
    assert len(metrics.text()) < 100_000


@pytest.mark.parametrize("source", ['a"b', "a\\b", "ä", "a{b}=,", "\u2028"])
def test_any_source_comes_back_from_the_text(source: str) -> None:
    metrics = Metrics(1)
    metrics.kept(source)
    assert sources(metrics) == {source: 1, "_other": 0}


def test_the_promised_names_are_there() -> None:
    metrics = Metrics(1)
    metrics.kept("ci")
    metrics.answered("/events", 201, 0.002)
    metrics.failed("unavailable")
    samples = {
        sample.name
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }
    assert samples >= {
        "collector_events_total",
        "collector_request_duration_seconds_bucket",
        "collector_errors_total",
        "process_resident_memory_bytes",
    }


def test_answers_are_counted_and_timed() -> None:
    metrics = Metrics(1)
    metrics.answered("/events", 201, 0.002)
    metrics.answered("/events", 503, None)
    metrics.failed("unavailable")
    assert value(metrics, "collector_responses_total", status="201") == 1
    assert value(metrics, "collector_responses_total", status="503") == 1
    assert value(metrics, "collector_request_duration_seconds_count", route="/events") == 1
    assert value(metrics, "collector_errors_total", cause="unavailable") == 1


def test_streams_are_counted_while_they_are_open() -> None:
    metrics = Metrics(1)
    with metrics.stream(), metrics.stream():
        assert (metrics.streams_open, value(metrics, "collector_streams")) == (2, 2)
    with pytest.raises(ConnectionError), metrics.stream():
        raise ConnectionError
    assert (metrics.streams_open, value(metrics, "collector_streams")) == (0, 0)


def test_two_of_them_share_nothing() -> None:
    one, other = Metrics(1), Metrics(1)
    one.kept("ci")
    assert sources(other) == {"_other": 0}
