"""Deadlines: by when what a client sends has to be there.

1. A head has so many seconds from its first byte; a connection that has said nothing, as many from its beginning.
2. A body has so many seconds from its head on, and one more for every SLOWEST bytes of it that have come. That is
   measured over the whole: no drip puts it off for long, and a large body on a slow but honest line comes through.
3. The clock stands still while it is the client who waits: for an answer before this one, or for us to read.
4. Nobody has a timer of their own: one for all looks at every connection in turn, and a request costs it nothing.
"""

import asyncio
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from app.body import MAX_BODY

SLOWEST = 8 * 1024  # bytes a second: the slowest line that a large body may come on, 64 kbit/s
EVERY = 1.0  # seconds between two looks, unless a deadline is shorter than some of them

# How far a connection has come with what it sends.
SILENT, HEAD, BODY, WHOLE, IDLE, LEAVING = range(6)


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """In seconds: for a head, for a body, and for the next request."""

    head: float
    body: float
    idle: float = 75  # longer than the proxies before us keep theirs, so that they close first


class Pace:
    """Where one connection stands. `due`, by the loop's clock: when it is late, but where all is there (WHOLE)."""

    __slots__ = ("_deadlines", "_fresh", "begun", "due", "received", "stage")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._fresh = False  # whether what is not whole yet began in this read
        self.begun = 0  # heads that began in this read: who reads sets it to 0 before
        self.received = 0  # bytes of what is not whole yet
        self.stage = SILENT
        self.due = math.inf

    def await_head(self, due: float) -> None:
        """The connection has begun."""
        self.due = due

    def begin(self) -> None:
        """A head begins."""
        self.stage = HEAD
        self._fresh = True
        self.begun += 1

    def body(self) -> None:
        """A head is there."""
        self.stage = BODY
        self._fresh = True

    def idle(self, due: float) -> None:
        """All is there, and answered."""
        self.stage = IDLE
        self.due = due

    def leave(self, due: float) -> None:
        """The last word has been said."""
        self.stage = LEAVING
        self.due = due

    def read(self, before: int, length: int, now: float) -> None:
        """After a read of so many bytes, where a head or a body is not whole. `before`: the stage before it."""
        if not self._fresh:
            if self.stage == BODY and self.received < MAX_BODY:
                self.due += length / SLOWEST
            self.received += length
        elif self.stage == HEAD:
            self.due = now + self._deadlines.head
            # Behind other requests in the same read, nobody knows where it began: those bytes are not counted.
            alone = self.begun == 1 and before not in (HEAD, BODY)
            self.received = length if alone else 0
        else:
            self.due = now + self._deadlines.body
            self.received = 0
        self._fresh = False


class Member(Protocol):
    """A connection that is looked after."""

    pace: Pace

    @property
    def held(self) -> bool:
        """Whether what it has half sent has to wait for us."""
        ...

    def be_late(self) -> None:
        """Its time is over."""
        ...


One = TypeVar("One", bound=Member)


class Rounds(Generic[One]):
    """Looks after connections, as long as there are any."""

    def __init__(self, deadlines: Deadlines) -> None:
        self.members: set[One] = set()
        self._every = min(EVERY, deadlines.head / 8, deadlines.body / 8)
        self._looked = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def join(self, member: One) -> None:
        """Look after this one too."""
        self.members.add(member)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._looked = loop.time()
            self._timer = loop.call_later(self._every, self._look, loop)

    def part(self, member: One) -> None:
        """It has ended."""
        self.members.discard(member)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        passed, self._looked = now - self._looked, now
        self._timer = loop.call_later(self._every, self._look, loop) if self.members else None
        # What the loop itself was late by is nobody's fault: what they sent meanwhile has not been read.
        _judge(tuple(self.members), now, passed=passed, ours=max(0.0, passed - 2 * self._every))


def _judge(members: Iterable[Member], now: float, *, passed: float, ours: float) -> None:
    for member in members:
        pace = member.pace
        if pace.stage == WHOLE:
            continue
        if pace.stage in (HEAD, BODY) and member.held:
            pace.due += passed
        else:
            pace.due += ours
        if pace.due <= now:
            member.be_late()
