"""Acknowledge after Redis only: 201 as soon as an event is in the stream, from which the worker stores it soon.

As where Redis is put before the database "for speed". Whatever empties Redis takes along what the worker has not
stored yet: a drill that flushes it while the worker is behind, with the database up, must find events lost.
Without a fault nobody notices but who reads everything in that very moment: an event with a receipt is not there
yet.
"""

import asyncio
from collections.abc import Callable, Sequence

from app.events import Event
from app.formats import Batch
from app.ingest import Ingest
from app.store import Kept
from app.writer import GroupCommit
from tests.drills.planted import swap

Answer = asyncio.Future[Sequence[Kept]]


def plant() -> None:
    """Plant it; only for collectors that have a Redis and a worker, or SQLite."""
    swap(Ingest, "_submit", _spooling)
    swap(Ingest, "begin", lambda _: lambda *_: None)  # no shortcut to the writer


def _spooling(sound: Callable[..., Answer]) -> Callable[..., Answer]:
    def submit(self: Ingest, batch: Batch, *, size: int, strict: bool) -> Answer:
        if not batch.events or self._spool is None:
            return sound(self, batch, size=size, strict=strict)
        return asyncio.create_task(_spooled(self._spool, batch.events, size))

    return submit


async def _spooled(spool: GroupCommit[Event, Kept], events: Sequence[Event], size: int) -> Sequence[Kept]:
    # The number is not known, so the receipt bears none that means anything.
    return [Kept("new", 0, one.at) for one in await spool.submit(events, size=size)]
