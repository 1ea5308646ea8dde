"""The views: other ways of reading the same events, which have to say the same as the full read.

A page-by-page read with its cursor, the summary of the sources (which is kept beside the log), the counts over
time, and the newest page twice (the second time it comes from memory).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import httpx
import msgspec

from app.probe.client import reader
from app.probe.history import History
from app.probe.readers import PAGE, Unreadable, decoded, get, next_cursor
from app.probe.verdict import Stored, View

NEWEST = 50
MARGIN = timedelta(hours=1)  # around the run, for clocks that differ
ROUNDS = 3  # what was in doubt may be committed while the views are read: then they are read again
PAUSE = 1.0  # seconds


class _Source(msgspec.Struct):
    source: str
    events: int


class _Series(msgspec.Struct):
    total: int


class _Stats(msgspec.Struct):
    series: list[_Series]


_places = msgspec.json.Decoder(list[dict[str, object]]).decode
_sources = msgspec.json.Decoder(list[_Source]).decode
_stats = msgspec.json.Decoder(_Stats).decode
_Check = Callable[[httpx.AsyncClient, History, Sequence[Stored]], Awaitable[str | None]]


async def views(url: str, history: History, events: Sequence[Stored]) -> list[View]:
    """What each says through this replica, where the full read gave these events, oldest first."""
    async with reader(url) as http:
        return [await _view(name, check, http, history, events) for name, check in _CHECKS.items()]


async def _view(
    name: str, check: _Check, http: httpx.AsyncClient, history: History, events: Sequence[Stored]
) -> View:
    try:
        wrong = await check(http, history, events)
    except Unreadable as error:
        return View(name, None, f"could not be read: {error}")
    return View(name) if wrong is None else View(name, agrees=False, detail=wrong)


async def _pages(http: httpx.AsyncClient, history: History, events: Sequence[Stored]) -> str | None:
    asked, found = {"source": history.plan.source, "limit": str(PAGE)}, []
    while True:
        answer = await get(http, "/events", asked)
        page = decoded(_places, answer.content)
        found += [(one["seq"], one["id"]) for one in page]
        cursor = next_cursor(answer.headers.get("link", ""))
        if cursor is None or not page:
            break
        asked["cursor"] = cursor
    whole = [(event.seq, event.id) for event in reversed(events)]
    return None if found == whole else f"{len(found)} events page by page, {len(whole)} in the full read"


async def _summary(http: httpx.AsyncClient, history: History, events: Sequence[Stored]) -> str | None:
    source = history.plan.source
    answer = decoded(_sources, (await get(http, "/sources", {"source": source})).content)
    found = sum(one.events for one in answer if one.source == source)
    return None if found == len(events) else f"{found} events in the summary, {len(events)} in the full read"


async def _counts(http: httpx.AsyncClient, history: History, events: Sequence[Stored]) -> str | None:
    since = datetime.fromtimestamp(history.unix(history.began), UTC) - MARGIN
    until = datetime.fromtimestamp(history.unix(history.ended), UTC) + MARGIN
    asked = {"source": history.plan.source, "since": since.isoformat(), "until": until.isoformat()}
    answer = decoded(_stats, (await get(http, "/events/stats", asked)).content)
    found = sum(one.total for one in answer.series)
    return None if found == len(events) else f"{found} events counted, {len(events)} in the full read"


async def _newest(http: httpx.AsyncClient, history: History, events: Sequence[Stored]) -> str | None:
    asked = {"source": history.plan.source, "limit": str(NEWEST)}
    answers = [(await get(http, "/events", asked)).content for _ in range(2)]
    whole = [event.seq for event in reversed(events[-NEWEST:])]
    found = [[one["seq"] for one in decoded(_places, answer)] for answer in answers]
    wrong = sum(page != whole for page in found)
    return f"{wrong} of 2 newest pages are not the end of the full read" if wrong else None


_CHECKS: dict[str, _Check] = {"pages": _pages, "sources": _summary, "stats": _counts, "newest": _newest}


async def agreed(read: Callable[[], Awaitable[list[View]]]) -> list[View]:
    """Read the views until they agree, a few times."""
    for _ in range(ROUNDS - 1):
        found = await read()
        if all(view.agrees for view in found):
            return found
        await asyncio.sleep(PAUSE)
    return await read()
