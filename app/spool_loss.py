"""Whether the spool has lost entries: they were in it, are in it no longer, and nobody has drained them.

Its Redis was flushed, its volume lost, or an older copy restored. The stream's highest id would not tell: ids are
made of the time, so a spool that is emptied while it is filled goes on to higher ones. So each look asks for
entries that were there at the one before, and what drains leaves a mark of how far it came, which a flush takes
along with the rest. A process knows only of what was there while it ran.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from app.logs import log


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a look has shown: ids, "" for none. `present`: those of the entries asked for that are there."""

    newest: str
    drained: str  # all up to here, this one included, was taken out on purpose
    present: Collection[str]
    events: int


class Losses:
    """What this process knows to be in the spool. `on_lost` is called once for each loss."""

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost
        self._newest = ""  # at the last look
        self._events = 0  # at the last look
        self._added = ""  # the first entry of this process since
        self._added_events = 0

    @property
    def witnesses(self) -> Sequence[str]:
        """The ids of entries for the next look to ask for."""
        return [id_ for id_ in (self._newest, self._added) if id_]

    def added(self, id_: str, events: int) -> None:
        """This process has added an entry, and it is on disk."""
        self._added = self._added or id_
        self._added_events += events

    def looked(self, asked: Sequence[str], sight: Sight) -> None:
        """A look at a spool, which asked for these entries. One line for a loss, then it is forgotten."""
        drained = _order(sight.drained)
        if any(_order(id_) > drained and id_ not in sight.present for id_ in asked):
            log.error("the spool has lost events", waiting=self._events, added_since=self._added_events)
            self._on_lost()
        self._newest, self._events = sight.newest, sight.events
        # What was added while the look was under way is for the next one.
        if self._added in asked or _order(self._added) <= max(drained, _order(sight.newest)):
            self._added, self._added_events = "", 0


def _order(id_: str) -> tuple[int, int]:
    ms, _, number = id_.partition("-")
    return int(ms or 0), int(number or 0)
