"""What healthy and ready mean.

Healthy: every loop of this process has turned lately; nothing outside the process is touched, since a database
that blinks must not restart a fleet. Ready: this process can keep an event, as of a check in the background.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from app.errors import Unavailable
from app.logs import log
from app.metrics import Metrics
from app.store import CODE, Store

CHECK_EVERY = 0.5  # seconds
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
        """Run a loop, which calls the function it is given at every turn, at least every `deadline` seconds."""
        self._deadline[name] = deadline
        gauge = self._metrics.turn.labels(name)

        def beat() -> None:
            self._turned[name] = time.monotonic()
            gauge.set_to_current_time()

        beat()
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


class Readiness:
    """Asks the store in the background; answers from what it heard last."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._parts: tuple[Part, ...] = (Part("database", ok=False, detail="not asked yet"),)
        self._at = 0.0
        self._seen: list[tuple[str, bool]] = []
        self._told: list[tuple[str, bool]] = []
        self.draining = False
        self.commits_fail = False  # set by who commits; the check then tries to write

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is known."""
        draining = Part("draining", ok=not self.draining, detail="leaving" if self.draining else "no")
        age = time.monotonic() - self._at
        fresh = Part("check", ok=age <= STALE_AFTER, detail=f"{min(age, 1e6):.1f} s ago")
        return (*self._parts, fresh, draining)

    @property
    def ready(self) -> bool:
        """Whether this process can keep an event."""
        return all(part.ok for part in self.parts)

    async def run(self, beat: Beat) -> None:
        """The loop: also measures how late the event loop is."""
        while True:
            beat()
            await self._check()
            due = time.monotonic() + CHECK_EVERY
            await asyncio.sleep(CHECK_EVERY)
            self._metrics.lag.set(max(0.0, time.monotonic() - due))

    async def _check(self) -> None:
        try:
            schema = await self._store.check(writing=self.commits_fail)
        except Unavailable as problem:
            self._parts = (Part("database", ok=False, detail=problem.detail),)
        else:
            self.commits_fail = False
            fits = f"revision {schema.revision}, this code is {CODE}, the oldest admitted is {schema.min_code}"
            self._parts = (
                Part("database", ok=True, detail=self._store.name),
                Part(
                    "schema",
                    ok=schema.usable,
                    detail=fits if schema.revision else "none yet: run `collector migrate`",
                ),
            )
        self._at = time.monotonic()
        self._metrics.ready.set(self.ready)
        self._tell()

    def _tell(self) -> None:
        """One line for each change; none for what does not last from one turn to the next, as in a start."""
        state = [(part.name, part.ok) for part in self._parts]
        ready = all(part.ok for part in self._parts)
        if state != self._told and (ready or state == self._seen):
            write = log.info if ready else log.warning
            write("ready" if ready else "not ready", **{part.name: part.detail for part in self._parts})
            self._told = state
        self._seen = state
