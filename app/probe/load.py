"""The load: requests at a fixed schedule, whether or not the last one was answered. asyncio.

1. A request is sent when it is due, on its worker's connection, or on another one where that is still busy. What
   waits is counted from when it was due, so that a stall is not hidden.
2. With retries: at most three quick attempts, then a slow tail. That is one queue for all, emptied by few: while
   nobody answers they knock now and then, and once somebody does they go on without a pause. So an outage under
   load is not followed by a storm.
"""

import asyncio
import contextlib
import heapq
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.probe.answer import Said, said
from app.probe.client import Caller, Reply
from app.probe.ledger import Answered, Ended, Ledger, Sent
from app.probe.schedule import Plan
from app.probe.watch import Watch

QUICK_ATTEMPTS = 3
QUICK_PAUSE = 0.1  # seconds before the second attempt at most, twice that before the third
SLOW_PAUSE = (0.5, 1.0)  # seconds between two attempts of one who knocks in vain
LOOK = 0.05  # seconds between two looks at the queue
IN_FLIGHT = 400  # requests at once: what is past them waits, and is measured from when it was due


@dataclass(order=True, slots=True)
class _Parcel:
    """A request on its way; `not_before`: when it may be sent again, in monotonic seconds."""

    not_before: float
    number: int
    id: str = field(compare=False)
    body: bytes = field(compare=False)
    due: int = field(compare=False)
    attempt: int = field(default=0, compare=False)


class Load:
    """Sends a plan and writes its history."""

    def __init__(self, plan: Plan, ledger: Ledger, watch: Watch) -> None:
        self._plan = plan
        self._ledger = ledger
        self._watch = watch
        self._callers = [
            Caller(plan.urls[plan.url(worker)], keep=0 if plan.fresh(worker) else 1)
            for worker in range(plan.workers)
        ]
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._queue: list[_Parcel] = []
        self._open = 0  # in the queue, or just sent from it
        self._empty = asyncio.Event()
        self._empty.set()
        self._over = False
        self._chance = random.Random(plan.seed)  # noqa: S311 - it spreads retries, it guards nothing

    async def run(self, stop: asyncio.Event, settle: float) -> None:
        """Send until the plan is done or `stop` is set; then wait `settle` seconds for what is still open."""
        tail = [asyncio.create_task(self._knock()) for _ in self._callers]
        firsts: set[asyncio.Task[None]] = set()
        async for parcel in self._parcels(stop):
            await self._slots.acquire()
            task = asyncio.create_task(self._first(parcel))
            firsts.add(task)
            task.add_done_callback(firsts.discard)
        self._ledger.append(Ended(at=time.monotonic_ns(), wall=time.time()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settle):
                await asyncio.gather(*map(asyncio.shield, firsts))
                await self._empty.wait()
        self._over = True
        await asyncio.gather(*firsts)
        await asyncio.gather(*tail)
        for caller in self._callers:
            caller.close()

    async def _parcels(self, stop: asyncio.Event) -> AsyncIterator[_Parcel]:
        self._watch.begin()
        for number in range(self._plan.requests):
            due = self._watch.began + round(self._plan.due(number) * 1e9)
            if (wait := (due - time.monotonic_ns()) / 1e9) > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await stop.wait()
            if stop.is_set():
                return
            id_ = self._plan.request(number)
            yield _Parcel(0.0, number, id_, self._plan.body(id_, datetime.now(UTC)), due)

    async def _first(self, parcel: _Parcel) -> None:
        """The quick attempts. Between two of them no place is held."""
        while True:
            try:
                what, reply = await self._send(parcel)
            finally:
                self._slots.release()
            if not (what.again and self._plan.retry):
                return
            pause = QUICK_PAUSE * parcel.attempt * self._chance.uniform(0.5, 1)
            if parcel.attempt == QUICK_ATTEMPTS or (reply.retry_after or 0) > pause:
                self._open += 1
                self._empty.clear()
                self._put_off(parcel, reply)
                return
            await asyncio.sleep(pause)
            await self._slots.acquire()

    async def _knock(self) -> None:
        """One of the few who empty the queue."""
        while not self._over:
            if not self._queue or self._queue[0].not_before > time.monotonic():
                await asyncio.sleep(LOOK)
                continue
            parcel = heapq.heappop(self._queue)
            what, reply = await self._send(parcel)
            if what.again:
                self._put_off(parcel, reply)
                await asyncio.sleep(self._chance.uniform(*SLOW_PAUSE))
                continue
            self._open -= 1
            if not self._open:
                self._empty.set()

    def _put_off(self, parcel: _Parcel, reply: Reply) -> None:
        pause = max(self._chance.uniform(*SLOW_PAUSE), (reply.retry_after or 0) * self._chance.uniform(1, 1.2))
        parcel.not_before = time.monotonic() + pause
        heapq.heappush(self._queue, parcel)

    async def _send(self, parcel: _Parcel) -> tuple[Said, Reply]:
        parcel.attempt += 1
        self._ledger.append(
            Sent(
                id=parcel.id,
                attempt=parcel.attempt,
                url=self._plan.url(parcel.number),
                fresh=self._plan.fresh(parcel.number),
                due=parcel.due,
                at=time.monotonic_ns(),
                wall=time.time(),
            )
        )
        reply = await self._callers[self._plan.worker(parcel.number)].post("/events", parcel.body)
        answered = self._answered(parcel, what := self._said(parcel, reply), reply)
        self._ledger.append(answered)
        self._watch.note(answered, parcel.due, self._plan.events(parcel.id))
        return what, reply

    def _said(self, parcel: _Parcel, reply: Reply) -> Said:
        if reply.status is None:
            return Said("unknown" if reply.sent else "not-sent", error=reply.error, again=True)
        events = self._plan.events(parcel.id)
        return said(reply.status, reply.body, events, batch=self._plan.batch > 1)

    def _answered(self, parcel: _Parcel, what: Said, reply: Reply) -> Answered:
        return Answered(
            id=parcel.id,
            attempt=parcel.attempt,
            at=time.monotonic_ns(),
            wall=time.time(),
            outcome=what.outcome,
            status=reply.status,
            retry_after=reply.retry_after,
            error=what.error,
            instance=reply.instance,
            age=reply.age,
            seq=what.seq,
            odd=dict(what.odd),
        )
