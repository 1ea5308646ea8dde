"""The crowd: how many connections may be open, and what becomes of those who come when there are as many.

1. One that is idle makes room, the one that has been for longest; its client opens another when it needs one.
2. Without such a one a newcomer is let in for one question alone: a probe is answered, anything else is told 503.
   So whoever watches this process still sees it, though it takes nobody in.
3. Those who are let in so and say nothing make room for the next of their kind, or they would shut out the probes
   as well. Each has a moment first: what it has sent is read before it is judged.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

from app.deadlines import IDLE, Deadlines, Member, Rounds
from app.logs import log

PROBES = frozenset((b"/healthz", b"/readyz", b"/ready", b"/metrics"))
SPARE = 64  # guests, beyond the limit, that may be here at a time
PATIENCE = 1.0  # seconds in which a guest's head has to be there
MOMENT = 0.02  # seconds from a guest that is one too many to asking the oldest to leave
SETTLED = 1.0  # seconds after which an idle connection may make room: its client is not about to send
SEARCH_EVERY = 0.1  # seconds between two searches for idle ones, which look at all
CALM = 5.0  # seconds without a refusal, after which all is well again


class Visitor(Member, Protocol):
    """A connection."""

    @property
    def settled(self) -> bool:
        """Whether its client has taken all that it was answered."""
        ...

    def make_room(self) -> None:
        """Close: it is idle."""
        ...

    def turn_away(self) -> None:
        """Close, unless what it has asked for is being answered: it is a guest."""
        ...


class Crowd:
    """The connections of a process, at most `limit`; `cut` counts those that are ended by us, by the reason."""

    def __init__(self, limit: int, deadlines: Deadlines, cut: Callable[[str], None]) -> None:
        self.limit = limit
        self.deadlines = deadlines
        self.cut = cut
        self._rounds: Rounds[Visitor] = Rounds(deadlines)
        self._guests: dict[Visitor, None] = {}  # the oldest first
        self._trimming = False
        self._idle: deque[tuple[float, Visitor]] = (
            deque()
        )  # when each would be closed: the first has been idle longest
        self._searched = -math.inf
        self._refused_at: float | None = None

    @property
    def size(self) -> int:
        """Connections that are open."""
        return len(self._rounds.members)

    def enter(self, newcomer: Visitor) -> bool:
        """Somebody has come: whether to stay, or as a guest."""
        stays = self._has_room() or self._make_room()
        self._rounds.join(newcomer)
        if not stays:
            self._guests[newcomer] = None
            if len(self._guests) > SPARE and not self._trimming:
                self._trimming = True
                asyncio.get_running_loop().call_later(MOMENT, self._trim)
        return stays

    def admit(self, guest: Visitor) -> bool:
        """Whether a guest may stay after all."""
        if not (self._has_room() or self._make_room()):
            return False
        self._guests.pop(guest, None)
        return True

    def leave(self, one: Visitor) -> None:
        """Its connection has ended."""
        self._rounds.part(one)
        self._guests.pop(one, None)

    def patience(self, *, guest: bool) -> float:
        """Seconds in which somebody who has come has to begin."""
        return min(PATIENCE, self.deadlines.head) if guest else self.deadlines.head

    def refused(self) -> None:
        """A guest has been refused. The first time there is a line in the log, and another when it is over."""
        self.cut("crowd")
        loop = asyncio.get_running_loop()
        if self._refused_at is None:
            log.warning("connections are refused", open=self.size, limit=self.limit)
            loop.call_later(CALM, self._calm_down, loop)
        self._refused_at = loop.time()

    def _has_room(self) -> bool:
        return self.size - len(self._guests) < self.limit

    def _make_room(self) -> bool:
        now = asyncio.get_running_loop().time()
        if not self._idle and now - self._searched >= SEARCH_EVERY:
            self._searched = now
            latest = now + self.deadlines.idle - SETTLED
            found = [
                (one.pace.due, one)
                for one in self._rounds.members
                if one.pace.stage == IDLE and one.pace.due <= latest and one.settled
            ]
            self._idle.extend(sorted(found, key=lambda each: each[0]))
        while self._idle:
            due, one = self._idle.popleft()
            if one.pace.stage == IDLE and one.pace.due == due:
                one.make_room()
                return True
        return False

    def _trim(self) -> None:
        self._trimming = False
        for guest in list(self._guests)[: max(0, len(self._guests) - SPARE)]:
            guest.turn_away()

    def _calm_down(self, loop: asyncio.AbstractEventLoop) -> None:
        quiet = loop.time() - (self._refused_at or 0.0)
        if quiet < CALM:
            loop.call_later(CALM - quiet, self._calm_down, loop)
        else:
            self._refused_at = None
            log.info("connections are no longer refused", open=self.size, limit=self.limit)
