"""Availability: when the collector kept events, how long that took, and whether /readyz told the truth. Pure.

Time is cut into buckets of 100 ms. A bucket is
- keeping, if a request was acknowledged in it;
- failing, if none was, although an attempt was answered otherwise in it, or was under way all through it, in vain
  or for more than a second (so that what is slow is not taken for what is away);
- idle else: nothing was asked of the collector, so nothing is said of it.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from app.probe.history import Attempt, History

BUCKET = 100_000_000  # nanoseconds
PROMPT = 10  # buckets
FRESH = 5  # buckets that an answer of /readyz speaks for; it is asked every two


@dataclass(slots=True)
class Line:
    """Buckets of one replica, or of all: from the first request that was due to the end of the load."""

    acks: list[int]
    errors: list[int]
    waits: list[int] = field(repr=False)

    def keeping(self, bucket: int) -> bool:
        """Whether a request was acknowledged in it."""
        return self.acks[bucket] > 0

    def failing(self, bucket: int) -> bool:
        """Whether the collector was asked in vain all through it."""
        return not self.acks[bucket] and bool(self.errors[bucket] or self.waits[bucket])


def line(history: History, attempts: Iterable[Attempt]) -> Line:
    """The buckets that these attempts make."""
    size = (history.ended - history.began) // BUCKET + 1
    found = Line([0] * size, [0] * size, [0] * size)
    for attempt in attempts:
        first = _bucket(history, attempt.sent.at)
        last = size if attempt.answer is None else _bucket(history, attempt.answer.at)
        if attempt.answer is not None and last < size:
            (found.acks if attempt.acknowledged else found.errors)[last] += 1
        if not attempt.acknowledged or last - first > PROMPT:
            for bucket in range(first + 1, min(last, size)):
                found.waits[bucket] += 1
    return found


def lines(history: History) -> list[Line]:
    """The same, for each replica."""
    return [
        line(history, (one for one in history.attempts if one.sent.url == url))
        for url in range(len(history.plan.urls))
    ]


def unavailable_seconds(whole: Line) -> float:
    """How long the collector was asked in vain."""
    return sum(whole.failing(bucket) for bucket in range(len(whole.acks))) * BUCKET / 1e9


def longest_gap(history: History) -> float:
    """Seconds between two acknowledgements, or before the first or after the last, during the load."""
    acks = acknowledgements(history)
    marks = [history.began, *acks, *([history.ended] if not acks or acks[-1] < history.ended else [])]
    gaps = (after - before for before, after in pairwise(marks) if before < history.ended)
    return max(gaps, default=0) / 1e9


def acknowledgements(history: History) -> list[int]:
    """When they came, in order."""
    return sorted(one.answer.at for one in history.attempts if one.acknowledged and one.answer is not None)


def first_ack_after(history: History, moments: Sequence[int]) -> float | None:
    """The longest wait after any of these moments, in seconds; None: for ever, or there are no moments."""
    acks = acknowledgements(history)
    places = [bisect_right(acks, moment) for moment in moments]
    if not moments or any(place == len(acks) for place in places):
        return None
    return max(acks[place] - moment for place, moment in zip(places, moments, strict=True)) / 1e9


def readiness(history: History, url: int) -> list[int | None]:
    """What /readyz of this replica had said last, bucket by bucket; 0: there was no answer; None: long ago."""
    size = (history.ended - history.began) // BUCKET + 1
    found: list[int | None] = [None] * size
    for poll in (one for one in history.polls if one.url == url):
        first = _bucket(history, poll.at)
        for bucket in range(max(first, 0), min(first + FRESH, size)):
            found[bucket] = poll.status or 0
    return found


def lies(history: History) -> tuple[float, float]:
    """Seconds of /readyz: ready and not keeping, unready and keeping; of all replicas together."""
    ready_lies = unready_lies = 0
    for url, replica in enumerate(lines(history)):
        for bucket, status in enumerate(readiness(history, url)):
            ready_lies += status == 200 and replica.failing(bucket)
            unready_lies += status == 503 and replica.keeping(bucket)
    return ready_lies * BUCKET / 1e9, unready_lies * BUCKET / 1e9


def latencies(history: History, windows: Sequence[tuple[int, int]]) -> tuple[list[float], list[float]]:
    """Milliseconds from when a request was due to its receipt, in order: outside of these windows, and inside."""
    outside: list[float] = []
    inside: list[float] = []
    for request in history.requests.values():
        receipt = request.receipt
        if receipt is None or receipt.answer is None:
            continue
        due, at = receipt.sent.due, receipt.answer.at
        hurt = any(due <= end and at >= begin for begin, end in windows)
        (inside if hurt else outside).append((at - due) / 1e6)
    return sorted(outside), sorted(inside)


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The value that this share of them does not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def _bucket(history: History, at: int) -> int:
    return max(0, (at - history.began) // BUCKET)
