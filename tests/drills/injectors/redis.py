"""Redis: shut down, crashed, stalled, flushed, full."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.drills.injectors.waiting import BRIEF, PING, during, since, until
from tests.drills.rig import Verb
from tests.servers import RedisServer

Use = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """A Redis that is used by itself."""


def of_redis(server: RedisServer, use: Use = nothing) -> Mapping[str, Verb]:
    """What can be done to a Redis; `use` brings those who have it to put something there."""
    return {
        "shutdown": partial(shutdown, server),
        "crash": partial(shutdown, server, kill=True),
        "stall": partial(stall, server),
        "flush": partial(flush, server, use),
        "fill": partial(fill, server, use),
    }


async def shutdown(server: RedisServer, lasts: float, *, kill: bool = False) -> str | None:
    """Stop it, and start it again after so many seconds."""
    began = time.monotonic()
    await asyncio.to_thread(server.stop, kill=kill)
    failed = not await _pings(server)
    await asyncio.sleep(max(0.0, began + lasts - time.monotonic()))
    await asyncio.to_thread(server.start)
    return f"away for {since(began)}" if failed else None


async def stall(server: RedisServer, lasts: float) -> str | None:
    """SIGSTOP, and SIGCONT when it is over."""
    server.pause()
    failed = 0
    try:
        async for _ in during(lasts):
            failed += not await _pings(server)
    finally:
        server.resume()
    await until(partial(_pings, server))
    return f"{failed} pings failed" if failed else None


async def flush(server: RedisServer, use: Use, lasts: float) -> str | None:
    """Forget everything, once there is something, and again and again."""
    forgotten = 0
    async with Redis.from_url(server.url()) as client:
        async for _ in during(max(BRIEF, lasts)):
            await use()
            forgotten += int(await client.dbsize())
            await client.flushall()
    return f"{forgotten} keys forgotten" if forgotten else None


async def fill(server: RedisServer, use: Use, lasts: float) -> str | None:
    """Let it have no memory for anything new."""
    async with Redis.from_url(server.url(), decode_responses=True) as client:
        kept = await client.config_get("maxmemory*")
        before = await _refused(client)
        await client.config_set("maxmemory-policy", "noeviction")
        await client.config_set("maxmemory", "1")
        try:
            async for _ in during(lasts):
                await use()
        finally:
            for name in ("maxmemory", "maxmemory-policy"):
                await client.config_set(name, str(kept[name]))
        refused = await _refused(client) - before
    return f"{refused} commands refused" if refused else None


async def _refused(client: Redis) -> int:
    found = (await client.info("errorstats")).get("errorstat_OOM", {})
    return int(found.get("count", 0))


async def _pings(server: RedisServer) -> bool:
    client = Redis.from_url(server.url(), socket_timeout=PING, socket_connect_timeout=PING)
    try:
        async with asyncio.timeout(2 * PING):
            return bool(await client.ping())
    except (RedisError, OSError, TimeoutError):
        return False
    finally:
        with contextlib.suppress(RedisError, OSError):
            await client.aclose()
