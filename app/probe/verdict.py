"""The verdict: what was promised against what was read. Pure: the same history and readings, the same verdict.

What was read back, through whichever replica, holds everything that was acknowledged (else it is lost), may hold
what is unknown, and holds nothing else (a phantom), nor what was refused; nothing is there twice, and everything
is as it was sent. What the tail saw and what the views say is the same.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec

from app.probe import availability
from app.probe.faults import Fault
from app.probe.history import ACKNOWLEDGED, Fate, History

NAMED = 10  # ids of each finding that are named
OK = "ok"


class Stored(NamedTuple):
    """An event as it was read back."""

    seq: int
    id: str
    intact: bool = True


class Copy(NamedTuple):
    """Everything of the run, as read through one replica; `events` None: it could not be, for this reason."""

    url: str
    events: Sequence[Stored] | None
    reason: str = ""


class View(NamedTuple):
    """Another way of reading, and what it said where it did not agree. None: it could not be asked."""

    name: str
    agrees: bool | None = True
    detail: str = OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What was read. `tail`: numbers and ids in the order in which the tail saw them, None: nobody followed.

    `stale`: events that a read during the run did not show although their receipt had come before it began.
    """

    copies: Sequence[Copy]
    tail: Sequence[tuple[int, str]] | None = None
    views: Sequence[View] = ()
    stale: Sequence[str] = ()


class Named(msgspec.Struct, frozen=True):
    """An event of a finding, and what the ledger says of it."""

    id: str
    ledger: str


class Bite(msgspec.Struct, frozen=True, kw_only=True):
    """A fault, and whether it bit: a request was under way, and its effect was seen. Unix seconds."""

    fault: int
    kind: str
    target: str
    begin: float
    end: float | None
    effect: str | None
    under_way: int
    bit: bool


