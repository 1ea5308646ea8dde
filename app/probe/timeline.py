"""The timeline: a picture of a run, as inline SVG. Pure.

From top to bottom: requests a second, acknowledged and otherwise; the slowest of them, on a scale of tens; and
what /readyz of each replica said. Windows of faults are shaded. Colours are classes: the page decides on them.
"""

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from app.probe import availability
from app.probe.availability import BUCKET
from app.probe.history import History
from app.probe.verdict import Bite

WIDTH, LEFT, RIGHT = 1000, 56, 8
COLUMNS = 600  # at most; a longer run has wider ones
RATES, SLOWEST, STRIP, GAP = 150, 80, 12, 24  # heights
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)  # seconds between two marks


def timeline(history: History, faults: Sequence[Bite]) -> str:
    """The picture."""
    picture = _Picture(history)
    parts = [*picture.faults(faults), *picture.rates(), *picture.slowest(), *picture.readiness(), *picture.axis()]
    return (
        f'<svg viewBox="0 0 {WIDTH} {picture.height}" role="img" aria-label="Timeline of the run">'
        f"{''.join(parts)}</svg>"
    )


class _Picture:
    def __init__(self, history: History) -> None:
        self._history = history
        self._whole = availability.line(history, history.attempts)
        buckets = len(self._whole.acks)
        self._step = -(-buckets // COLUMNS)  # buckets a column
        self._columns = -(-buckets // self._step)
        self._seconds = buckets * BUCKET / 1e9
        self._top = 28  # of the rates, below the names of the faults
        self._middle = self._top + RATES + GAP + SLOWEST  # the bottom of the second lane
        self._strips = self._middle + GAP
        self._bottom = self._strips + (STRIP + 4) * len(history.plan.urls)
        self.height = self._bottom + 22

    def faults(self, faults: Sequence[Bite]) -> Iterator[str]:
        """Shaded windows, each with its name."""
        began = self._history.unix(self._history.began)
        for place, bite in enumerate(faults):
            left = self._at(bite.begin - began)
            right = self._at(self._seconds if bite.end is None else bite.end - began)
            width = max(right - left, 1.5)
            title = escape(f"fault {bite.fault}: {bite.kind} {bite.target}; {bite.effect or 'no effect was seen'}")
            yield (
                f'<rect class="fault" x="{left:.1f}" y="{self._top}" width="{width:.1f}" '
                f'height="{self._bottom - self._top}"><title>{title}</title></rect>'
            )
            name = escape(f"{bite.kind} {bite.target}")
            anchor, x = ("end", right) if left > WIDTH * 0.8 else ("start", left)
            yield (
                f'<text class="name" x="{x:.1f}" y="{10 + 11 * (place % 2)}" text-anchor="{anchor}">{name}</text>'
            )

    def rates(self) -> Iterator[str]:
        """Acknowledged requests, and others above them."""
        acks, errors = self._summed(self._whole.acks), self._summed(self._whole.errors)
        per_second = 1e9 / BUCKET / self._step
        most = max(max((a + e for a, e in zip(acks, errors, strict=True)), default=0), 1)
        bottom = self._top + RATES
        yield from self._scale(bottom, RATES, [(0, "0"), (1, f"{most * per_second:,.0f}/s")])
        for column, (good, bad) in enumerate(zip(acks, errors, strict=True)):
            height, above = RATES * good / most, RATES * bad / most
            yield self._bar("ack", column, bottom - height, height)
            yield self._bar("error", column, bottom - height - above, above)

    def slowest(self) -> Iterator[str]:
        """The longest that a request acknowledged then had taken, on a scale of tens from 1 ms on."""
        slow = [0.0] * self._columns
        for request in self._history.requests.values():
            if (receipt := request.receipt) is not None and receipt.answer is not None:
                column = (receipt.answer.at - self._history.began) // BUCKET // self._step
                if 0 <= column < self._columns:
                    slow[column] = max(slow[column], (receipt.answer.at - receipt.sent.due) / 1e6)
        decades = max(2, math.ceil(math.log10(max(*slow, 1.0))))
        names = ("1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s", "1000 s", "")
        scale = [(decade / decades, names[min(decade, 7)]) for decade in range(decades + 1)]
        yield from self._scale(self._middle, SLOWEST, scale)
        for column, milliseconds in enumerate(slow):
            height = SLOWEST * math.log10(max(milliseconds, 1)) / decades
            yield self._bar("slow", column, self._middle - height, height)

    def readiness(self) -> Iterator[str]:
        """A strip for each replica."""
        classes = {200: "ready", 0: "away", None: "idle"}
        for url in range(len(self._history.plan.urls)):
            top = self._strips + (STRIP + 4) * url
            yield f'<text class="name" x="{LEFT - 6}" y="{top + 10}" text-anchor="end">/readyz</text>'
            left = 0
            for status, run in groupby(availability.readiness(self._history, url)):
                length = len(list(run))
                x, width = self._at(left * BUCKET / 1e9), self._at(length * BUCKET / 1e9) - LEFT
                yield (
                    f'<rect class="{classes.get(status, "unready")}" x="{x:.1f}" y="{top}" '
                    f'width="{width:.1f}" height="{STRIP}"/>'
                )
                left += length

    def axis(self) -> Iterator[str]:
        """Seconds from the begin."""
        every = next((tick for tick in TICKS if self._seconds / tick <= 12), TICKS[-1])
        for number in range(int(self._seconds / every) + 1):
            x = self._at(number * every)
            yield f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{self._bottom}" y2="{self._bottom + 4}"/>'
            yield (
                f'<text class="name" x="{x:.1f}" y="{self._bottom + 16}" text-anchor="middle">'
                f"{number * every:g} s</text>"
            )

    def _at(self, seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(seconds / self._seconds, 0), 1)

    def _bar(self, name: str, column: int, top: float, height: float) -> str:
        if height <= 0:
            return ""
        width = (WIDTH - LEFT - RIGHT) / self._columns
        return (
            f'<rect class="{name}" x="{LEFT + column * width:.2f}" y="{top:.1f}" width="{width:.2f}" '
            f'height="{height:.1f}"/>'
        )

    def _scale(self, bottom: float, height: float, marks: Sequence[tuple[float, str]]) -> Iterator[str]:
        for share, name in marks:
            y = bottom - height * share
            yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text class="name" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{name}</text>'

    def _summed(self, values: Sequence[int]) -> list[int]:
        return [sum(values[place : place + self._step]) for place in range(0, len(values), self._step)]
