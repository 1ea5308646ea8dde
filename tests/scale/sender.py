"""Sender: a process that does what a collector's writer does, to one server or to several."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from app.events import Event
from app.main import BESIDE_FROM
from app.store import Kept
from app.writer import GroupCommit
from tests.scale.sharded import Sharded
from tests.store.bases import postgres_store
from tests.store.make import event

SOURCES = 64
WAITING = 10**6  # events: nothing is refused


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """So many clients at once, each of which sends so many events a request and waits for its answer."""

    clients: int
    events: int


@dataclass(frozen=True, slots=True)
class Sent:
    """What was kept, and in how many seconds."""

    events: int
    seconds: float


def sent(urls: Sequence[str], load: Load, seconds: float) -> Sent:
    """Keep events for so many seconds, then wait for the last answers."""
    return asyncio.run(_sent(urls, load, seconds))


async def _sent(urls: Sequence[str], load: Load, seconds: float) -> Sent:
    sharded = Sharded([postgres_store(url) for url in urls])
    # One for each server: a group is of one of them, so that none waits for another.
    writers = [GroupCommit[Event, Kept](sharded.keep, beside_from=BESIDE_FROM, max_waiting=WAITING) for _ in urls]
    loops = [asyncio.create_task(writer.run(lambda: None)) for writer in writers]
    requests = [event(source=f"web-{number}", data={"version": "1.4.2"}) for number in range(SOURCES)]
    await sharded.keep(requests, strict=False)  # connects
    began, numbers = time.monotonic(), count()

    async def client() -> int:
        kept = 0
        while time.monotonic() < began + seconds:
            events = [requests[next(numbers) % SOURCES] for _ in range(load.events)]
            places = sharded.split(events).items()
            await asyncio.gather(
                *(writers[place].submit([events[n] for n in these], size=0) for place, these in places)
            )
            kept += len(events)
        return kept

    try:
        kept = sum(await asyncio.gather(*(client() for _ in range(load.clients))))
        return Sent(kept, time.monotonic() - began)
    finally:
        for writer in writers:
            writer.close()
        await asyncio.gather(*loops)
        await sharded.close()
