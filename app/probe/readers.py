"""The readers: who reads everything of a run, now and then and at the end, and who asks /readyz."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec

from app.probe.client import Caller, reader
from app.probe.findings import Copy, Stored
from app.probe.ledger import Ledger, Polled
from app.probe.schedule import Plan, Read
from app.probe.watch import Watch

PAGE = 1000
FULL_EVERY = 10.0  # seconds between two full reads during the run
FULL_SHARE = 20  # and as many times what the last one took, so that it does not grow into a load of its own
POLL_EVERY = 0.2  # seconds between two questions to /readyz
POLL_SECONDS = 1.0  # for its answer
NDJSON = {"accept": "application/x-ndjson"}


class _Named(msgspec.Struct):
    id: str


Body = TypeVar("Body")
_named = msgspec.json.Decoder(_Named).decode
_read = msgspec.json.Decoder(Read).decode


class Unreadable(Exception):
    """A replica did not give what was asked for."""


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
                there = {decoded(_named, line).id async for line in _lines(http, plan.source)}
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
