"""The readers: one follows the cursor all the time, one reads everything now and then, one asks /readyz.

The tail follows closely, so that it is there when an event becomes visible behind a cursor that has been given
out. It goes on through another replica with the same cursor where one does not answer.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec

from app.probe.client import Caller, reader
from app.probe.ledger import Ledger, Polled
from app.probe.schedule import Plan, Read
from app.probe.verdict import Copy, Stored
from app.probe.watch import Watch

TAIL_PAUSE = 0.02  # seconds between two looks of the tail where nothing is new
AWAY_PAUSE = 0.2  # where a replica does not answer
PAGE = 1000
FULL_EVERY = 10.0  # seconds between two full reads during the run
FULL_SHARE = 20  # and as many times what the last one took, so that it does not grow into a load of its own
POLL_EVERY = 0.2  # seconds between two questions to /readyz
POLL_SECONDS = 1.0  # for its answer
NDJSON = {"accept": "application/x-ndjson"}


class _Place(msgspec.Struct):
    seq: int
    id: str


Body = TypeVar("Body")
_places = msgspec.json.Decoder(list[_Place]).decode
_place = msgspec.json.Decoder(_Place).decode
_read = msgspec.json.Decoder(Read).decode


class Unreadable(Exception):
    """A replica did not give what was asked for."""


class Tail:
    """Follows the run's events by cursor. `seen`: numbers and ids, in the order in which they were shown."""

    def __init__(self, plan: Plan) -> None:
        self.seen: list[tuple[int, str]] = []
        self._plan = plan
        self._cursor: str | None = None
        self._looked = asyncio.Event()

    async def run(self) -> None:
        """Until it is cancelled."""
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
                await asyncio.sleep(0 if grew else TAIL_PAUSE)

    async def catch_up(self, through: int, seconds: float) -> bool:
        """Wait until it has passed this number, and looked twice more; whether it did in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
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


async def copy(url: str, source: str) -> Copy:
    """Everything of the run, through one replica."""
    try:
        async with reader(url) as http:
            return Copy(url, [event async for event in _all(http, source)])
    except Unreadable as error:
        return Copy(url, None, str(error))


async def _all(http: httpx.AsyncClient, source: str) -> AsyncIterator[Stored]:
    async for line in _lines(http, source):
        event = decoded(_read, line)
        yield Stored(event.seq, event.id, event.intact(source))


async def _lines(http: httpx.AsyncClient, source: str) -> AsyncIterator[bytes]:
    left = b""
    try:
        async with http.stream(
            "GET", "/events", params={"source": source, "order": "asc"}, headers=NDJSON
        ) as answer:
            if answer.status_code != 200:
                raise Unreadable(f"GET /events answered {answer.status_code}")
            async for piece in answer.aiter_bytes():
                *lines, left = (left + piece).split(b"\n")
                for line in lines:
                    yield line
    except httpx.HTTPError as error:
        raise Unreadable(f"GET /events: {type(error).__name__}") from None
    if left:
        raise Unreadable("GET /events ended in the middle of a line")


async def reread(plan: Plan, watch: Watch, stale: list[str]) -> None:
    """Read everything again and again until it is cancelled; what a read should have shown goes into `stale`."""
    pause, turn = FULL_EVERY, 0
    while True:
        await asyncio.sleep(pause)
        began, promised = time.monotonic(), len(watch.committed)
        with contextlib.suppress(Unreadable):
            async with reader(plan.urls[turn % len(plan.urls)]) as http:
                there = {decoded(_place, line).id async for line in _lines(http, plan.source)}
                stale += (id_ for id_ in watch.committed[:promised] if id_ not in there)
        turn += 1
        pause = max(FULL_EVERY, FULL_SHARE * (time.monotonic() - began))


async def poll(plan: Plan, url: int, ledger: Ledger) -> None:
    """Ask /readyz of one replica until it is cancelled."""
    caller = Caller(plan.urls[url], seconds=POLL_SECONDS)
    while True:
        since = time.monotonic_ns()
        status = (await caller.get("/readyz")).status
        ledger.append(Polled(url=url, since=since, at=time.monotonic_ns(), status=status))
        await asyncio.sleep(max(0.0, POLL_EVERY - (time.monotonic_ns() - since) / 1e9))


async def get(http: httpx.AsyncClient, path: str, params: dict[str, str]) -> httpx.Response:
    """A 200. Raises Unreadable."""
    try:
        answer = await http.get(path, params=params)
    except httpx.HTTPError as error:
        raise Unreadable(f"GET {path}: {type(error).__name__}") from None
    if answer.status_code != 200:
        raise Unreadable(f"GET {path} answered {answer.status_code}")
    return answer


def decoded(decode: Callable[[bytes], Body], body: bytes) -> Body:
    """What a body says. Raises Unreadable."""
    try:
        return decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(f"it is not what a collector gives: {error}") from None


def next_cursor(link: str) -> str | None:
    """Where to go on, as a Link header says: there is one link, with rel="next"."""
    target = link.partition("<")[2].partition(">")[0]
    return parse_qs(urlsplit(target).query).get("cursor", [None])[0]
