"""Processes that serve: killed, told to leave, frozen, replaced."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

from tests.drills.injectors.waiting import PATIENCE, PING, POLL, during, since, until
from tests.drills.rig import Verb
from tests.drills.supervisor import Check, Pod, Supervisor
from tests.process import CollectorProcess

ASKED_WITHIN = 1.0  # seconds for a frozen process to be asked something; at 100 requests a second it takes 20 ms
WAITING = 2  # connections: one may be a check of the supervisor's


def of_collector(pod: Pod, supervisor: Supervisor) -> Mapping[str, Verb]:
    """What can be done to a process that serves."""
    return {
        "kill": partial(kill, pod, supervisor),
        "terminate": partial(terminate, pod, supervisor),
        "freeze": partial(freeze, pod),
    }


async def kill(pod: Pod, supervisor: Supervisor, lasts: float) -> str | None:
    """SIGKILL, once a request is under way: it is frozen before that, since a commit is so short."""
    process = process_of(pod)
    process.pause()
    await until(partial(_is_asked, process.port), ASKED_WITHIN)
    return await killed(pod, supervisor)


async def terminate(pod: Pod, supervisor: Supervisor, lasts: float) -> str | None:
    """SIGTERM, from an operator: the supervisor starts it again."""
    before, restarts = process_of(pod).pid, len(pod.restarts)
    process_of(pod).terminate()
    return await restarted(pod, supervisor, before, restarts)


async def freeze(pod: Pod, lasts: float) -> str | None:
    """SIGSTOP, and SIGCONT when it is over."""
    process = process_of(pod)
    process.pause()
    failed = 0
    try:
        async for _ in during(lasts):
            failed += not await Check(path="/healthz", timeout=PING).good(process.port)
    finally:
        process.resume()
    await until(partial(Check(path="/healthz").good, process.port))
    return f"{failed} pings failed" if failed else None


async def roll(
    supervisor: Supervisor, make: Callable[[], CollectorProcess], wait: Callable[[], Awaitable[None]], lasts: float
) -> str | None:
    """Replace all that serve, one after the other."""
    codes = [await hand_over(supervisor, name, make=make, wait=wait) for name in serving(supervisor)]
    return f"{len(codes)} replaced; they left with {', '.join(map(str, codes))}"


def serving(supervisor: Supervisor) -> list[str]:
    """The names of those that serve."""
    return [pod.name for pod in supervisor.pods.values() if pod.serves]


async def hand_over(
    supervisor: Supervisor,
    name: str,
    *,
    make: Callable[[], CollectorProcess],
    wait: Callable[[], Awaitable[None]],
) -> int | None:
    """Replace one: the new one, unless it was started before, is ready before the old one is told to leave.

    The exit code of the old one.
    """
    if (new := f"{name}'") not in supervisor.pods:
        supervisor.add(new, make())
    await supervisor.until_ready(new)
    await wait()
    return await supervisor.remove(name)


async def killed(pod: Pod, supervisor: Supervisor) -> str | None:
    before, restarts = process_of(pod).pid, len(pod.restarts)
    process_of(pod).kill()
    return await restarted(pod, supervisor, before, restarts)


async def restarted(pod: Pod, supervisor: Supervisor, before: int, restarts: int) -> str | None:
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE):
        while len(pod.restarts) == restarts:  # noqa: ASYNC110 - it ends by itself
            await asyncio.sleep(POLL)
    await supervisor.until_ready(pod.name)
    after = process_of(pod).pid
    why = pod.restarts[-1].reason
    return None if after == before else f"{why}; pid {before} -> {after}, ready after {since(began)}"


def process_of(pod: Pod) -> CollectorProcess:
    """The process, which our rig has made a collector."""
    assert isinstance(pod.process, CollectorProcess)
    return pod.process


async def _is_asked(port: int) -> bool:
    return _waiting(port) >= WAITING


def _waiting(port: int) -> int:
    """How many wait for the process on this port, which is frozen."""
    table = Path("/proc/net/tcp")
    if not table.is_file():
        return 0  # not to be seen here: ASKED_WITHIN is waited for
    waiting = 0
    for line in table.read_text().splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        # Of a listener, this is how many connections nobody has taken; of a connection, the bytes not read.
        here = int(local.rpartition(":")[2], 16) == port and local.startswith("0100007F")
        held = int(queues.partition(":")[2], 16)
        waiting += held if here and state == "0A" else bool(here and held)
    return waiting
