"""Every metric, in one list. Labels are bounded: nothing that a client chooses makes a series past the limit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, which nobody asks for

OTHER = "_other"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Children(dict[Any, Callable[..., None]]):
    """What `make` gave for each key."""

    def __init__(self, make: Callable[[Any], Callable[..., None]]) -> None:
        self._make = make

    def __missing__(self, key: Any) -> Callable[..., None]:
        return self.setdefault(key, self._make(key))


class Metrics:
    """The metrics of one process. `max_sources`: sources with a series of their own."""

    def __init__(self, max_sources: int) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        ProcessCollector(registry=registry)  # process_resident_memory_bytes and its like
        # What was kept and what was not.
        self._events = Counter("collector_events", "Events committed.", ["source"], registry=registry)
        self.duplicates = Counter("collector_duplicates", "Events that were kept before.", registry=registry)
        self.rejected = Counter("collector_rejected", "Events refused for what they are.", registry=registry)
        self.label_overflow = Counter(
            "collector_label_overflow", "Events whose source counts as _other.", registry=registry
        )
        self.unreplicated = Counter(
            "collector_commit_unreplicated", "Commits that no synchronous standby confirmed.", registry=registry
        )
        # Requests.
        self._seconds = Histogram(
            "collector_request_duration_seconds",
            "Time to answer, streams left out.",
            ["route"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=registry,
        )
        self._responses = Counter("collector_responses", "Answers, by status.", ["status"], registry=registry)
        self._errors = Counter(
            "collector_errors", "Answers of 500 and above, by cause.", ["cause"], registry=registry
        )
        self._streams = Gauge("collector_streams", "Event streams that are open.", registry=registry)
        self.streams_open = 0
        # The writer.
        self.commit_seconds = Histogram(
            "collector_commit_duration_seconds",
            "Time of one group's commit.",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
            registry=registry,
        )
        self.commit_events = Histogram(
            "collector_commit_events",
            "Events in one group.",
            buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000),
            registry=registry,
        )
        self.waiting = Gauge("collector_waiting_events", "Events that wait for their commit.", registry=registry)
        # The process and its database.
        self.ready = Gauge("collector_ready", "1 if this process can keep an event.", registry=registry)
        self.lag = Gauge(
            "collector_event_loop_lag_seconds", "How late the last turn of the loop was.", registry=registry
        )
        self.turn = Gauge(
            "collector_loop_last_turn_timestamp_seconds", "When a loop last turned.", ["loop"], registry=registry
        )
        self.days_ahead = Gauge(
            "collector_partition_days_ahead", "Days after today that the log has room for.", registry=registry
        )
        # `labels` costs more than the counting, so what it gave is kept: statuses and routes are few.
        self._statuses = _Children(lambda status: self._responses.labels(status).inc)
        self._routes = _Children(lambda route: self._seconds.labels(route).observe)
        self._max_sources = max_sources
        self._sources: dict[str, Callable[[float], None]] = {}
        self._other = self._events.labels(OTHER).inc

    def kept(self, source: str, count: int = 1) -> None:
        """Count events of a source."""
        add = self._sources.get(source)
        if add is None:
            add = self._adopt(source)
            if add is self._other:
                self.label_overflow.inc(count)
        add(count)

    def answered(self, route: str, status: int, seconds: float | None) -> None:
        """Count an answer; `seconds` None where its duration says nothing."""
        self._statuses[status]()
        if seconds is not None:
            self._routes[route](seconds)

    def failed(self, cause: str) -> None:
        """Count an answer of 500 or above."""
        self._errors.labels(cause).inc()

    @contextmanager
    def stream(self) -> Iterator[None]:
        """An event stream, while it is open."""
        self.streams_open += 1
        self._streams.set(self.streams_open)
        try:
            yield
        finally:
            self.streams_open -= 1
            self._streams.set(self.streams_open)

    def text(self) -> bytes:
        """Everything, in the text format of Prometheus."""
        return generate_latest(self.registry)

    def _adopt(self, source: str) -> Callable[[float], None]:
        if len(self._sources) >= self._max_sources or source == OTHER:
            return self._other
        return self._sources.setdefault(source, self._events.labels(source).inc)
