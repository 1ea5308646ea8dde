"""Surroundings: a disk that is full, a network that is broken."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import get_args

from tests.drills.injectors.waiting import BRIEF, during
from tests.drills.rig import Verb
from tests.drills.supervisor import Check
from tests.proxy import Mode, Proxy

MODES: tuple[Mode, ...] = tuple(mode for mode in get_args(Mode) if mode != "pass")


async def nobody_has_ended() -> None:
    """What is on the disk goes on by itself."""


def of_disk(folder: Path, port: int, mend: Callable[[], Awaitable[None]] = nobody_has_ended) -> Mapping[str, Verb]:
    """What can be done to a disk; the port of a collector that hangs on it; what somebody does afterwards."""
    return {"fill": partial(fill_disk, folder, port, mend)}


async def fill_disk(folder: Path, port: int, mend: Callable[[], Awaitable[None]], lasts: float) -> str | None:
    """Leave no room on the file system of this folder."""
    filler = folder / "filler"
    unready = 0
    try:
        async for _ in during(lasts):
            # Again and again: what the collector gives back is taken too.
            _fill(filler)
            unready += not await Check(path="/readyz").good(port)
    finally:
        filler.unlink(missing_ok=True)
    await mend()
    return f"/readyz said no {unready} times" if unready else None


def _fill(path: Path) -> None:
    for size in (2**20, 4096):
        with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
            while True:
                file.write(b"x" * size)


def of_proxy(proxy: Proxy) -> Mapping[str, Verb]:
    """What can be done to a network."""
    return {mode: partial(break_network, proxy, mode) for mode in MODES}


async def break_network(proxy: Proxy, mode: Mode, lasts: float) -> str | None:
    """Let the proxy do this for so many seconds. A connection that has lost something is not to be used again."""
    before = proxy.bitten[mode]
    proxy.mode = mode
    try:
        await asyncio.sleep(max(lasts, BRIEF))
    finally:
        if mode == "drop-replies":
            proxy.mode = "reset"
        proxy.mode = "pass"
    bitten = proxy.bitten[mode] - before
    return f"{bitten} pieces or connections bitten" if bitten else None
