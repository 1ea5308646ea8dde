"""Probes: requests of every sort, again and again, with what each answered and how long it took."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tests.faults.wire import Answer, ask, event

EVERY = 0.3  # seconds between requests of one sort; they overlap where answers take longer
SORTS = ("POST /events", "GET /events", "GET /readyz", "GET /healthz")


@dataclass(frozen=True, slots=True)
class Probe:
    """One request."""

    sort: str
    sent: float
    seconds: float
    answer: Answer


class Probes:
    """Asks while the context is open; its end waits for every answer."""

    def __init__(self, port: int, source: str = "probes") -> None:
        self.done: list[Probe] = []
        self._port = port
        self._source = source
        self._tasks: list[asyncio.Task[None]] = []
        self._clock: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._clock = asyncio.create_task(self._go())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._clock is not None
        self._clock.cancel()
        await asyncio.gather(*self._tasks)

    def of(self, sort: str) -> list[Probe]:
        """Those of one sort."""
        return [one for one in self.done if one.sort == sort]

    @property
    def slowest(self) -> dict[str, float]:
        """The longest that each sort took."""
        return {sort: round(max((one.seconds for one in self.of(sort)), default=0), 2) for sort in SORTS}

    async def _go(self) -> None:
        number = 0
        while True:
            number += 1
            for sort in SORTS:
                self._tasks.append(asyncio.create_task(self._ask(sort, number)))
            await asyncio.sleep(EVERY)

    async def _ask(self, sort: str, number: int) -> None:
        method, path = sort.split()
        body = event(self._source, str(number)) if method == "POST" else None
        sent = time.monotonic()
        answer = await ask(self._port, method, path, body)
        self.done.append(Probe(sort, sent, time.monotonic() - sent, answer))


async def seconds_until(
    port: int, sort: str, good: Callable[[Answer], bool] = lambda answer: answer.status < 300
) -> float:
    """Ask until the answer is good; the seconds that it took."""
    method, path = sort.split()
    began = time.monotonic()
    number = 0
    while True:
        number += 1
        body = event(f"until-{began}", str(number)) if method == "POST" else None
        if good(await ask(port, method, path, body)):
            return time.monotonic() - began
        await asyncio.sleep(0.02)
