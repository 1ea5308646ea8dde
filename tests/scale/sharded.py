"""Sharded: one collector over several PostgreSQL servers, each source on one of them.

1. A source stays where its name says, so that identities, and the order within a source, are what they were.
2. A group is one commit on each server that it touches. There is no transaction over all of them: a strict batch
   of several is refused, and where one server fails the answer is `unknown`, though others may have committed.
3. Numbers are of a server. What is read from several is merged by them, which is the order of clocks; a cursor has
   to be one position for each server (`after`), since a single one skips what another server commits late.
"""

import asyncio
import zlib
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter

from app.errors import Unavailable
from app.events import Event, Stored
from app.query import Filter, PageQuery, StatsQuery
from app.store import Count, Kept, SourceSummary, Store

Positions = tuple[int, ...]  # for each server the number up to which its log was read


class SeveralServers(ValueError):
    """A strict batch is of sources on several servers: all of it or none of it cannot be promised."""


class Sharded:
    """These stores as one; which of them has a source depends on their number alone."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self._stores = stores

    def place(self, source: str) -> int:
        """The server that has the events of a source."""
        return zlib.crc32(source.encode()) % len(self._stores)

    def split(self, events: Sequence[Event]) -> dict[int, list[int]]:
        """Which of the events, by their place in the sequence, go to which server."""
        places: dict[int, list[int]] = {}
        for number, event in enumerate(events):
            places.setdefault(self.place(event.source), []).append(number)
        return places

    async def keep(self, events: Sequence[Event], strict: bool) -> list[Kept]:
        """A result for each, in order. Raises SeveralServers, and Unavailable if any server does."""
        places = self.split(events)
        if strict and len(places) > 1:
            raise SeveralServers(f"a strict batch is for one server, and this one is for {len(places)}")
        answers = await asyncio.gather(
            *(self._stores[place].keep([events[n] for n in numbers], strict) for place, numbers in places.items()),
            return_exceptions=True,
        )
        kept: dict[int, Kept] = {}
        for numbers, answer in zip(places.values(), answers, strict=True):
            if isinstance(answer, BaseException):
                raise _doubtful(answer, answers) from answer
            kept |= zip(numbers, answer, strict=True)
        return [kept[number] for number in range(len(events))]

    async def page(self, query: PageQuery) -> list[Stored]:
        """A page by one position for all, as the interface has it, and as a follower must not use it."""
        pages = await asyncio.gather(*(store.reader.page(query) for store in self._stores))
        merged = sorted(
            chain(*(page.events for page in pages)), key=attrgetter("seq"), reverse=query.order == "desc"
        )
        return merged[: query.limit]

    async def after(self, positions: Positions, filter_: Filter, limit: int) -> tuple[list[Stored], Positions]:
        """The next events, at most `limit` of each server, by number; and the positions to go on from."""
        asked = [PageQuery(filter=filter_, order="asc", cursor=position, limit=limit) for position in positions]
        pages = await asyncio.gather(
            *(store.reader.page(query) for store, query in zip(self._stores, asked, strict=True))
        )
        events = sorted(chain(*(page.events for page in pages)), key=attrgetter("seq"))
        reached = tuple(page.next or position for page, position in zip(pages, positions, strict=True))
        return events, reached

    async def counts(self, query: StatsQuery) -> list[Count]:
        """Counts add up."""
        found: Counter[tuple[tuple[str, ...], int]] = Counter()
        for each in await asyncio.gather(*(store.reader.counts(query) for store in self._stores)):
            for count in each:
                found[count.labels, count.bucket] += count.events
        return [Count(labels, bucket, events) for (labels, bucket), events in sorted(found.items())]

    async def sources(self) -> list[SourceSummary]:
        """Every source is on one server."""
        each = await asyncio.gather(*(store.reader.sources() for store in self._stores))
        return sorted(chain(*each), key=attrgetter("source"))

    async def events(self, seq: int) -> list[Stored]:
        """Every event of this number: there may be one on each server."""
        each = await asyncio.gather(*(store.reader.event(seq) for store in self._stores))
        return [event for event in each if event is not None]

    async def close(self) -> None:
        """Let go of every connection."""
        for store in self._stores:
            await store.close()


def _doubtful(error: BaseException, answers: Sequence[object]) -> BaseException:
    """What to raise: `not_kept` only where every server has said so."""
    problems = [answer for answer in answers if isinstance(answer, Unavailable)]
    sure = len(problems) == len(answers) and all(problem.outcome == "not_kept" for problem in problems)
    if sure or not isinstance(error, Unavailable):
        return error
    return Unavailable(error.detail, outcome="unknown")
