"""The findings: where what was read is not what was promised. Pure.

What was read back, through whichever replica, holds everything that was acknowledged (else it is lost), may hold
what is unknown, and holds nothing else (a phantom), nor what was refused; nothing is there twice, and everything
is as it was sent. What the tails saw is the same.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from app.probe.history import ACKNOWLEDGED, Fate

OK = "ok"
Seen = Sequence[tuple[int, str]]  # numbers and ids, in the order in which a tail was shown them


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
    """What was read. `tails`: what those who followed were shown, by name.

    `stale`: events that a read during the run did not show although their receipt had come before it began.
    """

    copies: Sequence[Copy]
    tails: Mapping[str, Seen] = field(default_factory=dict)
    views: Sequence[View] = ()
    stale: Sequence[str] = ()

    @property
    def events(self) -> Sequence[Stored] | None:
        """The first of the copies that could be read."""
        return next((copy.events for copy in self.copies if copy.events is not None), None)


def findings(fates: Mapping[str, Fate], readings: Readings) -> dict[str, list[str]]:
    """The ids of each finding, in order."""
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


def followed(seen: Seen, events: Sequence[Stored]) -> dict[str, int]:
    """How one tail differs from what is stored. `vanished`: it was shown, and is not there at the end."""
    shown = [seq for seq, _ in seen]
    stored = {event.seq for event in events}
    return {
        "gaps": len(stored - set(shown)),
        "doubled": len(shown) - len(set(shown)),
        "disordered": sum(after < before for before, after in pairwise(shown)),
        "vanished": len(set(shown) - stored),
    }


def missed(tails: Mapping[str, Seen], events: Sequence[Stored]) -> list[str]:
    """The ids of the events that one of the tails was not shown, in order."""
    shown = [{seq for seq, _ in seen} for seen in tails.values()]
    return sorted({event.id for event in events if any(event.seq not in seqs for seqs in shown)})
