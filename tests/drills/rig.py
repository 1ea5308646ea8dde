"""Rig: what drills are run on: processes, or containers; a cluster would fit in here too."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Protocol, Self

from tests.binaries import NotToBeHad

Verb = Callable[[float], Awaitable[str | None]]
"""Does something to a target for so many seconds, until it is over; says what was seen of it, None: nothing."""

Targets = Mapping[str, Mapping[str, Verb]]
"""Who can be done what: names of targets, and of their verbs."""


class NotHere(Exception):
    """This rig cannot be had on this machine; the message says why."""


class Assembled:
    """What is put together by `_start` on `_exits`, and taken apart again, also where that broke off."""

    def __init__(self) -> None:
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except NotToBeHad as reason:
            await self._exits.aclose()
            raise NotHere(str(reason)) from reason
        except BaseException:
            await self._exits.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exits.aclose()

    async def _start(self) -> None:
        """Start it. Raises NotToBeHad, NotHere."""
        raise NotImplementedError


class Rig(Protocol):
    """Everything that runs. It is there while its context is open, and ready from the first moment."""

    async def __aenter__(self) -> Self:
        """Start it. Raises NotHere."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        ...

    @property
    def urls(self) -> Sequence[str]:
        """Where clients find it: one URL, or one a replica."""
        ...

    @property
    def targets(self) -> Targets:
        """What faults can be injected."""
        ...

    @property
    def restarts(self) -> Mapping[str, Sequence[str]]:
        """Of every process that is supervised, why each restart was made."""
        ...

    async def stored(self, source: str) -> Counter[str]:
        """Ask the database itself: how often is each id of this source there?"""
        ...

    @property
    def logs(self) -> Mapping[str, str]:
        """What each process has written so far."""
        ...
