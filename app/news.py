"""News between replicas, through Redis: a wake-up and no more. The database is asked what there really is.

1. After a commit its position is announced, by nobody who waits: one announcement under way at a time, always of
   the newest position, a few a second at most.
2. What is heard makes this process look into the database, where there is more than it knows of. So what is lost
   delays a reader and what is forged costs a look; neither can hide an event or hold back the news after it.
3. It looks by itself all the same: seldom while it hears others, often while it does not. A connection that says
   nothing, not even when it is asked, is given up within seconds.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from redis.asyncio.client import PubSub

from app.errors import Unavailable
from app.feed import LISTEN_EVERY
from app.health import Beat
from app.link import Breaker, Link, client, close
from app.logs import log
from app.metrics import Metrics

if TYPE_CHECKING:
    from redis.asyncio import Redis

ANNOUNCE_EVERY = 0.02  # seconds between two announcements
LOOK_EVERY = 0.01  # seconds between two looks into the database, whatever is heard
SELDOM = 2.0  # seconds between two looks while nothing is heard, though it would be
QUIET_SECONDS = 1.0  # without a word until Redis is asked whether it is there; as long again until it is given up
CONNECT_SECONDS = 1.0
AGAIN_SECONDS = (0.2, 2.0)  # until the next attempt, the first and the longest

_SOMETHING = 2**63  # a position above all: there may be anything


class RedisNews:
    """News of one log; `identity` asks what tells it from others. Hears nothing until `run` runs."""

    def __init__(self, url: str, link: Link, metrics: Metrics, identity: Callable[[], Awaitable[str]]) -> None:
        self._redis = client(url, seconds=CONNECT_SECONDS, connections=2)
        self._link = link
        self._metrics = metrics
        self._identity = identity
        self._channel: str | None = None
        self._heard = 0
        self._stirred = asyncio.Event()
        self._hearing = False
        self._state = Breaker("redis is away", "redis is back", connection="news")
        self._newest = 0
        self._announcing: asyncio.Task[None] | None = None

    def announce(self, position: int) -> None:
        """Say that events up to `position` are committed."""
        if position > self._newest:
            self._newest = position
            if self._announcing is None and self._channel is not None:
                self._announcing = asyncio.create_task(self._announce(self._channel))

    async def wait(self) -> int | None:
        """The highest position that was heard, or None where it is time to look without having heard of one."""
        await asyncio.sleep(LOOK_EVERY)
        try:
            async with asyncio.timeout(SELDOM if self._hearing else LISTEN_EVERY):
                await self._stirred.wait()
        except TimeoutError:
            return None
        self._stirred.clear()
        heard, self._heard = self._heard, 0
        return heard

    async def run(self, beat: Beat) -> None:
        """The loop: hear, and where that ends, begin again."""
        pause = AGAIN_SECONDS[0]
        while True:
            beat()
            try:
                await self._hear(beat)
            except Unavailable as problem:
                log.debug("news put off", reason=problem.detail)
            except Exception as error:  # noqa: BLE001 - whatever it is: readers look for themselves meanwhile
                self._state.failed(str(error) or type(error).__name__)
            pause = AGAIN_SECONDS[0] if self._hearing else min(2 * pause, AGAIN_SECONDS[1])
            self._hears(hearing=False)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - it spreads replicas

    async def close(self) -> None:
        """Let go of the connection."""
        await close(self._redis)

    async def _announce(self, channel: str) -> None:
        said = 0
        while said < self._newest:
            said = self._newest
            await self._link.ask("announce", partial(_publish, channel=channel, position=said))
            await asyncio.sleep(ANNOUNCE_EVERY)
        self._announcing = None

    async def _hear(self, beat: Beat) -> None:
        if self._channel is None:
            self._channel = f"collector:news:{await self._identity()}"
        async with self._redis.pubsub() as channel:
            async with asyncio.timeout(CONNECT_SECONDS):
                await channel.subscribe(self._channel)
            await _word(channel)  # that it is subscribed: what is said from now on is heard
            self._state.worked()
            self._hears(hearing=True)
            while True:
                beat()
                self._stir(await _word(channel))

    def _hears(self, *, hearing: bool) -> None:
        self._metrics.redis_up.labels("news").set(hearing)
        if hearing != self._hearing:
            self._hearing = hearing
            self._stir(_SOMETHING)  # which was said while it did not

    def _stir(self, position: int) -> None:
        if position > 0:
            self._heard = max(self._heard, position)
            self._stirred.set()


async def _publish(redis: "Redis", *, channel: str, position: int) -> None:
    await redis.publish(channel, position)


async def _word(channel: PubSub) -> int:
    """The next position that is said; 0 for anything else. Raises TimeoutError where Redis says nothing."""
    message = await channel.get_message(timeout=QUIET_SECONDS)
    if message is None:
        async with asyncio.timeout(QUIET_SECONDS):
            await channel.ping()
            message = await channel.get_message(timeout=None)
    said = message["data"] if message and message["type"] == "message" else b""
    return int(said) if isinstance(said, bytes) and said.isdigit() and len(said) < 20 else 0
