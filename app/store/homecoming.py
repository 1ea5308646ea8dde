"""Events that come back to the log that gave them their id: exported, kept elsewhere, sent again.

An event that came without an id has no row in `event_ids`, which would cost each of them one. What comes with an
id that a collector has given is therefore looked for in the log itself: by `time`, which an export bears, near the
number that the id's millisecond stands for. It can come back only after it was committed, so that nothing is
missed by looking before the order lock is held.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.events import Event, given_at, identified
from app.store import Kept

NEAR = (
    3_600_000  # milliseconds between the clock that gave an id and the one that numbers: skew, and a commit's wait
)

Row = tuple[int, str, str]  # seq, source, id


@dataclass(frozen=True, slots=True)
class Returning:
    """The events of a group that may have come back, by their places in it, and where to look for them."""

    events: Mapping[int, Event]
    times: Sequence[datetime]
    first: int
    last: int

    def places(self, rows: Iterable[Row]) -> dict[int, int]:
        """The numbers of those that are among these rows, with their places in the group."""
        seqs = {(source, id_): seq for seq, source, id_ in rows}
        return {
            seq: n for n, event in self.events.items() if (seq := seqs.get((event.source, event.id))) is not None
        }

    def kept(self, place: int, seq: int, content: tuple[str, str | None, str | None]) -> Kept:
        """What this event is, beside the one in the log: action, subject and data. Their times are equal."""
        event = self.events[place]
        action, subject, data = content
        known = Event(
            source=event.source, action=action, id=event.id, subject=subject, time=None, data=data, identity=None
        )
        there, here = identified(known).identity, event.identity
        same = there is not None and here is not None and there.content == here.untimed
        return Kept("duplicate" if same else "conflict", seq)


def returning(events: Sequence[Event]) -> Returning | None:
    """Those that may have; None where none may."""
    found = {}
    moments = []
    for n, event in enumerate(events):
        if event.identity is None or event.time is None or (moment := given_at(event.id)) is None:
            continue
        found[n] = event
        moments.append(moment)
    if not found:
        return None
    times = sorted({event.time for event in found.values() if event.time is not None})
    return Returning(found, times, (min(moments) - NEAR) * 1000, (max(moments) + NEAR) * 1000)
