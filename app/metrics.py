"""Every metric, in one list. Labels are bounded: nothing that a client chooses makes a series past the limit."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from app.tally import Spread, Tally

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, which nobody asks for

OTHER = "_other"
# Nothing came; a head or a body was late; a head was too large; too many were open; an idle one made room.
CUTS = ("silent", "slow_head", "slow_body", "large_head", "crowd", "idle")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The metrics of one process. `max_sources`: sources with a series of their own."""

    def __init__(self, max_sources: int) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        ProcessCollector(registry=registry)  # process_resident_memory_bytes and its like
        # What was kept and what was not.
        self._events = Tally("collector_events", "Events committed.", "source")
        self.duplicates = Counter("collector_duplicates", "Events that were kept before.", registry=registry)
        self.rejected = Counter("collector_rejected", "Events refused for what they are.", registry=registry)
        self.label_overflow = Counter(
            "collector_label_overflow", "Events whose source counts as _other.", registry=registry
        )
        self.purged = Counter(
            "collector_purged", "Events deleted because somebody asked for it.", registry=registry
        )
        self.unreplicated = Counter(
            "collector_commit_unreplicated", "Commits that no synchronous standby confirmed.", registry=registry
        )
        # Requests.
        self._seconds = Spread(
            "collector_request_duration_seconds",
            "Time to answer, streams left out.",
            "route",
            (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
        )
        self._responses = Tally("collector_responses", "Answers, by status.", "status")
        self._errors = Counter(
            "collector_errors", "Answers of 500 and above, by cause.", ["cause"], registry=registry
        )
        self._streams = Gauge("collector_streams", "Event streams that are open.", registry=registry)
        self.streams_open = 0
        self.gaps = Counter(
            "collector_stream_gaps", "Streams that fell too far behind and skipped events.", registry=registry
        )
        self.stalled = Counter(
            "collector_stalled_clients", "Clients cut off since they took nothing.", registry=registry
        )
        self.connections = Gauge("collector_connections", "Connections that are open.", registry=registry)
        self.max_connections = Gauge(
            "collector_max_connections", "Connections that may be open; past it 503.", registry=registry
        )
        self._cut = Counter(
            "collector_cut_connections",
            "Connections that we ended, and why.",
            ["why"],
            registry=registry,
        )
        for why in CUTS:
            self._cut.labels(why)
        # Who may come in.
        self.tokens = Gauge("collector_tokens", "Tokens that are declared.", registry=registry)
        self.tokens_stale = Gauge(
            "collector_tokens_stale",
            "1 while the file of tokens cannot be used and those that it had before are.",
            registry=registry,
        )
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
        # The spool.
        self.spooled = Counter("collector_spooled", "Events answered 202: kept by the spool.", registry=registry)
        self.spool_usable = Gauge("collector_spool_usable", "1 if the spool would take events.", registry=registry)
        self.spool_entries = Gauge("collector_spool_entries", "Entries that wait in the spool.", registry=registry)
        self.spool_events = Gauge("collector_spool_events", "Events that wait in the spool.", registry=registry)
        self.spool_bytes = Gauge("collector_spool_bytes", "Bytes that wait in the spool.", registry=registry)
        self.spool_oldest = Gauge(
            "collector_spool_oldest_seconds",
            "Age of the oldest entry that waits; 0: none does.",
            registry=registry,
        )
        self.spool_max_events = Gauge(
            "collector_spool_max_events", "Events that the spool may hold; 0: there is none.", registry=registry
        )
        self.spool_max_bytes = Gauge(
            "collector_spool_max_bytes", "Bytes that the spool may hold; 0: there is none.", registry=registry
        )
        self.spool_lost = Counter(
            "collector_spool_lost",
            "Times that events were found to have gone from the spool without being drained.",
            registry=registry,
        )
        self.drained = Counter(
            "collector_drained", "Events of the spool, by what became of them.", ["state"], registry=registry
        )
        self.dead_letters = Gauge(
            "collector_dead_letters", "Events in the table of dead letters.", registry=registry
        )
        self.leader = Gauge("collector_leader", "1 if this process drains the spool.", registry=registry)
        # The process and its database.
        self.ready = Gauge("collector_ready", "1 if this process can keep an event.", registry=registry)
        self.lag = Gauge(
            "collector_event_loop_lag_seconds", "How late the last turn of the loop was.", registry=registry
        )
        self.turn = Gauge(
            "collector_loop_last_turn_timestamp_seconds", "When a loop last turned.", ["loop"], registry=registry
        )
        # Redis: series that there are only where it is used.
        self.redis_up = Gauge(
            "collector_redis_up", "1 if Redis answers, as far as is known.", ["connection"], registry=registry
        )
        self.redis_calls = Counter(
            "collector_redis_calls", "What Redis was asked.", ["use", "outcome"], registry=registry
        )
        self.shared_pages = Counter(
            "collector_shared_pages", "Pages looked for in Redis.", ["outcome"], registry=registry
        )
        self.days_ahead = Gauge(
            "collector_partition_days_ahead",
            "Days after today that the log has room for; NaN: not known yet, or it needs none.",
            registry=registry,
        )
        self.days_ahead.set(math.nan)
        self._add_replica(registry)
        for own in (self._events, self._seconds, self._responses):
            registry.register(own)
        self._max_sources = max_sources
        self._events.counts[OTHER] = 0  # there from the start, so that a rate of it never begins in the middle

    def _add_replica(self, registry: CollectorRegistry) -> None:
        self.reads = Counter(
            "collector_reads",
            "Reads of a database, by which; where there is a replica.",
            ["server"],
            registry=registry,
        )
        self.replica_lag = Gauge(
            "collector_replica_lag_seconds",
            "How far behind what the replica shows may be; +Inf: not known; NaN: there is none.",
            registry=registry,
        )
        self.replica_serves = Gauge(
            "collector_replica_serves", "1 if the replica answers reads; NaN: there is none.", registry=registry
        )
        self.replica_lag.set(math.nan)
        self.replica_serves.set(math.nan)

    def kept(self, source: str, count: int = 1) -> None:
        """Count events of a source."""
        counts = self._events.counts
        if source == OTHER or (source not in counts and len(counts) > self._max_sources):
            source = OTHER
            self.label_overflow.inc(count)
        counts[source] += count

    def answered(self, route: str, status: int, seconds: float | None) -> None:
        """Count an answer; `seconds` None where its duration says nothing."""
        self._responses.counts[str(status)] += 1
        if seconds is not None:
            self._seconds.observe(route, seconds)

    def failed(self, cause: str) -> None:
        """Count an answer of 500 or above."""
        self._errors.labels(cause).inc()

    def cut(self, why: str) -> None:
        """Count a connection that was ended; `why` is one of CUTS."""
        self._cut.labels(why).inc()

    def count_connections(self, size: Callable[[], int], limit: int) -> None:
        """Where to ask how many connections are open, and how many may be."""
        self.connections.set_function(size)
        self.max_connections.set(limit)

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
