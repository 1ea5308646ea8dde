"""The history: the lines of a ledger put together, request by request, and what its events may count on. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from app.probe.ledger import Answered, Began, Ended, Polled, Record, Sent
from app.probe.schedule import Plan

Fate = Literal["committed", "spooled", "refused", "unknown", "not-sent"]
ACKNOWLEDGED = ("committed", "spooled")
CONFLICT = 409


@dataclass(slots=True)
class Attempt:
    """One request on the wire."""

    sent: Sent
    answer: Answered | None = None

    @property
    def acknowledged(self) -> bool:
        """Whether there was a receipt for all of it."""
        return (
            self.answer is not None and self.answer.outcome == "ok" and "refused" not in self.answer.odd.values()
        )

    def fate(self, place: int) -> Fate:
        """What it says of its event at this place."""
        if self.answer is None:
            return "unknown"
        odd = self.answer.odd.get(place)
        if odd == "refused" or self.answer.outcome == "refused":
            return "refused"
        if self.answer.outcome != "ok":
            return self.answer.outcome
        return "spooled" if odd == "spooled" or (odd is None and self.answer.status == 202) else "committed"


@dataclass(slots=True)
class Request:
    """A request with all its attempts, of which there is at least one."""

    id: str
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def receipt(self) -> Attempt | None:
        """The attempt that was acknowledged."""
        return next((one for one in self.attempts if one.acknowledged), None)

    def fate(self, place: int) -> Fate:
        """What they say together of an event: a receipt stands, and what was in doubt once stays in doubt."""
        fates = [one.fate(place) for one in self.attempts]
        if any(one.answer is not None and one.answer.status == CONFLICT for one in self.attempts):
            # Another event is said to be in its place. If it is there all the same, that was a lie.
            return next((fate for fate in fates if fate in ACKNOWLEDGED), "refused")
        order: Sequence[Fate] = ("committed", "spooled", "unknown", "refused", "not-sent")
        return min(fates, key=order.index)

    def words(self) -> str:
        """What the ledger says of it, in a line."""
        return ", ".join(_words(one) for one in self.attempts)


@dataclass(slots=True, kw_only=True)
class History:
    """A run. Times are monotonic nanoseconds; `ahead`: what Unix time has over them, in nanoseconds."""

    plan: Plan
    version: str | None
    began: int
    ahead: int
    ended: int
    requests: dict[str, Request] = field(default_factory=dict)
    polls: list[Polled] = field(default_factory=list)

    @property
    def attempts(self) -> Iterator[Attempt]:
        """All of them, request by request."""
        return (attempt for request in self.requests.values() for attempt in request.attempts)

    def fates(self) -> dict[str, Fate]:
        """The events that were sent, by id."""
        return {
            id_: request.fate(place)
            for request in self.requests.values()
            for place, id_ in enumerate(self.plan.events(request.id))
        }

    def of(self, event: str) -> Request | None:
        """The request that an event was in."""
        return self.requests.get(event) or self.requests.get(event.rpartition("/")[0])

    def unix(self, at: int) -> float:
        """Unix time in seconds of a moment."""
        return (at + self.ahead) / 1e9

    def monotonic(self, unix: float) -> int:
        """The moment of a Unix time in seconds."""
        return round(unix * 1e9) - self.ahead


def history(records: Iterable[Record]) -> History:
    """Put the lines together; the first must be `Began`."""
    first, *rest = records
    if not isinstance(first, Began):
        raise ValueError("the first line is no run")  # noqa: TRY004 - it is the wrong line, not the wrong type
    found = History(
        plan=first.plan, version=first.version, began=first.at, ahead=round(first.wall * 1e9) - first.at, ended=0
    )
    latest, ended = first.at, None
    for record in rest:
        latest = max(latest, record.at)
        if isinstance(record, Sent):
            found.requests.setdefault(record.id, Request(record.id)).attempts.append(Attempt(record))
        elif isinstance(record, Answered):
            _find(found, record).answer = record
        elif isinstance(record, Polled):
            found.polls.append(record)
        elif isinstance(record, Ended):
            ended = record.at
    found.ended = latest if ended is None else ended
    return found


def _find(found: History, answer: Answered) -> Attempt:
    for attempt in found.requests[answer.id].attempts:
        if attempt.sent.attempt == answer.attempt:
            return attempt
    raise ValueError(f"{answer.id} was answered and not sent")


def _words(attempt: Attempt) -> str:
    answer = attempt.answer
    if answer is None:
        return "no answer"
    what = str(answer.status) if answer.status is not None else answer.error or answer.outcome
    who = f" by {answer.instance}" if answer.instance else ""
    seq = f" with seq {answer.seq}" if answer.seq else ""
    return f"{what}{who}{seq} after {(answer.at - attempt.sent.due) / 1e6:,.0f} ms"
