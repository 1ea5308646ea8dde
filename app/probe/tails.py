"""The tails: they follow the run's events all the time, one page by page, one as a stream.

They follow closely, so that one is there when an event becomes visible behind a cursor that has been given out.
Where a replica does not answer they go on through the next one, with the same cursor.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

import httpx
import msgspec

from app.probe.client import Caller, reader
from app.probe.findings import Seen
from app.probe.readers import PAGE, Unreadable, decoded, next_cursor
from app.probe.schedule import Plan

PAUSE = 0.02  # seconds between two pages where nothing is new
AWAY_PAUSE = 0.2  # where a replica does not answer
SILENT_SECONDS = 20.0  # a stream says something every 15
CATCH_UP = 10.0  # seconds that a tail gets to come to the end


class _Place(msgspec.Struct):
    seq: int
    id: str


_places = msgspec.json.Decoder(list[_Place]).decode
_place = msgspec.json.Decoder(_Place).decode


class Tail(Protocol):
    """Who follows."""

    @property
    def seen(self) -> Seen:
        """All of it so far."""
        ...

    async def run(self) -> None:
        """Follow until cancelled."""
        ...

    async def catch_up(self, through: int) -> bool:
        """Wait until it has passed this number; False where it does not get there in time."""
        ...


def tails(plan: Plan) -> dict[str, Tail]:
    """One of each kind, by name."""
    return {"tail": PageTail(plan), "stream": StreamTail(plan)}


class PageTail:
    """Asks for the next page again and again."""

    def __init__(self, plan: Plan) -> None:
        self.seen: list[tuple[int, str]] = []
        self._plan = plan
        self._cursor: str | None = None
        self._looked = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled."""
        callers = [Caller(url) for url in self._plan.urls]
        turn = 0
        while True:
            try:
                grew = await self._look(callers[turn % len(callers)])
            except Unreadable:
                turn += 1
                await asyncio.sleep(AWAY_PAUSE)
            else:
                self._looked.set()
                await asyncio.sleep(0 if grew else PAUSE)

    async def catch_up(self, through: int) -> bool:
        """Wait until its cursor has passed this number, and it has looked twice more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP):
                while int(self._cursor or 0) < through:
                    await self._next_look()
                for _ in range(2):
                    await self._next_look()
                return True
        return False

    async def _next_look(self) -> None:
        self._looked.clear()
        await self._looked.wait()

    async def _look(self, caller: Caller) -> bool:
        further = {} if self._cursor is None else {"cursor": self._cursor}
        reply = await caller.get("/events", source=self._plan.source, order="asc", limit=str(PAGE), **further)
        if reply.status != 200:
            raise Unreadable(reply.error or f"GET /events answered {reply.status}")
        page = decoded(_places, reply.body)
        self.seen += ((one.seq, one.id) for one in page)
        self._cursor = next_cursor(reply.headers.get("link", "")) or self._cursor
        return bool(page)


class StreamTail:
    """Listens to Server-Sent Events, which come as soon as they are committed."""

    def __init__(self, plan: Plan) -> None:
        self.seen: list[tuple[int, str]] = []
        self._plan = plan
        self._cursor = "0"
        self._open = False
        self._grew = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled."""
        turn = 0
        while True:
            with contextlib.suppress(Unreadable, httpx.HTTPError):
                async with reader(self._plan.urls[turn % len(self._plan.urls)], seconds=SILENT_SECONDS) as http:
                    await self._listen(http)
            self._open = False
            turn += 1
            await asyncio.sleep(AWAY_PAUSE)

    async def catch_up(self, through: int) -> bool:
        """Wait until this number was shown. Where it listens and still is not shown it, that is a gap."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP):
                while not self.seen or self.seen[-1][0] < through:
                    self._grew.clear()
                    await self._grew.wait()
        return self._open

    async def _listen(self, http: httpx.AsyncClient) -> None:
        asked = {"source": self._plan.source, "cursor": self._cursor}
        async with http.stream("GET", "/events/stream", params=asked) as answer:
            if answer.status_code != 200:
                raise Unreadable(f"GET /events/stream answered {answer.status_code}")
            self._open = True
            async for frame in _frames(answer):
                self._take(frame)

    def _take(self, frame: bytes) -> None:
        fields = dict(_field(line) for line in frame.split(b"\n"))
        if b"data" in fields and b"event" not in fields:
            event = decoded(_place, fields[b"data"])
            self.seen.append((event.seq, event.id))
            self._grew.set()
        self._cursor = fields.get(b"id", self._cursor.encode()).decode()


async def _frames(answer: httpx.Response) -> AsyncIterator[bytes]:
    left = b""
    async for piece in answer.aiter_bytes():
        *frames, left = (left + piece).split(b"\n\n")
        for frame in frames:
            yield frame


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name, value.removeprefix(b" ")
