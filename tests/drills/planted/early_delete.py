"""Spool entry deleted before commit: the worker takes entries out of the spool, and stores them then.

As `LPOP` does, or an XACK at the beginning. Whatever the commit does not survive takes them along: a drill that
kills the worker, or takes the database away from it, in the middle of a drain must find events lost.
"""

from collections.abc import Awaitable, Callable

from app.spool import Entry, Spool
from tests.drills.planted import swap


def plant() -> None:
    """Plant it."""
    swap(Spool, "read", _popping)


def _popping(sound: Callable[..., Awaitable[list[Entry]]]) -> Callable[..., Awaitable[list[Entry]]]:
    async def read(self: Spool, max_events: int) -> list[Entry]:
        entries = await sound(self, max_events)
        await self.remove(entries)
        return entries

    return read
