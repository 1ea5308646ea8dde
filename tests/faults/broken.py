"""A collector with a fault built in: `python -m tests.faults.broken FAULT`, else as `python -m app`."""

import asyncio
import functools
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import app.migrate
from app import health
from app.cli import main
from app.health import Beat, Loops

AFTER = 1.0  # seconds after the start
BRIEF = 1.0  # seconds, for a deadline

Run = Callable[[Beat], Coroutine[Any, Any, None]]


async def _dies(run: Run, beat: Beat) -> None:
    """The loop runs, and then raises."""
    task = asyncio.create_task(run(beat))
    await asyncio.sleep(AFTER)
    task.cancel()
    raise ZeroDivisionError("injected")


async def _blocks(run: Run, beat: Beat) -> None:
    """The loop keeps the thread to itself."""
    task = asyncio.create_task(run(beat))
    await asyncio.sleep(AFTER)
    time.sleep(60)  # noqa: ASYNC251 - the fault
    await task


async def _hangs(run: Run, beat: Beat) -> None:
    """The loop waits for what never comes."""
    task = asyncio.create_task(run(beat))
    await asyncio.sleep(AFTER)
    task.cancel()
    await asyncio.Event().wait()


_FAULTS = {"dies": _dies, "blocks": _blocks, "hangs": _hangs}


def _inject(fault: str, broken: str, deadline: float | None) -> None:
    start = Loops.start

    def _start(self: Loops, name: str, run: Run, **words: float) -> None:
        if deadline is not None and name not in ("upkeep", "rollup", "letters"):  # whose turns are far apart
            words = {"deadline": deadline}
        if name == broken:
            run = functools.partial(_FAULTS[fault], run)
        start(self, name, run, **words)

    Loops.start = _start  # type: ignore[method-assign]


def _prepare(fault: str) -> None:
    """`dies:LOOP`, `blocks:LOOP`, `hangs:LOOP`; `brief`: short deadlines; `impatient`: `migrate` soon gives up."""
    health.WATCH_EVERY = health.LAST_WORDS = 0.5
    kind, _, loop = fault.partition(":")
    if kind in _FAULTS:
        _inject(kind, loop, None if kind == "dies" else BRIEF)
    elif kind == "brief":
        _inject(kind, "", 2.0)
    else:
        assert kind == "impatient"
        app.migrate.PATIENCE = BRIEF


if __name__ == "__main__":
    _prepare(sys.argv[1])
    main(sys.argv[2:])
