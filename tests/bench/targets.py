"""Targets: what the project holds itself to, as ratios within one run."""

from dataclasses import dataclass
from typing import Literal

from tests.bench.samples import Results, Value

Verdict = Literal["aim", "ok", "missed", "invalid", "not measured"]


@dataclass(frozen=True, slots=True)
class Target:
    """`value`, or its ratio to `base`. Where `aim` is below `must`, less is better."""

    what: str
    value: Value
    base: Value | None
    must: float
    aim: float
    unit: str = "×"

    def reached(self, results: Results) -> float | None:
        """The figure; None where it was not measured."""
        return results.middle(self.value) if self.base is None else results.ratio(self.value, self.base)

    def verdict(self, results: Results) -> Verdict:
        """What the figure means."""
        if any(results.bad(one) for one in (self.value, self.base) if one is not None):
            return "invalid"
        if (reached := self.reached(results)) is None:
            return "not measured"
        less = self.aim < self.must
        within = [reached <= bound if less else reached >= bound for bound in (self.aim, self.must)]
        return "aim" if within[0] else "ok" if within[1] else "missed"


POST = Value("post", "collector")
P99 = Value("post", "collector", "p99")
PAGE = Value("get", "collector")
UNCHANGED = Value("get 304", "collector")

TARGETS = (
    Target("POST of one: rate ÷ textbook ORM", POST, Value("post", "textbook"), 40, 80),
    Target("POST of one: rate ÷ ORM at its best", POST, Value("post", "orm best"), 20, 40),
    Target("POST of one: rate ÷ fastify + pg", POST, Value("post", "fastify"), 3, 6),
    Target("POST of one: rate ÷ Go in memory", POST, Value("post", "go in memory"), 0.30, 0.65),
    Target("POST of one: p99 ÷ textbook's p50", P99, Value("post", "textbook", "p50"), 1 / 20, 1 / 35),
    Target("batches: rate ÷ COPY", Value("batch", "collector"), Value("batch", "COPY"), 0.65, 0.85),
    Target("batches, ids: rate ÷ COPY", Value("batch ids", "collector"), Value("batch ids", "COPY"), 0.65, 0.85),
    Target("GET recent: rate ÷ no-op", PAGE, Value("get", "no-op"), 0.55, 0.75),
    Target("GET recent, 304: rate ÷ no-op", UNCHANGED, Value("get 304", "no-op"), 0.65, 0.90),
    Target("GET recent: rate ÷ fastify + pg", PAGE, Value("get", "fastify"), 15, 20),
    Target("10M rows ÷ 100k: POST rate", Value("grown post", "10M"), Value("grown post", "100k"), 0.9, 0.95),
    Target("10M rows ÷ 100k: batch rate", Value("grown batch", "10M"), Value("grown batch", "100k"), 0.9, 0.95),
    Target(
        "10M rows ÷ 100k: GET p99", Value("grown get", "10M", "p99"), Value("grown get", "100k", "p99"), 1.3, 1.2
    ),
    Target("metrics on ÷ off: POST rate", POST, Value("post", "metrics off"), 0.90, 0.95),
    Target("memory after load", Value("batch ids", "collector", "memory"), None, 96, 64, "MB"),
    Target("memory after load, 1M events stored", Value("grown batch", "1M", "memory"), None, 96, 64, "MB"),
    Target("worst legal JSON: event loop's lag", Value("worst probe", "any legal", "most"), None, 100, 50, "ms"),
    Target("start to the first 200", Value("start", "collector", "p50"), None, 1500, 800, "ms"),
)
