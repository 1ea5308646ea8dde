"""The drain: from the spool into the database, in order, and out of the spool only after the commit.

1. A crash at any moment, and two drains at once, cost nothing but work: every event in the spool has an identity,
   so what is kept again is a duplicate of itself.
2. What the database refuses, or has with other content, becomes a dead letter, and is forgotten by the spool only
   when that is committed. One such event holds up the others for seconds at most.
3. A database that is away refuses nothing: the drain waits for it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from app.errors import Unavailable
from app.events import Event
from app.health import Beat
from app.logs import log
from app.metrics import Metrics
from app.spool import Entry, Spool, Undecodable
from app.store import Kept, Letter, Store, settled

GROUP = 4000  # events kept at once
IDLE_SECONDS = 0.2  # between two looks at an empty spool
AGAIN_SECONDS = 0.5  # after a turn that failed
TRIES = 5  # for an entry that the database refuses, before its events are tried one by one

_CONFLICT = "another event with this source and id, but other content, is stored"
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class _Spooled:
    """An event and where it stood."""

    place: str
    event: Event


class Drain:
    """Drains while `may` says so. `on_kept` is told the highest number of each commit."""

    def __init__(
        self,
        spool: Spool,
        store: Store,
        metrics: Metrics,
        *,
        may: Callable[[], bool],
        on_kept: Callable[[int], None] = lambda _: None,
        group: int = GROUP,
    ) -> None:
        self._spool = spool
        self._store = store
        self._metrics = metrics
        self._may = may
        self._on_kept = on_kept
        self._group = group
        self._careful = 0  # entries to be taken one by one, since one of them was refused
        self._tries = 0  # of the entry at the head

    async def run(self, beat: Beat) -> None:
        """The loop."""
        while True:
            beat()
            try:
                pause = 0.0 if await self.turn() else IDLE_SECONDS
            except Unavailable as problem:
                # A turn that failed is a turn: what is wrong is the readiness check's to say.
                log.debug("drain put off", reason=problem.detail)
                pause = AGAIN_SECONDS
            await asyncio.sleep(pause)

    async def turn(self) -> bool:
        """Move some entries; whether there was anything to do. Raises Unavailable."""
        if not self._may():
            return False
        entries = await self._spool.read(1 if self._careful else self._group)
        if self._careful:
            entries = entries[:1]
        if not entries or not self._may():
            return False
        found, letters = _opened(entries)
        try:
            letters += await self._kept(found)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the database refuses, in whatever way
            if not await self._again(entries, error):
                return True
            letters += await self._each(found)
        await self._bury(letters)
        await self._spool.remove(entries)
        self._careful, self._tries = max(0, self._careful - 1), 0
        return True

    async def _kept(self, found: Sequence[_Spooled]) -> list[Letter]:
        """Commit; the letters are those that the database does not take."""
        if not found:
            return []
        events = [one.event for one in found]
        kept = settled(events, await self._store.keep(events, False))  # noqa: FBT003
        self._count(found, kept)
        if highest := max((one.seq for one in kept), default=0):
            self._on_kept(highest)
        reasons = {"conflict": _CONFLICT, "refused": None}
        return [
            _letter(one, reasons[result.state] or result.reason)
            for one, result in zip(found, kept, strict=True)
            if result.state in reasons
        ]

    async def _each(self, found: Sequence[_Spooled]) -> list[Letter]:
        """Event by event, where all at once were refused and nobody said which one."""
        letters = []
        for one in found:
            try:
                letters += await self._kept([one])
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - the reason is written down
                letters.append(_letter(one, repr(error)))
        return letters

    async def _again(self, entries: Sequence[Entry], error: Exception) -> bool:
        """Whether it was tried often enough."""
        if len(entries) > 1:
            self._careful = len(entries)
            return False
        self._tries += 1
        log.debug("entry refused", entry=entries[0].id, tries=self._tries, error=repr(error))
        if self._tries < TRIES:
            await asyncio.sleep(AGAIN_SECONDS)
        return self._tries >= TRIES

    async def _bury(self, letters: Sequence[Letter]) -> None:
        if letters:
            await self._store.letters.add(letters)
            self._metrics.drained.labels("dead").inc(len(letters))
            log.error("dead letters", count=len(letters), first=letters[0].id, reason=letters[0].reason)

    def _count(self, found: Sequence[_Spooled], kept: Sequence[Kept]) -> None:
        states = Counter(one.state for one in kept)
        for state in ("new", "duplicate"):
            self._metrics.drained.labels(state).inc(states[state])
        new = (one.event.source for one, result in zip(found, kept, strict=True) if result.state == "new")
        for source, count in Counter(new).items():
            self._metrics.kept(source, count)


def _opened(entries: Sequence[Entry]) -> tuple[list[_Spooled], list[Letter]]:
    """The events in entries, and letters for those that hold none."""
    found: list[_Spooled] = []
    letters: list[Letter] = []
    for entry in entries:
        try:
            events = entry.events()
        except Undecodable as error:
            reason = f"the entry cannot be read: {error}"
            letters.append(_written(entry.id, source="", event_id="", reason=reason, body=entry.group))
        else:
            found += [_Spooled(f"{entry.id}/{n}", event) for n, event in enumerate(events)]
    return found, letters


def _letter(one: _Spooled, reason: str) -> Letter:
    body = _encode(one.event)
    return _written(one.place, source=one.event.source, event_id=one.event.id, reason=reason, body=body)


def _written(id_: str, *, source: str, event_id: str, reason: str, body: bytes) -> Letter:
    return Letter(
        id=id_,
        at=datetime.now(UTC),
        source=_harmless(source),
        event_id=_harmless(event_id),
        reason=_harmless(reason),
        body=body,
    )


def _harmless(text: str) -> str:
    """Text that every database takes: what made the letter dead may have been its text."""
    return text.replace("\0", "\ufffd")[:200]