class Requests(msgspec.Struct, frozen=True, kw_only=True):
    """How requests fared: by what is known in the end, and by their attempts."""

    sent: int
    acknowledged: int
    refused: int
    unknown: int
    not_sent: int
    attempts: int
    errors_without_retry: int  # first attempts that were not acknowledged
    status_500: int
    by_status: dict[str, int]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, as --json gives it."""

    verdict: Literal["clean", "broken", "untested"]
    reasons: list[str]
    run: dict[str, object]
    requests: Requests
    events: dict[str, int]
    tail: dict[str, int]
    views: dict[str, str]
    availability: dict[str, float | None]
    latency_ms: dict[str, dict[str, float | None]]
    health: dict[str, float]
    faults: list[Bite]
    proof: dict[str, float | None]
    named: dict[str, list[Named]]

    @property
    def code(self) -> int:
        """The exit code."""
        return {"clean": 0, "broken": 1, "untested": 2}[self.verdict]


def judge(history: History, readings: Readings, faults: Sequence[Fault] | None = None) -> Verdict:
    """Judge a run; `faults` None: none were to be."""
    fates = history.fates()
    findings = _findings(fates, readings)
    tail = _tail(readings)
    bites = [_bite(fault, history) for fault in faults or ()]
    broken = [f"{name.replace('_', ' ')} {len(ids)}" for name, ids in findings.items() if ids]
    broken += [f"tail: {name} {count}" for name, count in tail.items() if count]
    broken += [f"{view.name}: {view.detail}" for view in readings.views if view.agrees is False]
    untested = _untested(fates, readings, bites, faulty=faults is not None)
    events = _events(history, fates, readings) | {name: len(ids) for name, ids in findings.items()}
    whole = availability.line(history, history.attempts)
    windows = [fault.window(history) for fault in faults or ()]
    outside, inside = availability.latencies(history, windows)
    ready, unready = availability.lies(history)
    requests = _requests(history)
    acknowledged = requests.acknowledged
    return Verdict(
        verdict="broken" if broken else "untested" if untested else "clean",
        reasons=broken + untested,
        run=_run(history),
        requests=requests,
        events=events,
        tail=tail,
        views={view.name: view.detail for view in readings.views},
        availability={
            "unavailable_seconds": round(availability.unavailable_seconds(whole), 1),
            "longest_gap_seconds": round(availability.longest_gap(history), 3),
            "first_ack_after_fault_seconds": availability.first_ack_after(history, [end for _, end in windows]),
        },
        latency_ms={"outside": _quantiles(outside), "inside": _quantiles(inside)},
        health={
            "ready_but_not_keeping_seconds": round(ready, 1),
            "unready_but_keeping_seconds": round(unready, 1),
        },
        faults=bites,
        proof={"requests": acknowledged, "below": 3 / acknowledged if acknowledged else None},
        named={
            name: [Named(id_, _said_of(history, id_)) for id_ in ids[:NAMED]]
            for name, ids in findings.items()
            if ids
        },
    )


def _findings(fates: Mapping[str, Fate], readings: Readings) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {
        name: set() for name in ("lost", "phantom", "refused_but_stored", "doubled", "corrupted")
    }
    acknowledged = {id_ for id_, fate in fates.items() if fate in ACKNOWLEDGED}
    for copy in readings.copies:
        if copy.events is None:
            continue
        there = Counter(event.id for event in copy.events)
        found["lost"] |= acknowledged - there.keys()
        found["phantom"] |= {id_ for id_ in there if fates.get(id_, "not-sent") == "not-sent"}
        found["refused_but_stored"] |= {id_ for id_ in there if fates.get(id_) == "refused"}
        found["doubled"] |= {id_ for id_, times in there.items() if times > 1}
        found["corrupted"] |= {event.id for event in copy.events if not event.intact}
    return {name: sorted(ids) for name, ids in found.items()} | {"stale": sorted(set(readings.stale))}


def _tail(readings: Readings) -> dict[str, int]:
    """`vanished`: seen by the tail, and not there at the end."""
    copy = _first(readings)
    if readings.tail is None or copy is None:
        return {"gaps": 0, "doubled": 0, "disordered": 0, "vanished": 0}
    seen = [seq for seq, _ in readings.tail]
    stored = {event.seq for event in copy}
    return {
        "gaps": len(stored - set(seen)),
        "doubled": len(seen) - len(set(seen)),
        "disordered": sum(after < before for before, after in pairwise(seen)),
        "vanished": len(set(seen) - stored),
    }


def _first(readings: Readings) -> Sequence[Stored] | None:
    return next((copy.events for copy in readings.copies if copy.events is not None), None)


def _untested(fates: Mapping[str, Fate], readings: Readings, bites: Sequence[Bite], *, faulty: bool) -> list[str]:
    reasons = [
        f"could not be read back through {copy.url}: {copy.reason}" for copy in readings.copies if copy.reason
    ]
    reasons += [f"{view.name}: {view.detail}" for view in readings.views if view.agrees is None]
    if not any(fate in ACKNOWLEDGED for fate in fates.values()):
        reasons.append("nothing was acknowledged")
    if faulty and not bites:
        reasons.append("the fault log has no fault in it")
    return reasons + [
        f"fault {bite.fault} ({bite.kind} {bite.target}) did not bite: {_why(bite)}"
        for bite in bites
        if not bite.bit
    ]


def _why(bite: Bite) -> str:
    return "no request was under way" if not bite.under_way else "no effect of it was seen"


def _bite(fault: Fault, history: History) -> Bite:
    under_way = fault.under_way(history)
    return Bite(
        fault=fault.fault,
        kind=fault.kind,
        target=fault.target,
        begin=fault.begin,
        end=fault.end,
        effect=fault.effect,
        under_way=under_way,
        bit=under_way > 0 and fault.effect is not None,
    )


def _run(history: History) -> dict[str, object]:
    plan = history.plan
    instances = {one.answer.instance for one in history.attempts if one.answer and one.answer.instance}
    return {
        "id": plan.run,
        "source": plan.source,
        "urls": list(plan.urls),
        "rate": plan.rate,
        "seconds": plan.seconds,
        "batch": plan.batch,
        "retry": plan.retry,
        "workers": plan.workers,
        "seed": plan.seed,
        "version": history.version,
        "instances": sorted(instances),
        "began": history.unix(history.began),
        "ended": history.unix(history.ended),
    }


def _requests(history: History) -> Requests:
    plan = history.plan
    fates: Counter[str] = Counter()
    for request in history.requests.values():
        places = {request.fate(place) for place in range(plan.batch)}
        order = ("unknown", "refused", "not-sent", "spooled", "committed")
        fates[min(places, key=order.index)] += 1
    answers = [one.answer for one in history.attempts]
    statuses = Counter(one.status for one in answers if one is not None and one.status is not None)
    return Requests(
        sent=len(history.requests),
        acknowledged=fates["committed"] + fates["spooled"],
        refused=fates["refused"],
        unknown=fates["unknown"],
        not_sent=fates["not-sent"],
        attempts=len(answers),
        errors_without_retry=sum(not one.attempts[0].acknowledged for one in history.requests.values()),
        status_500=statuses[500],
        by_status={str(status): statuses[status] for status in sorted(statuses)},
    )


def _events(history: History, fates: Mapping[str, Fate], readings: Readings) -> dict[str, int]:
    """`recovered`: acknowledged by a retry. `unknown_stored`: never acknowledged, and there."""
    counts = Counter(fates.values())
    there = {event.id for event in _first(readings) or ()}
    recovered = sum(
        fates[id_] in ACKNOWLEDGED and request.attempts[0].fate(place) not in ACKNOWLEDGED
        for request in history.requests.values()
        for place, id_ in enumerate(history.plan.events(request.id))
    )
    return {
        "sent": len(fates),
        "acknowledged": counts["committed"] + counts["spooled"],
        "committed": counts["committed"],
        "spooled": counts["spooled"],
        "refused": counts["refused"],
        "unknown": counts["unknown"],
        "not_sent": counts["not-sent"],
        "recovered": recovered,
        "unknown_stored": sum(fate == "unknown" and id_ in there for id_, fate in fates.items()),
    }


def _quantiles(ordered: Sequence[float]) -> dict[str, float | None]:
    shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
    found = {name: availability.quantile(ordered, share) for name, share in shares.items()}
    return {name: None if value is None else round(value, 2) for name, value in found.items()}


def _said_of(history: History, event: str) -> str:
    request = history.of(event)
    return "never sent" if request is None else request.words()
