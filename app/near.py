"""Reading near: from a replica in the same region, where the log's own server is far.

1. A read that shows a position is answered by the replica only if that shows everything up to there.
2. Any other may be behind, but by a bounded time. Every half second the log's server is asked how far the log is,
   and then the replica whether it shows that. Once it does, it shows all that was committed before the first
   question: that moment may be so long ago and no longer. No clock but our own is asked, and an idle log is not
   behind.
3. The replica is never worth an error: what it does not answer in time, or at all, the log's server is asked.
   Whenever it fails it is looked at before it serves again.
4. What is no replica of this log any more is left alone: a server that was promoted, or follows one that was, does
   not show what is committed here.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

from app.errors import Problem, Unavailable
from app.events import Stored
from app.health import Beat
from app.logs import log
from app.metrics import Metrics
from app.query import Filter, PageQuery, StatsQuery
from app.store import ALL, Count, Page, Reader, Replica, SourceSummary, Store
from app.store.scan import scanned

LOOK_EVERY = 0.5  # seconds
LOOK_PAUSE = 0.05  # seconds between two looks at least, however often reads fail
FAR_SECONDS = 3.0  # for the log's server to say how far the log is
NEAR_SECONDS = 2.0  # for an answer of the replica; a slow question is then asked again where it is always answered
ANSWER_SECONDS = 4.5  # for all of an answer
MAX_GLIMPSES = 256  # that are remembered; of more, every other one is forgotten

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """Who answers. `version`: of what it shows; `settled`: the same, None while that is about to change."""

    name: str
    reader: Reader
    version: Callable[[], Awaitable[str]]
    settled: Callable[[], Awaitable[str | None]]


class Nearest(Protocol):
    """Who answers reads."""

    async def ask(self, position: int, read: Callable[[Server], Awaitable[Answer]]) -> Answer:
        """What `read` gives from the nearest server that shows everything up to `position`; 0: that may be behind.

        Raises what that raised of the log's own server.
        """
        ...

    async def version(self) -> str:
        """The version of what is read without a position. Raises Unavailable."""
        ...

    def reader(self, position: int) -> Reader:
        """What reads so."""
        ...


class Alone:
    """Where there is no replica."""

    def __init__(self, store: Store) -> None:
        self._server = server_of(store)
        self.version = store.version

    async def ask(self, position: int, read: Callable[[Server], Awaitable[Answer]]) -> Answer:  # noqa: ARG002
        """What `read` gives from the log's server."""
        return await read(self._server)

    def reader(self, position: int) -> Reader:  # noqa: ARG002 - it shows everything
        """What reads from it."""
        return self._server.reader


@dataclass(frozen=True, slots=True)
class _Glimpse:
    """How far the log was, and when it was asked: all that was committed before is up to there."""

    at: float
    head: int


