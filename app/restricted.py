"""A reader that sees some sources only, whatever it is asked for, in the place of the one that sees all."""

from collections.abc import AsyncIterator
from dataclasses import replace

from app.events import Stored
from app.query import Filter, PageQuery, StatsQuery, covered
from app.store import ALL, Count, Page, Reader, SourceSummary


class Restricted:
    """`sources`: patterns of those that it sees. Positions in the log are no secret, events are."""

    def __init__(self, reader: Reader, sources: tuple[str, ...]) -> None:
        self._reader = reader
        self._sources = sources

    async def page(self, query: PageQuery) -> Page:
        """At most `query.limit` events. Raises CursorGone."""
        return await self._reader.page(replace(query, filter=self._within(query.filter)))

    def scan(self, query: PageQuery) -> AsyncIterator[Page]:
        """All of it, page by page. Raises CursorGone."""
        return self._reader.scan(replace(query, filter=self._within(query.filter)))

    async def event(self, seq: int) -> Stored | None:
        """One event."""
        found = await self._reader.event(seq)
        return found if found is not None and covered(found.source, self._sources) else None

    async def head(self) -> int:
        """The highest number that can be read, of whatever source."""
        return await self._reader.head()

    async def sources(self, filter_: Filter = ALL) -> list[SourceSummary]:
        """The sources that match, by name."""
        return await self._reader.sources(self._within(filter_))

    async def counts(self, query: StatsQuery) -> list[Count]:
        """Events a bucket and label."""
        return await self._reader.counts(replace(query, filter=self._within(query.filter)))

    def _within(self, filter_: Filter) -> Filter:
        return replace(filter_, within=self._sources)
