"""Samples: what a round measured, and what all rounds say together. Pure values."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from statistics import median
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One round of one contestant. None: it cannot be known, or says nothing."""

    rate: float | None = None  # events or reads a second
    p50: float | None = None  # ms
    p99: float | None = None  # ms
    most: float | None = None  # ms, the longest of all
    kept: int = 0  # events that were answered with success
    bad: int = 0  # answers other than 2xx and 3xx, and broken connections
    server_cpu: float | None = None  # µs an event or read
    database_cpu: float | None = None  # µs an event or read, of all of PostgreSQL
    memory: float | None = None  # MB of the server, after the round
    others: float | None = None  # share of the machine's cores that something else took

    @property
    def cpu(self) -> float | None:
        """µs an event or read, of the server and PostgreSQL together."""
        known = [one for one in (self.server_cpu, self.database_cpu) if one is not None]
        return sum(known) if known else None


FIELDS = tuple(one.name for one in fields(Sample) if one.name not in ("kept", "bad"))


@dataclass(frozen=True, slots=True)
class Value:
    """One figure of one contestant."""

    measure: str
    contestant: str
    figure: str = "rate"


@dataclass(slots=True)
class Results:
    """All samples of a run, by measure and contestant, in the order of rounds; what is missing, and why."""

    measures: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    kept: Counter[str] = field(default_factory=Counter)  # events that a contestant said it kept, warming up too

    def add(self, measure: str, contestant: str, sample: Sample) -> None:
        """Put a round's sample to its like."""
        self.measures.setdefault(measure, {}).setdefault(contestant, []).append(sample)

    def rounds(self, value: Value) -> list[float]:
        """A figure, round by round; none where it was not measured."""
        samples = self.measures.get(value.measure, {}).get(value.contestant, [])
        return [figure for one in samples if (figure := getattr(one, value.figure)) is not None]

    def middle(self, value: Value) -> float | None:
        """The median of a figure's rounds."""
        return middle(self.rounds(value))

    def ratio(self, value: Value, base: Value) -> float | None:
        """The median of the ratios within each round: what slowed a round slowed both."""
        return ratio(self.rounds(value), self.rounds(base))

    def bad(self, value: Value) -> int:
        """Answers that were no success."""
        return sum(one.bad for one in self.measures.get(value.measure, {}).get(value.contestant, []))

    def all(self) -> Iterator[Sample]:
        """Every sample."""
        for contestants in self.measures.values():
            for samples in contestants.values():
                yield from samples

    def document(self) -> dict[str, Any]:
        """As JSON can hold it: medians, and the rounds that they are of."""
        return {
            measure: {contestant: self._cell(measure, contestant) for contestant in contestants}
            for measure, contestants in self.measures.items()
        }

    def _cell(self, measure: str, contestant: str) -> dict[str, Any]:
        values = (Value(measure, contestant, figure) for figure in FIELDS)
        medians = {value.figure: found for value in values if (found := self.middle(value)) is not None}
        rounds = [_known(sample) for sample in self.measures[measure][contestant]]
        return {"valid": not self.bad(Value(measure, contestant)), "median": medians, "rounds": rounds}


def middle(figures: Iterable[float]) -> float | None:
    """The median; None of nothing."""
    known = list(figures)
    return median(known) if known else None


def ratio(above: Iterable[float], below: Iterable[float]) -> float | None:
    """The median of the pairs' ratios; None where there is no pair."""
    return middle(one / other for one, other in zip(above, below, strict=False) if other)


def spread(times: Sequence[float]) -> Sample:
    """How times in ms spread; nothing of none."""
    if not times:
        return Sample()
    ordered = sorted(times)
    p50, p99 = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.99))
    return Sample(p50=p50, p99=p99, most=ordered[-1])


def _known(sample: Sample) -> dict[str, float]:
    return {name: figure for name, figure in asdict(sample).items() if figure is not None}
