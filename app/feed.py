"""Who is told of new events. A wake-up only: what is read, and from where, is the reader's own business."""

import asyncio


class Feed:
    """In one process. `position` is the highest number that was announced."""

    def __init__(self) -> None:
        self.position = 0
        self.waiting = 0
        self.closed = False
        self._news = asyncio.Event()

    def publish(self, position: int) -> None:
        """Announce that events up to `position` can be read."""
        if position > self.position:
            self.position = position
            self._wake()

    def close(self) -> None:
        """Wake everyone for the last time."""
        self.closed = True
        self._wake()

    async def wait(self, seen: int, seconds: float) -> None:
        """Return once there is more than `seen`, or the feed is closed, or after `seconds`."""
        self.waiting += 1
        try:
            async with asyncio.timeout(seconds):
                while self.position <= seen and not self.closed:
                    await self._news.wait()
        except TimeoutError:
            pass
        finally:
            self.waiting -= 1

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
