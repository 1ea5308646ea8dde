"""Containers: killed, stopped, all of them as by a reboot, without room on their disk."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from tests.compose.stack import Stack, StackError
from tests.drills.injectors.waiting import since
from tests.drills.rig import Verb
from tests.engine import Existing, docker

DISK = "/disk"  # where the container that holds PostgreSQL's disk has it
NO_ROOM = "No space left on device"
BACK_WITHIN = 120.0  # seconds; the engine doubles its pause with each restart


def verb(inject: Callable[..., str | None], *given: object) -> Verb:
    """What waits for commands, in a thread of its own; it is given the seconds that it lasts."""

    async def run(lasts: float) -> str | None:
        return await asyncio.to_thread(inject, *given, lasts)

    return run


def of_stack(stack: Stack, collectors: Sequence[str]) -> Mapping[str, Mapping[str, Verb]]:
    """What can be done to the services of deploy/compose."""
    killed = {name: {"kill": verb(kill, stack.container(name))} for name in collectors}
    stores = {
        name: {"kill": verb(kill, stack.container(name)), "stop": verb(stop, stack, name)}
        for name in ("postgres", "redis")
    }
    return {**killed, **stores, "host": {"reboot": verb(reboot, stack)}}


def of_disk(stack: Stack) -> Mapping[str, Verb]:
    """What can be done to PostgreSQL's disk."""
    return {"fill": verb(fill, stack)}


def psql(stack: Stack, sql: str) -> str:
    """What PostgreSQL answers, a row a line."""
    words = ("psql", "--username=collector", "--no-align", "--tuples-only", "--quiet", f"--command={sql}")
    return stack.compose("exec", "--no-TTY", "postgres", *words)


def kill(container: Existing, lasts: float) -> str | None:
    """SIGKILL, behind the engine's back, whose restart policy then acts."""
    before, restarts = int(container.state["Pid"]), container.restarts
    container.kill_from_the_host()
    return back(container, before, restarts)


def back(container: Existing, before: int, restarts: int) -> str | None:
    """Wait until it runs again, and well, as another process than this one."""
    began = time.monotonic()
    after = container.wait_for_another(before, BACK_WITHIN)
    container.wait_until("healthy", BACK_WITHIN)
    seen = f"pid {before} -> {after}, healthy after {since(began)}"
    return seen if container.restarts > restarts else None


def stop(stack: Stack, service: str, lasts: float) -> str | None:
    """Stop it in good order, and start it again after so many seconds."""
    began = time.monotonic()
    stack.compose("stop", service)
    stopped = stack.container(service).state["Status"] == "exited"
    time.sleep(max(0.0, began + lasts - time.monotonic()))
    stack.compose("start", service)
    stack.container(service).wait_until("healthy", BACK_WITHIN)
    return f"away for {since(began)}" if stopped else None


def up(stack: Stack) -> None:
    """Start all of it; once more where the machine was so busy that something was not well in time."""
    try:
        stack.start()
    except StackError:
        stack.start()


def reboot(stack: Stack, lasts: float) -> str | None:
    """End everything at once, and start it from what is on the disk: no container, no network outlives it."""
    began = time.monotonic()
    stack.compose("kill")
    ended = not docker("ps", "--quiet", f"--filter=name={stack.name}")
    stack.compose("down")
    up(stack)
    return f"all of it back after {since(began)}" if ended else None


def fill(stack: Stack, lasts: float) -> str | None:
    """Leave no room on PostgreSQL's disk; the engine starts it again, if it ends."""
    disk, postgres = stack.container("disk"), stack.container("postgres")
    before, restarts = postgres.logs().count(NO_ROOM), postgres.restarts
    end = time.monotonic() + lasts
    try:
        while time.monotonic() < end:
            # Again and again: what is given back is taken too.
            disk.exec("sh", "-c", f"cat /dev/zero >>{DISK}/filler")
            time.sleep(0.1)
    finally:
        disk.exec("rm", "-f", f"{DISK}/filler")
    postgres.wait_until("healthy", BACK_WITHIN)
    refused = postgres.logs().count(NO_ROOM) - before
    return f"{refused} times no room; {postgres.restarts - restarts} restarts" if refused else None