class Near:
    """`lag_seconds`: how far `replica` may be behind. It serves nothing until `run` runs."""

    def __init__(self, store: Store, replica: Replica, metrics: Metrics, *, lag_seconds: float) -> None:
        self._store = store
        self._replica = replica
        self._bound = lag_seconds
        self._metrics = metrics
        self._far = server_of(store)
        self._near = Server(
            name="replica", reader=replica.reader, version=replica.version, settled=replica.version
        )
        for server in (self._far, self._near):
            metrics.reads.labels(server.name)  # 0 from the start
        metrics.replica_lag.set_function(lambda: self.lag)
        metrics.replica_serves.set_function(lambda: self.serves)
        self._identity: str | None = None
        self._glimpses: list[_Glimpse] = []
        self._server: str | None = None
        self._shown_at = -math.inf  # it shows all that was committed before this
        self._reached = 0  # it shows everything up to here
        self._trouble: str | None = "it was not looked at yet"
        self._told: str | None = None  # why it is left alone; empty: it serves
        self._doubted = asyncio.Event()

    @property
    def lag(self) -> float:
        """Seconds that what the replica shows may be behind; infinite where that is not known."""
        return time.monotonic() - self._shown_at

    @property
    def serves(self) -> bool:
        """Whether the replica answers reads without a position."""
        return self._trouble is None and self.lag <= self._bound

    async def ask(self, position: int, read: Callable[[Server], Awaitable[Answer]]) -> Answer:
        """What `read` gives from the replica, where that is right and goes well, else from the log's server."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if await self._shows(position):
                    with suppress(_Failed):
                        return await self._ask_near(read)
                self._metrics.reads.labels(self._far.name).inc()
                return await read(self._far)
        except TimeoutError:
            raise Unavailable("the database took too long") from None

    async def version(self) -> str:
        """That of the server which answers."""
        if self.serves:
            try:
                return await self._replica.version()
            except Unavailable as problem:
                self._doubt(problem.detail)
        return await self._store.version()

    def reader(self, position: int) -> Reader:
        """What reads from whichever server answers, page by page."""
        return _Reader(self, position)

    async def run(self, beat: Beat) -> None:
        """The loop: look how far the log is, and whether the replica shows it."""
        while True:
            beat()
            self._doubted.clear()
            await self._glance()
            await self._look()
            self._tell()
            await asyncio.sleep(LOOK_PAUSE)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY - LOOK_PAUSE):
                    await self._doubted.wait()

    async def close(self) -> None:
        """Let go of every connection."""
        await self._replica.close()

    async def _ask_near(self, read: Callable[[Server], Awaitable[Answer]]) -> Answer:
        try:
            async with asyncio.timeout(NEAR_SECONDS):
                found = await read(self._near)
        except TimeoutError as late:
            self._doubt(f"no answer within {NEAR_SECONDS:g} s")
            raise _Failed from late
        except Exception as error:
            if isinstance(error, Problem) and not isinstance(error, Unavailable):
                raise  # the question's own fault
            self._doubt(str(error) or type(error).__name__)
            raise _Failed from error
        self._metrics.reads.labels(self._near.name).inc()
        return found

    async def _shows(self, position: int) -> bool:
        if not self.serves:
            return False
        if position <= self._reached:
            return True
        try:
            shown = await self._see([position])
        except Unavailable as problem:
            self._doubt(problem.detail)
            return False
        if position in shown:
            self._reached = max(self._reached, position)
        return position in shown and self.serves

    async def _glance(self) -> None:
        at = time.monotonic()
        try:
            async with asyncio.timeout(FAR_SECONDS):
                self._identity, head = await asyncio.gather(self._store.identity(), self._store.reader.head())
        except (Unavailable, TimeoutError) as problem:
            log.debug("how far the log is was not told", reason=str(problem))
            return
        self._glimpses.append(_Glimpse(at, head))
        if len(self._glimpses) > MAX_GLIMPSES:
            self._glimpses = self._glimpses[1::2]

    async def _look(self) -> None:
        try:
            shown = await self._see([glimpse.head for glimpse in self._glimpses])
        except Unavailable as problem:
            self._trouble = problem.detail
            return
        self._trouble = None
        for place, glimpse in reversed(list(enumerate(self._glimpses))):
            if glimpse.head == 0 or glimpse.head in shown:
                self._shown_at, self._reached = glimpse.at, max(self._reached, glimpse.head)
                del self._glimpses[: place + 1]
                return

    async def _see(self, positions: list[int]) -> frozenset[int]:
        """Which of these events it shows, if it is what it should be. Raises Unavailable."""
        sight = await self._replica.look(positions)
        if sight.server != self._server:
            self._server, self._shown_at, self._reached = sight.server, -math.inf, 0
        if not sight.standby:
            raise Unavailable("it follows no other server: was it promoted?")
        if self._identity is None:
            raise Unavailable("it is not known yet what it should be a replica of")
        if sight.identity != self._identity:
            raise Unavailable("it is a replica of another log")
        return sight.shown

    def _doubt(self, reason: str) -> None:
        """It failed: it serves no more until it was looked at."""
        self._trouble = self._trouble or reason
        self._doubted.set()

    def _tell(self) -> None:
        """One line for each change."""
        late = f"it may be more than {self._bound:g} s behind"
        state = "" if self.serves else self._trouble or late
        if state == self._told:
            return
        self._told = state
        if not state:
            log.info("the replica serves reads", lag=round(self.lag, 3))
        else:
            log.warning("the replica is left alone", reason=state)


class _Failed(Exception):
    """The replica has not answered."""


class _Reader:
    """Asks for each answer by itself. Between two pages the server may change: both show beginnings of one log."""

    def __init__(self, near: Near, position: int) -> None:
        self._near = near
        self._position = position

    async def page(self, query: PageQuery) -> Page:
        """At most `query.limit` events. Raises CursorGone."""
        return await self._near.ask(self._position, lambda server: server.reader.page(query))

    def scan(self, query: PageQuery) -> AsyncIterator[Page]:
        """All of it, page by page. Raises CursorGone."""
        return scanned(self, query)

    async def event(self, seq: int) -> Stored | None:
        """One event. Its number says how far a server must have come that knows whether there is one."""
        return await self._near.ask(max(self._position, seq), lambda server: server.reader.event(seq))

    async def head(self) -> int:
        """The highest number that can be read."""
        return await self._near.ask(self._position, lambda server: server.reader.head())

    async def sources(self, filter_: Filter = ALL) -> list[SourceSummary]:
        """The sources that match, by name."""
        return await self._near.ask(self._position, lambda server: server.reader.sources(filter_))

    async def counts(self, query: StatsQuery) -> list[Count]:
        """Events a bucket and label."""
        return await self._near.ask(self._position, lambda server: server.reader.counts(query))


def server_of(store: Store) -> Server:
    """The log's own server."""
    return Server(name="primary", reader=store.reader, version=store.version, settled=store.settled)
