"""The fault log: what somebody did to the collector while the probe ran, as JSON lines, and whether it bit.

    {"event": "begin", "fault": 1, "kind": "kill", "target": "collector-1", "at": 1795227328.441}
    {"event": "end", "fault": 1, "at": 1795227329.9, "effect": "restarted: pid 12 -> 34"}

`at` is Unix time in seconds. A fault without an end lasts to the end of the run, and nothing was seen of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from app.probe.history import History

ONSET = 100_000_000  # nanoseconds: a request sent so shortly after the begin counts as under way


class FaultLogError(Exception):
    """A fault log that cannot be read."""


class _Begin(msgspec.Struct, tag="begin", tag_field="event"):
    fault: int
    kind: str
    target: str
    at: float


class _End(msgspec.Struct, tag="end", tag_field="event"):
    fault: int
    at: float
    effect: str | None = None


class _Plan(msgspec.Struct, tag="plan", tag_field="event"):
    seed: int | None = None
    scenario: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that was done to the collector; times in Unix seconds, `end` None: it did not end."""

    fault: int
    kind: str
    target: str
    begin: float
    end: float | None = None
    effect: str | None = None

    def window(self, history: History) -> tuple[int, int]:
        """When it was, in monotonic nanoseconds."""
        last = max(history.ended, history.monotonic(self.begin))
        return history.monotonic(self.begin), last if self.end is None else history.monotonic(self.end)

    def under_way(self, history: History) -> int:
        """How many requests it could hurt: sent and not answered at its begin, or sent while it lasted."""
        begin, end = self.window(history)
        return sum(
            (attempt.sent.at <= begin + ONSET and (attempt.answer is None or attempt.answer.at >= begin))
            or begin <= attempt.sent.at <= end
            for attempt in history.attempts
        )


def read(path: Path) -> tuple[Fault, ...]:
    """The faults of a log, by their begin. A last line that was cut off is no line. Raises FaultLogError."""
    try:
        *lines, last = path.read_bytes().split(b"\n")
        return told([_line(text) for text in lines if text.strip()] + _whole(last))
    except OSError as error:
        raise FaultLogError(f"{path}: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError) as error:
        raise FaultLogError(f"{path} is no fault log: {error}") from None


def told(lines: Iterable[_Begin | _End | _Plan]) -> tuple[Fault, ...]:
    """The faults that these lines tell of. Raises KeyError for an end without a begin."""
    faults: dict[int, Fault] = {}
    for line in lines:
        if isinstance(line, _Begin):
            faults[line.fault] = Fault(fault=line.fault, kind=line.kind, target=line.target, begin=line.at)
        elif isinstance(line, _End):
            begun = faults[line.fault]
            faults[line.fault] = Fault(
                fault=begun.fault,
                kind=begun.kind,
                target=begun.target,
                begin=begun.begin,
                end=line.at,
                effect=line.effect,
            )
    return tuple(sorted(faults.values(), key=lambda fault: fault.begin))


def _whole(text: bytes) -> list[_Begin | _End | _Plan]:
    try:
        return [_line(text)]
    except msgspec.DecodeError:
        return []


def _line(text: bytes) -> _Begin | _End | _Plan:
    return msgspec.json.decode(text, type=_Begin | _End | _Plan)
