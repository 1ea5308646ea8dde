"""The watch: counters that grow while a run goes on, for the line that tells of it and for the readers."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.probe.ledger import Answered

RECENT = 5.0  # seconds that the rate and the p99 of the line are of


@dataclass(slots=True)
class Watch:
    """What has happened so far. Times are monotonic nanoseconds; requests are counted by their attempts."""

    acknowledged: int = 0
    unknown: int = 0
    committed: list[str] = field(default_factory=list)  # ids of events, in the order of their receipts
    longest_gap: float = 0.0  # seconds
    began: int = 0
    _last: int = 0
    _recent: deque[tuple[int, float]] = field(default_factory=deque)  # acknowledged when, after how many ms

    def begin(self) -> None:
        """The load begins."""
        self.began = self._last = time.monotonic_ns()

    def note(self, answered: Answered, due: int, events: Sequence[str]) -> None:
        """A request that was due then, with these events, was answered."""
        self.unknown += answered.outcome == "unknown"
        if answered.outcome != "ok":
            return
        self.acknowledged += 1
        self.longest_gap = max(self.longest_gap, (answered.at - self._last) / 1e9)
        self._last = answered.at
        self._recent.append((answered.at, (answered.at - due) / 1e6))
        if answered.status != 202:
            self.committed += (id_ for place, id_ in enumerate(events) if place not in answered.odd)

    def line(self, seconds: float) -> str:
        """What is going on, in less than 80 columns."""
        now = time.monotonic_ns()
        while self._recent and self._recent[0][0] < now - RECENT * 1e9:
            self._recent.popleft()
        elapsed = (now - self.began) / 1e9
        rate = len(self._recent) / max(min(RECENT, elapsed), 0.1)
        waits = sorted(milliseconds for _, milliseconds in self._recent)
        p99 = f"{waits[int(len(waits) * 0.99)]:,.0f} ms" if waits else "-"
        gap = max(self.longest_gap, (now - self._last) / 1e9)
        return (
            f"{elapsed:.0f} of {seconds:.0f} s  {rate:,.0f}/s  {self.acknowledged:,} acknowledged  "
            f"{self.unknown:,} unknown  p99 {p99}  gap {gap:.1f} s"
        )
