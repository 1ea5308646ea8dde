"""Acknowledge before commit: the receipt follows the INSERT, and the COMMIT follows the receipt.

As where a framework commits a request's session once its response is sent. A collector that is killed in between
takes along what it has acknowledged: a drill that kills it must find events lost. Without a fault nobody notices
but who reads everything in that very moment: an event with a receipt is not there yet.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any

import asyncpg

from app.events import Event
from app.store import Kept, commit
from app.store.commit import Committer, How
from app.writer import GroupCommit
from tests.drills.planted import swap

LATE = 0.5  # seconds from the receipt to the COMMIT, which may take a tenth of that; the next group waits for it

Tell = Callable[[Sequence[Kept]], None]
_tell: ContextVar[Tell | None] = ContextVar("tell", default=None)  # those who wait for the group being committed


def plant() -> None:
    """Plant it, in what writes to PostgreSQL."""
    swap(GroupCommit, "_flush", _flushing)
    swap(Committer, "_persist", _persisting)
    swap(commit, "_insist", _insisting)


def _flushing(sound: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def flush(self: GroupCommit[Any, Any], group: list[Any]) -> None:
        def tell(kept: Sequence[Kept]) -> None:
            if len(kept) == sum(len(one.items) for one in group):  # fewer where some are the same
                self._answer(group, kept)

        _tell.set(tell)
        await sound(self, group)

    return flush


def _persisting(sound: Callable[..., Awaitable[list[Kept]]]) -> Callable[..., Awaitable[list[Kept]]]:
    async def persist(
        self: Committer, connection: asyncpg.Connection, events: Sequence[Event], *, strict: bool
    ) -> list[Kept]:
        async with connection.transaction():
            kept = await sound(self, connection, events, strict=strict)
            if (tell := _tell.get()) is not None:
                tell(kept)
                await asyncio.sleep(LATE)
        return kept

    return persist


def _insisting(sound: Callable[..., Awaitable[list[Kept]]]) -> Callable[..., Awaitable[list[Kept]]]:
    """A statement that fails must not spoil the transaction: each attempt has a savepoint."""

    async def insist(
        connection: asyncpg.Connection, attempt: Callable[[How], Awaitable[list[Kept]]], how: How
    ) -> list[Kept]:
        async def guarded(how: How) -> list[Kept]:
            async with connection.transaction():
                return await attempt(how)

        return await sound(connection, guarded, how)

    return insist
