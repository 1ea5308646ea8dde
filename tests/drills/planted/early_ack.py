"""Acknowledge before commit: the receipt follows the INSERT, and the COMMIT follows the receipt.

As where a framework commits a request's session once its response is sent. A collector that is killed in between
takes along what it has acknowledged: a drill that kills it must find events lost. Without a fault nobody notices
but who reads everything in that very moment: an event with a receipt is not there yet.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg
from asyncpg.transaction import Transaction

from app.events import Event
from app.store import Kept, commit
from app.store.commit import Committer, How
from tests.drills.planted import swap

LATE = 0.07  # seconds from the receipt to the commit; the next group waits for it

_open: WeakKeyDictionary[Committer, "asyncio.Task[None]"] = WeakKeyDictionary()


def plant() -> None:
    """Plant it, in what writes to PostgreSQL."""
    swap(Committer, "_persist", _persisting)
    swap(commit, "_insist", _insisting)


def _persisting(sound: Callable[..., Awaitable[list[Kept]]]) -> Callable[..., Awaitable[list[Kept]]]:
    async def persist(
        self: Committer, connection: asyncpg.Connection, events: Sequence[Event], *, strict: bool
    ) -> list[Kept]:
        if (before := _open.pop(self, None)) is not None:
            await before
        transaction = connection.transaction()
        await transaction.start()
        try:
            kept = await sound(self, connection, events, strict=strict)
        except Exception:
            await transaction.rollback()
            raise
        _open[self] = asyncio.create_task(_commit_late(transaction))
        return kept

    return persist


async def _commit_late(transaction: Transaction) -> None:
    await asyncio.sleep(LATE)
    # Nobody is left to be told.
    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await transaction.commit()


def _insisting(sound: Callable[..., Awaitable[list[Kept]]]) -> Callable[..., Awaitable[list[Kept]]]:
    """A statement that fails must not spoil the transaction: each attempt has a savepoint."""

    async def insist(
        connection: asyncpg.Connection, attempt: Callable[[How], Awaitable[list[Kept]]], how: How
    ) -> Any:
        async def guarded(how: How) -> list[Kept]:
            async with connection.transaction():
                return await attempt(how)

        return await sound(connection, guarded, how)

    return insist
