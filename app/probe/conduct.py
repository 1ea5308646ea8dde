"""A run from its begin to its verdict: load and readers side by side, then everything is read back. asyncio."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import msgspec

from app.probe import readers
from app.probe.client import SHOWN, Shown, reader
from app.probe.faults import Fault
from app.probe.findings import Copy, Readings, Stored, View
from app.probe.history import ACKNOWLEDGED, History, history
from app.probe.ledger import Began, Ledger
from app.probe.load import Load
from app.probe.readers import Unreadable, decoded, get
from app.probe.schedule import Plan
from app.probe.tails import Tail, tails
from app.probe.verdict import Verdict, judge
from app.probe.views import agreed, views
from app.probe.watch import Watch

PAUSE = 0.5  # seconds between two full reads while events are missing

Say = Callable[[str], None]
Faults = Callable[[], Sequence[Fault] | None]


class _Info(msgspec.Struct):
    version: str


class _Described(msgspec.Struct):
    info: _Info


_description = msgspec.json.Decoder(_Described).decode


@dataclass(slots=True)
class Run:
    """A run under way. `stop` ends its load early; `say` is told once a second how it goes."""

    plan: Plan
    ledger: Ledger
    settle: float
    say: Say
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def verdict(self, faults: Faults) -> tuple[Verdict, History]:
        """Load, read, judge. Raises OSError where the ledger cannot be written, FaultLogError."""
        SHOWN.set(Shown())
        following, stale, watch = tails(self.plan), list[str](), Watch()
        version = await _version(self.plan)
        load = Load(self.plan, self.ledger, watch)
        self.ledger.append(Began(plan=self.plan, at=time.monotonic_ns(), wall=time.time(), version=version))
        polls = [readers.poll(self.plan, url, self.ledger) for url in range(len(self.plan.urls))]
        async with _beside(*(tail.run() for tail in following.values())):
            async with _beside(*polls, readers.reread(self.plan, watch, stale), self._tell(watch)):
                await load.run(self.stop, self.settle)
            found = history(self.ledger.records)
            readings = await read_back(found, self.settle, self.say, following)
        return judge(found, replace(readings, stale=stale), faults()), found

    async def _tell(self, watch: Watch) -> None:
        while True:
            await asyncio.sleep(1)
            self.say(watch.line(self.plan.seconds))


async def read_back(
    found: History, settle: float, say: Say, following: Mapping[str, Tail] = MappingProxyType({})
) -> Readings:
    """Read everything through every replica, once all that was acknowledged is there or `settle` is over."""
    await _arrived(found, settle, say)
    say("reading everything back")
    copies: list[Copy] = []

    async def look() -> list[View]:
        copies[:] = [await readers.copy(url, found.plan.source) for url in found.plan.urls]
        return await _views(found, copies)

    checked = await agreed(look)
    last = max((event.seq for copy in copies for event in copy.events or ()), default=0)
    if last:
        checked += [
            View(name, None, "did not come to the end")
            for name, tail in following.items()
            if not await tail.catch_up(last)
        ]
    return Readings(copies=copies, tails={name: tail.seen for name, tail in following.items()}, views=checked)


async def _arrived(found: History, settle: float, say: Say) -> None:
    """What was answered 202 is there once the spool is drained, and who was just restarted answers again."""
    acknowledged = {id_ for id_, fate in found.fates().items() if fate in ACKNOWLEDGED}
    patience = time.monotonic() + settle
    for url in found.plan.urls:
        while time.monotonic() < patience:
            copy = await readers.copy(url, found.plan.source)
            missing = acknowledged - {event.id for event in copy.events or ()}
            if not missing and copy.events is not None:
                break
            say(copy.reason or f"waiting for {len(missing):,} acknowledged events to arrive")
            await asyncio.sleep(PAUSE)


async def _views(found: History, copies: Sequence[Copy]) -> list[View]:
    """The views of every replica by name; where several say different things, the first that does not agree."""
    merged: dict[str, View] = {}
    whole = next((copy.events for copy in copies if copy.events is not None), None)
    for copy in copies:
        if copy.events is None:
            continue
        for view in (_same(copy.events, whole), *await views(copy.url, found, copy.events)):
            known = merged.get(view.name)
            if known is None or (known.agrees and not view.agrees):
                told = (
                    view if view.agrees or len(copies) == 1 else view._replace(detail=f"{copy.url}: {view.detail}")
                )
                merged[view.name] = told
    return list(merged.values())


def _same(events: Sequence[Stored], whole: Sequence[Stored] | None) -> View:
    if events == whole:
        return View("full")
    return View(
        "full", agrees=False, detail=f"{len(events)} events, and {len(whole or ())} through the first replica"
    )


async def _version(plan: Plan) -> str | None:
    """The collector's version, as it says."""
    for url in plan.urls:
        with contextlib.suppress(Unreadable):
            async with reader(url) as http:
                answer = await get(http, "/openapi.json", {})
                return decoded(_description, answer.content).info.version
    return None


@contextlib.asynccontextmanager
async def _beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do this as long as the body lasts. What fails is raised at the end."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
