"""Waiting: for an effect, never for luck."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

PATIENCE = 30.0  # seconds for what has to come true
POLL = 0.01  # seconds
PING = 0.3  # seconds within which what works answers
BRIEF = 0.3  # seconds that a fault which is over at once counts, so that requests are sent meanwhile


async def during(seconds: float) -> AsyncIterator[None]:
    """Turns, until the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        await asyncio.sleep(min(0.05, max(0.0, end - time.monotonic())))


async def until(true: Callable[[], Awaitable[bool]], seconds: float = PATIENCE) -> bool:
    """Wait for it; False: it has not come true."""
    deadline = time.monotonic() + seconds
    while not await true():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL)
    return True


def since(began: float) -> str:
    return f"{time.monotonic() - began:.2f} s"
