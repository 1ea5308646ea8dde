"""What healthy and ready mean.

Healthy: every loop of this process has turned lately; nothing outside the process is touched, since a database
that blinks must not restart a fleet. Ready: this process can keep an event, as of a check in the background and of
what becomes of the commits.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.errors import Unavailable
from app.logs import log
from app.metrics import Metrics
from app.store import CODE, Store

if TYPE_CHECKING:
    from app.spool import Spool

CHECK_EVERY = 0.5  # seconds
CHECK_PAUSE = 0.1  # seconds between two checks at least, however often commits fail
STALLED_AFTER = 0.6  # seconds that a commit is under way: one takes milliseconds, a slow one 0.2 s
STALE_AFTER = 2.0  # seconds: an older check proves nothing
WATCH_EVERY = 1.0  # seconds
LAST_WORDS = 5.0  # seconds between asking the process to end and ending it

Beat = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that readiness hangs on."""

    name: str
    ok: bool
    detail: str


class Loops:
    """The background loops of a process: one that dies, or does not turn by its deadline, ends the process."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._turned: dict[str, float] = {}
        self._deadline: dict[str, float] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.failed = False

    def start(self, name: str, run: Callable[[Beat], Coroutine[Any, Any, None]], *, deadline: float) -> None:
        """Run a loop, which calls the function it is given at every turn, at least every `deadline` seconds.

        That function raises CancelledError once the loop was told to leave.
        """
        self._deadline[name] = deadline
        gauge = self._metrics.turn.labels(name)

        def turned() -> None:
            self._turned[name] = time.monotonic()
            gauge.set_to_current_time()

        def beat() -> None:
            turned()
            _leave_if_told()

        turned()
        task = asyncio.create_task(run(beat), name=name)
        task.add_done_callback(self._ended)
        self._tasks[name] = task

    def late(self) -> list[str]:
        """The loops that have not turned by their deadline."""
        now = time.monotonic()
        return [name for name, at in list(self._turned.items()) if now - at > self._deadline[name]]

    async def stop(self, name: str) -> None:
        """End one loop on purpose."""
        self._turned.pop(name, None)
        task = self._tasks.pop(name, None)
        if task is not None:
            task.remove_done_callback(self._ended)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def finish(self, name: str) -> None:
        """Wait for one loop that has been told to end by itself."""
        task = self._tasks.pop(name)
        task.remove_done_callback(self._ended)
        await asyncio.gather(task, return_exceptions=True)
        self._turned.pop(name, None)

    async def stop_all(self) -> None:
        """End all of them on purpose."""
        for name in list(self._tasks):
            await self.stop(name)

    def watch(self) -> None:
        """Watch from a thread of its own, since a loop that blocks would block its watchman too."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _watch(self) -> None:
        late: list[str] = []
        while not late:
            before = time.monotonic()
            time.sleep(WATCH_EVERY)
            # Where all of the process was frozen, its loops get the time to turn.
            frozen = time.monotonic() - before > 2 * WATCH_EVERY
            late = [] if frozen else self.late()
        log.critical("loops do not turn", loops=late)
        self.failed = True
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_WORDS)
        os._exit(1)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        log.critical("loop ended", loop=task.get_name(), error=repr(error), exc_info=error)
        self.failed = True
        # uvicorn alone would go on and answer 200.
        os.kill(os.getpid(), signal.SIGTERM)


