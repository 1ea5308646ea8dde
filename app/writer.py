"""Group commit: many waiters, one commit, no timer.

1. While one commit is under way the next group forms; a lone submission waits for nobody. Once very much waits, a
   second commit goes beside the first, so that the one prepares its rows while the database works for the other.
2. A submission's items stay together and in order; one that must stand alone has its commit to itself.
3. What waits is bounded in items and bytes: past the bound the answer is no, at once.
4. A waiter that gives up takes nobody with it, and what it submitted is still committed.
"""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from app.errors import Draining, Overloaded

Item = TypeVar("Item")
Result = TypeVar("Result")
Commit = Callable[[Sequence[Item], bool], Awaitable[Sequence[Result]]]
IDLE_TURN = 1.0  # seconds after which an idle loop shows that it is alive


class _Submission(NamedTuple, Generic[Item, Result]):
    items: Sequence[Item]
    size: int
    alone: bool
    answer: "asyncio.Future[Sequence[Result]]"


class GroupCommit(Generic[Item, Result]):
    """Collects submissions into groups and hands each group to `commit`.

    A group has at most `max_items` and `max_bytes`, unless one submission has more. `commit(items, alone)` keeps
    the items for good and returns a result for each, in order; whatever it raises reaches all who wait for it.
    `beside_from`: items that have to wait for a second commit beside the first.
    """

    def __init__(
        self,
        commit: Commit[Item, Result],
        *,
        max_items: int = 4000,
        beside_from: float = math.inf,
        max_bytes: int = 64 * 2**20,
        max_waiting: int = 20_000,
        max_waiting_bytes: int = 64 * 2**20,
    ) -> None:
        self._commit = commit
        self._max_items = max_items
        self._beside_from = beside_from
        self._max_bytes = max_bytes
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._queue: deque[_Submission[Item, Result]] = deque()
        self._wake = asyncio.Event()
        self._much = asyncio.Event()
        self._closing = False
        self._queued = 0  # items that no commit has taken yet
        self.waiting = 0  # items, those being committed included
        self.waiting_bytes = 0

    def submit(
        self, items: Sequence[Item], *, size: int, alone: bool = False
    ) -> "asyncio.Future[Sequence[Result]]":
        """Their results, once `items`, of `size` bytes, are committed. Raises Overloaded or Draining at once; what
        commit raises comes with the future."""
        if self._closing:
            raise Draining(outcome="not_kept")
        if self.waiting + len(items) > self._max_waiting or self.waiting_bytes + size > self._max_waiting_bytes:
            raise Overloaded("too many events wait for their commit", outcome="not_kept")
        answer: asyncio.Future[Sequence[Result]] = asyncio.get_running_loop().create_future()
        self._queue.append(_Submission(items, size, alone, answer))
        self._queued += len(items)
        self.waiting += len(items)
        self.waiting_bytes += size
        self._wake.set()
        if self._queued >= self._beside_from:
            self._much.set()
        return answer

    async def run(self, beat: Callable[[], None]) -> None:
        """The loop: ends after `close` once nothing waits; `beat` is called at every turn."""
        beside = asyncio.create_task(self._run_beside())
        try:
            while self._queue or not self._closing:
                beat()
                if self._queue:
                    # No task of its own: the next commit begins in the very turn in which the last one ended.
                    await self._flush(self._take())
                else:
                    await self._idle()
            self._much.set()
            await beside
        finally:
            # However it ended: nobody is left to commit what still waits, nor what may yet come.
            self._closing = True
            beside.cancel()
            self._refuse(self._queue, Draining(outcome="not_kept"))

    def close(self) -> None:
        """Take nothing more; `run` commits what waits and ends."""
        self._closing = True
        self._wake.set()

    async def _run_beside(self) -> None:
        while not self._closing:
            self._much.clear()
            await self._much.wait()
            while self._queued >= self._beside_from:
                await self._flush(self._take())

    async def _idle(self) -> None:
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_TURN):
                await self._wake.wait()

    def _take(self) -> list[_Submission[Item, Result]]:
        group = [self._queue.popleft()]
        room, bytes_left = self._max_items - len(group[0].items), self._max_bytes - group[0].size
        while not group[0].alone and self._queue and not self._queue[0].alone:
            room -= len(self._queue[0].items)
            bytes_left -= self._queue[0].size
            if room < 0 or bytes_left < 0:
                break
            group.append(self._queue.popleft())
        self._queued -= sum(len(one.items) for one in group)
        return group

    async def _flush(self, group: list[_Submission[Item, Result]]) -> None:
        try:
            results = await self._commit([item for one in group for item in one.items], group[0].alone)
        except Exception as error:  # noqa: BLE001 - it is raised again, by every waiter
            self._refuse(group, error.with_traceback(None))
        except asyncio.CancelledError:
            self._refuse(group, Draining(outcome="unknown"))
            raise
        else:
            self._answer(group, results)
        finally:
            self.waiting -= sum(len(one.items) for one in group)
            self.waiting_bytes -= sum(one.size for one in group)

    @staticmethod
    def _refuse(waiting: Iterable[_Submission[Item, Result]], error: Exception) -> None:
        for one in waiting:
            if not one.answer.done():
                one.answer.set_exception(error)

    @staticmethod
    def _answer(group: list[_Submission[Item, Result]], results: Sequence[Result]) -> None:
        start = 0
        for one in group:
            end = start + len(one.items)
            # A waiter that went away has cancelled its future; its items are committed all the same.
            if not one.answer.done():
                one.answer.set_result(results[start:end])
            start = end
