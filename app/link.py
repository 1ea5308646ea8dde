"""The link to Redis, for what is never worth waiting for.

1. Who asks waits for a tenth of a second at most, whatever Redis or the network does, and is told of no error.
2. After a failure nobody asks for a while; then one caller tries for all. So a Redis that hangs costs one reader
   that much once in a while, and not every reader every time.
3. What comes while enough is under way is left out, so that nothing piles up.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from app.logs import log
from app.metrics import Metrics

CALL_SECONDS = 0.1  # for all of a call, connecting included; p99 is some milliseconds, so this long means away
AGAIN_SECONDS = 1.0  # after a failure, until somebody tries
MAX_CALLS = 16  # under way at a time; so many connections, too
CLOSE_SECONDS = 0.5

Use = Literal["find", "keep", "announce"]
Answer = TypeVar("Answer")


def client(url: str, *, seconds: float, connections: int) -> Redis:
    """A client that tries once: it would try ten times, and longer than anybody waits.

    Not yet connected. `seconds`: for one step of a call, of which a connect takes several.
    """
    return Redis.from_url(
        url,
        socket_connect_timeout=seconds,
        socket_timeout=seconds,
        retry=Retry(NoBackoff(), 0, supported_errors=()),
        max_connections=connections,
        protocol=2,  # no greeting, nor the client's name: each would be a wait more in every connect
        driver_info=None,
    )


async def close(redis: Redis) -> None:
    """Let go of every connection of a client, which may not be able to say so to anybody."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await redis.aclose()
    except Exception as error:  # noqa: BLE001 - the process is leaving
        log.debug("redis was not let go of", reason=repr(error))


class Breaker:
    """Whether something works. Once it has failed it is left alone for a while, then one caller tries it.

    A line of the log for each change.
    """

    def __init__(self, trouble: str, relief: str, **words: str) -> None:
        self._trouble = trouble
        self._relief = relief
        self._words = words
        self._again: float | None = None  # by the monotonic clock; None while it works

    @property
    def works(self) -> bool:
        """As far as is known."""
        return self._again is None

    def lets_through(self) -> bool:
        """Whether to try now; who is told so tries for all."""
        if self._again is None:
            return True
        now = time.monotonic()
        if now < self._again:
            return False
        self._again = now + AGAIN_SECONDS
        return True

    def failed(self, reason: str) -> None:
        """It does not work."""
        if self._again is None:
            log.warning(self._trouble, **self._words, reason=reason)
        self._again = time.monotonic() + AGAIN_SECONDS

    def worked(self) -> None:
        """It works."""
        if self._again is not None:
            log.info(self._relief, **self._words)
        self._again = None


class Link:
    """A Redis by its URL; connects when it is first asked."""

    def __init__(self, url: str, metrics: Metrics) -> None:
        self._redis = client(url, seconds=CALL_SECONDS, connections=MAX_CALLS)
        self._metrics = metrics
        self._up = metrics.redis_up.labels("calls")
        self._up.set(1)
        self._reached = Breaker("redis is away", "redis is back", connection="calls")
        self._taken: dict[Use, Breaker] = {}
        self._under_way = 0

    async def ask(self, use: Use, call: Callable[[Redis], Awaitable[Answer]]) -> Answer | None:
        """What `call` gives; None where Redis is away, refuses, or has enough to do. Raises nothing."""
        taken = self._taken.setdefault(
            use, Breaker("redis refuses what is asked", "redis takes it again", use=use)
        )
        if self._under_way >= MAX_CALLS or not (taken.lets_through() and self._reached.lets_through()):
            self._count(use, "skipped")
            return None
        self._under_way += 1
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await call(self._redis)
        except ResponseError as error:
            # It is full, or this user may not do that: no reason to leave off the rest.
            self._reach()
            taken.failed(str(error))
            self._count(use, "refused")
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is: who asks goes on without
            self._reached.failed(str(error) or type(error).__name__)
            self._up.set(0)
            self._count(use, "failed")
            return None
        finally:
            self._under_way -= 1
        self._reach()
        taken.worked()
        self._count(use, "answered")
        return answer

    async def close(self) -> None:
        """Let go of every connection."""
        await close(self._redis)

    def _reach(self) -> None:
        self._reached.worked()
        self._up.set(1)

    def _count(self, use: Use, outcome: str) -> None:
        self._metrics.redis_calls.labels(use, outcome).inc()