def _leave_if_told() -> None:
    """Raise CancelledError where it was asked for and lost: redis-py swallows one as its timeouts end."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Readiness:
    """Asks the store and the spool in the background; answers from what it heard last.

    `stands_in`: with the database away, a spool that takes events is enough. `notes`: more to tell.
    """

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        spool: "Spool | None" = None,
        *,
        stands_in: bool = True,
        notes: Callable[[], Sequence[Part]] = tuple,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._spool = spool
        self._stands_in = stands_in
        self._notes = notes
        self._parts: tuple[Part, ...] = (Part("database", ok=False, detail="not asked yet"),)
        self._spool_part: tuple[Part, ...] = ()
        self._at = 0.0
        self._seen: list[tuple[str, bool]] = []
        self._told: list[tuple[str, bool]] = []
        self._under_way: list[float] = []  # since when
        self._changed = asyncio.Event()  # commits show other than what is known
        self.draining = False
        self.commits_fail = False  # set by who commits; the check then tries to write

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is known."""
        draining = Part("draining", ok=not self.draining, detail="leaving" if self.draining else "no")
        age = time.monotonic() - self._at
        fresh = Part("check", ok=age <= STALE_AFTER, detail=f"{min(age, 1e6):.1f} s ago")
        return (self._database, *self._parts[1:], *self._spool_part, fresh, draining, *self._notes())

    @property
    def ready(self) -> bool:
        """Whether this process can keep an event."""
        timely = time.monotonic() - self._at <= STALE_AFTER
        return timely and not self.draining and not self._stalled and self._able

    @contextmanager
    def commit(self) -> Iterator[None]:
        """A commit is under way inside. How it ends, and how long it takes, is known before any check knows it."""
        began = time.monotonic()
        self._under_way.append(began)
        try:
            yield
        except Unavailable:
            if not self.commits_fail:
                self.commits_fail = True
                self._changed.set()
            raise
        else:
            if self.database_away:
                self._changed.set()
        finally:
            self._under_way.remove(began)

    @property
    def database_away(self) -> bool:
        """Whether the database is known not to take events: only the check then tries whether it does again."""
        asked = self._at > 0  # before the first check nothing is known, and a commit finds out by itself
        return self.commits_fail or (asked and not self._parts[0].ok)

    @property
    def _able(self) -> bool:
        usable = bool(self._spool_part) and self._spool_part[0].ok
        fits = all(part.ok for part in self._parts[1:])  # a schema that does not is no matter of waiting
        if self.database_away:
            return self._stands_in and usable and fits
        return fits and (self._stands_in or usable or self._spool is None)

    @property
    def _stalled(self) -> bool:
        return bool(self._under_way) and time.monotonic() - min(self._under_way) > STALLED_AFTER

    @property
    def _database(self) -> Part:
        found = self._parts[0]
        if not found.ok or not (self._stalled or self.commits_fail):
            return found
        late = f"a commit has been under way for more than {STALLED_AFTER:g} s"
        return Part(found.name, ok=False, detail=late if self._stalled else "the last commit failed")

    async def run(self, beat: Beat) -> None:
        """The loop: also measures how late the event loop is."""
        while True:
            beat()
            self._changed.clear()
            await self._check()
            due = time.monotonic() + CHECK_PAUSE
            await asyncio.sleep(CHECK_PAUSE)
            self._metrics.lag.set(max(0.0, time.monotonic() - due))
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_EVERY - CHECK_PAUSE):
                    await self._changed.wait()

    async def _check(self) -> None:
        await asyncio.gather(self._check_store(), self._check_spool())
        self._at = time.monotonic()
        self._metrics.ready.set(self.ready)
        self._tell()

    async def _check_spool(self) -> None:
        if self._spool is None:
            return
        try:
            now = await self._spool.check()
        except Unavailable as problem:
            self._spool_part = (Part("spool", ok=False, detail=problem.detail),)
            self._metrics.spool_usable.set(0)
        else:
            self._metrics.spool_usable.set(1)
            held = f"{now.entries} entries, {now.events} events, {now.bytes} bytes"
            detail = f"{held}, the oldest {now.oldest:.0f} s old" if now.entries else "empty"
            self._spool_part = (Part("spool", ok=True, detail=detail),)
        if (waiting := self._spool.waiting) is not None:
            self._metrics.spool_entries.set(waiting.entries)
            self._metrics.spool_events.set(waiting.events)
            self._metrics.spool_bytes.set(waiting.bytes)
            self._metrics.spool_oldest.set(waiting.oldest)

    async def _check_store(self) -> None:
        writing = self.commits_fail
        try:
            schema = await self._store.check(writing=writing)
        except Unavailable as problem:
            self._parts = (Part("database", ok=False, detail=problem.detail),)
        else:
            # Set meanwhile, it stays: only a write shows that writes go well again.
            self.commits_fail = self.commits_fail and not writing
            fits = f"revision {schema.revision}, this code is {CODE}, the oldest admitted is {schema.min_code}"
            self._parts = (
                Part("database", ok=True, detail=self._store.name),
                Part(
                    "schema",
                    ok=schema.usable,
                    detail=fits if schema.revision else "none yet: run `collector migrate`",
                ),
            )

    def _tell(self) -> None:
        """One line for each change; none for what does not last from one turn to the next, as in a start."""
        state = [*((part.name, part.ok) for part in self._parts), ("able", self._able)]
        ready = all(ok for _, ok in state)
        if state != self._told and (ready or state == self._seen):
            write = log.info if ready else log.warning
            what = "ready" if ready else "spooling" if self._able else "not ready"
            write(what, **{part.name: part.detail for part in (*self._parts, *self._spool_part)})
            self._told = state
        self._seen = state
