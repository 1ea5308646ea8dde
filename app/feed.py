"""Who is told of new events. A wake-up only: what is read, and from where, is the reader's own business."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

LISTEN_EVERY = 0.5  # seconds between two looks into the database for what other processes committed


class News(Protocol):
    """What this process and others tell each other. It may be lost or false: the database says what there is."""

    def announce(self, position: int) -> None:
        """Say that events up to `position` are committed."""
        ...

    async def wait(self) -> int | None:
        """The highest position that was heard, or None where it is time to look without having heard of one."""
        ...


class NoNews:
    """The news of who hears of nobody."""

    def announce(self, position: int) -> None:
        """Nothing."""

    async def wait(self) -> int | None:
        """None, after a while."""
        await asyncio.sleep(LISTEN_EVERY)
        return None


def _to_nobody(_: int) -> None:
    """There is no other process."""


class Feed:
    """In one process. `position` is the highest number that is known to be readable, from the database alone.

    `announce` tells other processes of what this one has committed.
    """

    def __init__(self, announce: Callable[[int], None] = _to_nobody) -> None:
        self.position = 0
        self.followers = 0
        self.closed = False
        self._announce = announce
        self._news = asyncio.Event()

    def publish(self, position: int) -> None:
        """This process has committed events up to `position`."""
        self._announce(position)
        self.reach(position)

    def reach(self, position: int) -> None:
        """Events up to `position` can be read, whoever committed them."""
        if position > self.position:
            self.position = position
            self._wake()

    def close(self) -> None:
        """Wake everyone for the last time."""
        self.closed = True
        self._wake()

    async def wait(self, seen: int, seconds: float) -> None:
        """Return once there is more than `seen`, or the feed is closed, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self.position <= seen and not self.closed:
                    await self._news.wait()
        except TimeoutError:
            pass

    @contextmanager
    def following(self) -> Iterator[None]:
        """While somebody follows: from before it reads, so that no news falls between its reading and waiting."""
        self.followers += 1
        try:
            yield
        finally:
            self.followers -= 1

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
