"""Forgetting before retention does: what somebody should not have sent. Shown first, then done, and on record.

1. What goes is what was shown, or less: the confirmation stands for the filters, for what who asked may see, and
   for how far the log had come; what was kept later has a higher number and stays.
2. It begins only once the log holds the event that says who began it, and ends with one that says what came of it.
   Neither can be of its own doing, since both come after what was shown.
3. In steps, each a short transaction. Whatever ends it in the middle, the same again finds what is left.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from app.about import NAME
from app.auth import Access, Grant
from app.errors import BadParameter, Draining, Forbidden, Internal, NotShown, Problem
from app.events import MAX_TEXT, Event, Parser, Sent, uuid7
from app.logs import log
from app.metrics import Metrics
from app.query import Filter, PurgeQuery, covered
from app.store import Doomed, Letter, Store

SOURCE = NAME  # of the events that say who purged what
MAX_SOURCES = 1000  # that one purge may be of: each of them is shown
LETTERS = 100  # dead letters looked at at once
TELL_EVERY = 1.0  # seconds
LEAVE_SECONDS = 2.0  # for the step that is under way when the process leaves

_LEFT = "this process left in the middle: begin again, and what is left goes"

Post = Callable[[Event], Awaitable[None]]
_encode = msgspec.json.Encoder().encode
_event = Parser().event


class OfSource(msgspec.Struct, frozen=True):
    """What would go of one source, and when the first and the last of it were received."""

    source: str
    events: int
    first_received_at: datetime
    last_received_at: datetime


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would go. `spooled`: events of any source that wait in the spool, which it does not look into; None
    where there is none. `confirm` stands for all of it."""

    before: datetime
    events: int
    dead_letters: int
    spooled: int | None
    sources: list[OfSource]
    confirm: str


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many have gone so far, without a step of which it is not known; in the end `state` is not `under_way`,
    and `problem` says why it failed."""

    purge: str
    state: Literal["under_way", "succeeded", "failed"]
    events: int
    dead_letters: int
    problem: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Shown:
    """How far the log had come, and when that was."""

    through: int
    at: int  # microseconds since 1970

    def confirmation(self, asked: PurgeQuery, grant: Grant) -> str:
        words = (sorted(asked.sources), asked.before, self.through, self.at, grant.view)
        return f"{self.through}-{self.at}-{blake2b(_encode(words), digest_size=8).hexdigest()}"


class Run:
    """A purge that has begun."""

    def __init__(self, asked: PurgeQuery, grant: Grant, shown: _Shown) -> None:
        self.id = uuid7()
        self.asked = asked
        self.grant = grant
        self.shown = shown
        self.events = 0
        self.dead_letters = 0
        self.problem: Problem | None = None
        self.ended = asyncio.Event()

    def progress(self) -> Progress:
        """How far it has come."""
        state: Literal["succeeded", "failed"] = "succeeded" if self.problem is None else "failed"
        return Progress(
            purge=self.id,
            state=state if self.ended.is_set() else "under_way",
            events=self.events,
            dead_letters=self.dead_letters,
            problem=None if self.problem is None else self.problem.document(),
        )

    async def follow(self) -> AsyncIterator[Progress]:
        """How far it has come, about once a second, and what came of it. It goes on when nobody follows."""
        while not self.ended.is_set():
            yield self.progress()
            with suppress(TimeoutError):
                async with asyncio.timeout(TELL_EVERY):
                    await self.ended.wait()
        yield self.progress()

    def facts(self) -> dict[str, object]:
        """What there is to say of it, in the log and in its lines."""
        return {
            "purge": self.id,
            "by": self.grant.name,
            "sources": self.asked.sources,
            "before": self.asked.before,
        }


class Erasure:
    """Purges. `post` keeps an event in the log, for good; `spooled` says how many wait in the spool."""

    def __init__(
        self, store: Store, *, access: Access, post: Post, metrics: Metrics, spooled: Callable[[], int | None]
    ) -> None:
        self._store = store
        self._access = access
        self._post = post
        self._metrics = metrics
        self._spooled = spooled
        self._running: set[asyncio.Task[None]] = set()
        self._leaving = False

    async def plan(self, asked: PurgeQuery, grant: Grant) -> Plan:
        """What would go, for who may see only some of it. Raises BadParameter, Unavailable."""
        shown = _Shown(await self._store.reader.head(), _micros(datetime.now(UTC)))
        found = [
            OfSource(doomed.source, tally.events, tally.first, tally.last)
            for doomed in await self._doomed(asked, grant, shown)
            if (tally := await self._store.purger.tally(doomed)) is not None
        ]
        return Plan(
            before=asked.before,
            events=sum(one.events for one in found),
            dead_letters=sum([len(page) async for page in self._letters(asked, grant, shown)]),
            spooled=self._spooled(),
            sources=found,
            confirm=shown.confirmation(asked, grant),
        )

    async def begin(self, asked: PurgeQuery, confirm: str, grant: Grant) -> Run:
        """Begin what was shown, once it is on record. Raises NotShown, Unavailable."""
        run = Run(asked, grant, _shown(confirm, asked, grant))
        await self._tell(run, "started")
        task = asyncio.create_task(self._to_its_end(run))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return run

    def leave(self) -> None:
        """End what is under way after its step."""
        self._leaving = True

    async def stop(self) -> None:
        """Return once nothing is under way."""
        self.leave()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=LEAVE_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=LEAVE_SECONDS)

    async def _to_its_end(self, run: Run) -> None:
        run.problem = await self._attempted(run)
        outcome = "succeeded" if run.problem is None else "failed"
        log.warning(f"purge {outcome}", **run.facts(), events=run.events, dead_letters=run.dead_letters)
        try:
            await self._tell(run, outcome)
        except Problem as problem:
            log.error("the end of a purge is not on record", **run.facts(), reason=problem.detail)
            run.problem = run.problem or problem
        run.ended.set()

    async def _attempted(self, run: Run) -> Problem | None:
        """Why it did not come to its end, if it did not."""
        try:
            await self._carry_out(run)
            await self._store.purger.end()
        except Problem as problem:
            return problem
        except asyncio.CancelledError:
            return Draining(_LEFT)
        except Exception as error:  # noqa: BLE001 - the last place that can say which purge it was
            log.error("bug", **run.facts(), exc_info=error)
            return Internal()
        return None

    async def _carry_out(self, run: Run) -> None:
        purger = self._store.purger
        for doomed in await self._doomed(run.asked, run.grant, run.shown):
            after: int | None = 0
            while after is not None:
                self._may_go_on(run)
                portion = await purger.portion(doomed, after)
                count = await purger.delete(portion)
                run.events += count
                self._metrics.purged.inc(count)
                after = portion.reached
        async for page in self._letters(run.asked, run.grant, run.shown):
            self._may_go_on(run)
            if page:
                await self._store.letters.remove([letter.id for letter in page])
            run.dead_letters += len(page)

    def _may_go_on(self, run: Run) -> None:
        if self._leaving:
            raise Draining(_LEFT)
        if not self._access.holds(run.grant):
            raise Forbidden("the token was taken away, or has expired, in the middle")

    async def _doomed(self, asked: PurgeQuery, grant: Grant, shown: _Shown) -> list[Doomed]:
        sources = await grant.reader(self._store.reader).sources(Filter(sources=asked.sources))
        if len(sources) > MAX_SOURCES:
            raise BadParameter(
                f"that is of {len(sources)} sources, and one purge of {MAX_SOURCES} at most: name fewer"
            )
        return [Doomed(source=one.source, before=asked.before, through=shown.through) for one in sources]

    async def _letters(self, asked: PurgeQuery, grant: Grant, shown: _Shown) -> AsyncIterator[list[Letter]]:
        """The dead letters among them, page by page."""
        after = ""
        while page := await self._store.letters.page(after, LETTERS):
            after = page[-1].id
            yield [
                letter
                for letter in page
                if covered(letter.source, asked.sources)
                and grant.may_write(letter.source)
                and letter.received_at < asked.before
                and _micros(letter.at) <= shown.at
            ]

    async def _tell(self, run: Run, outcome: str) -> None:
        """Say it in the log itself. Raises Unavailable."""
        data = run.facts()
        if outcome != "started":
            data |= {"events": run.events, "dead_letters": run.dead_letters}
        await self._post(
            _event(
                Sent(
                    source=SOURCE,
                    action=f"purge.{outcome}",
                    id=f"{run.id}/{outcome}",
                    subject=_subject(run.asked.sources),
                    data=data,
                )
            )
        )


def _shown(confirm: str, asked: PurgeQuery, grant: Grant) -> _Shown:
    through, _, rest = confirm.partition("-")
    at, _, _ = rest.partition("-")
    numbers = [int(text) for text in (through, at) if text.isascii() and text.isdigit() and len(text) <= 16]
    if len(numbers) == 2 and (shown := _Shown(*numbers)).confirmation(asked, grant) == confirm:
        return shown
    raise NotShown


def _subject(sources: Iterable[str]) -> str:
    return ", ".join(sources)[:MAX_TEXT]


def _micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
