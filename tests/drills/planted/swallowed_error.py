"""Database error swallowed: what the commit raises is caught on the write path, and the answer is 201.

As where somebody once wanted the errors of a bad night to stop. A drill that takes the database away must find
what was acknowledged meanwhile lost.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import count

from app.errors import Unavailable
from app.events import Event
from app.main import Collector
from app.store import Kept
from tests.drills.planted import swap


def plant() -> None:
    """Plant it."""
    swap(Collector, "_commit", _swallowing)


def _swallowing(sound: Callable[..., Awaitable[Sequence[Kept]]]) -> Callable[..., Awaitable[Sequence[Kept]]]:
    async def commit(self: Collector, events: Sequence[Event], alone: bool) -> Sequence[Kept]:
        try:
            return await sound(self, events, alone)
        except Unavailable:
            numbers = count(time.time_ns() // 1000)  # like those that the database gives
            return [Kept("new", next(numbers), datetime.now(UTC)) for _ in events]

    return commit
