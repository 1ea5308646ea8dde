"""Crowds: many connections at once, that say nothing or drip, and how those are served who do neither."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress

from tests.faults.wire import Cut, Wire, event
from tests.ports import LOOPBACK

POSTS_EVERY = 0.005  # seconds between requests of the good traffic
DRIP_EVERY = 0.25  # seconds between two bytes of a socket that drips


class Crowd:
    """Sockets that are connected and read by nobody."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []

    async def grow(self, port: int, count: int) -> None:
        """Connect as many more, one after the other."""
        loop = asyncio.get_running_loop()
        for _ in range(count):
            one = socket.socket()
            self.sockets.append(one)
            one.setblocking(False)
            await loop.sock_connect(one, (LOOPBACK, port))

    async def drip(self, begun: Callable[[int], bytes]) -> None:
        """Send `begun(place)` on each, and from then on a byte now and then, whether or not somebody listens."""
        for place, one in enumerate(self.sockets):
            one.send(begun(place))
        while True:
            await asyncio.sleep(DRIP_EVERY)
            for one in self.sockets:
                with suppress(OSError):
                    one.send(b"x")

    def heard(self) -> list[bytes | None]:
        """What each was told since the last time: None where nothing, b"" where it was closed."""
        return [_heard(one) for one in self.sockets]

    def close(self) -> None:
        for one in self.sockets:
            one.close()


def _heard(one: socket.socket) -> bytes | None:
    try:
        return one.recv(2**16)
    except BlockingIOError:
        return None
    except ConnectionError:
        return b""


@asynccontextmanager
async def crowd() -> AsyncIterator[Crowd]:
    """Nobody yet; all of them are let go of at the end."""
    made = Crowd()
    try:
        yield made
    finally:
        made.close()


async def latencies(port: int, seconds: float, source: str) -> list[float]:
    """How long each POST took of a steady stream on one connection kept alive; every one must be kept."""
    found: list[float] = []
    wire = await Wire.open(port)
    ends = time.monotonic() + seconds
    try:
        while (began := time.monotonic()) < ends:
            answer = await wire.ask("POST", "/events", event(source, f"{began}"))
            assert answer.status == 201, answer
            found.append(time.monotonic() - began)
            await asyncio.sleep(POSTS_EVERY)
    finally:
        wire.close()
    return found


def p99(seconds: Iterable[float]) -> float:
    """The 99th percentile."""
    ordered = sorted(seconds)
    return ordered[int(0.99 * (len(ordered) - 1))]


async def asked(port: int, path: str) -> int | None:
    """The status of a GET on a connection of its own; None where that was cut."""
    try:
        wire = await Wire.open(port)
        try:
            return (await wire.ask("GET", path)).status
        finally:
            wire.close()
    except Cut:
        return None
