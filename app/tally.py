"""Counters and histograms for what happens with every request: a tenth of the library's cost, exported by it.

The library guards each addition by a lock and looks up labels by name; these are added to by the event loop alone.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector


class Tally(Collector):
    """A counter with one label. `name` bears no `_total`; the exporter adds it."""

    def __init__(self, name: str, about: str, label: str) -> None:
        self._name, self._about, self._label = name, about, label
        self.counts: defaultdict[str, float] = defaultdict(float)

    def collect(self) -> Iterable[CounterMetricFamily]:
        """What a scrape shows."""
        family = CounterMetricFamily(self._name, self._about, labels=[self._label])
        for value, count in self.counts.items():
            family.add_metric([value], count)
        yield family


class Spread(Collector):
    """A histogram with one label. `bounds` are the buckets' upper ends, ascending, the last one left out."""

    def __init__(self, name: str, about: str, label: str, bounds: Sequence[float]) -> None:
        self._name, self._about, self._label = name, about, label
        self._bounds = tuple(bounds)
        self._counts: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(self._bounds) + 1))
        self._sums: defaultdict[str, float] = defaultdict(float)

    def observe(self, value: str, amount: float) -> None:
        """Add one observation."""
        self._counts[value][bisect_left(self._bounds, amount)] += 1
        self._sums[value] += amount

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """What a scrape shows."""
        family = HistogramMetricFamily(self._name, self._about, labels=[self._label])
        ends = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for value, counts in self._counts.items():
            family.add_metric([value], list(zip(ends, accumulate(counts), strict=True)), self._sums[value])
        yield family
