"""A connection to a Redis that is known to write to disk before it answers.

The client never connects or sends again by itself: what cannot be told is the caller's to judge, and WAITAOF
speaks of what its own connection has written.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

PAUSE_SECONDS = 0.25  # after a failed connect: meanwhile the answer is no at once
TRUSTED_SECONDS = 1.0  # after its last use, within which a connection is taken to be there
PING_SECONDS = 0.5

# What it means that Redis is away. The last is what a transport of uvloop raises once it is closed.
LOST = (RedisError, OSError, TimeoutError, RuntimeError)


class Refused(RedisError):
    """This Redis cannot be a spool; the message says why."""


class Link:
    """One connection, made when it is needed and again after it was dropped. `seconds`: for one command.

    `vet`: only to a Redis that can be a spool.
    """

    def __init__(self, url: str, seconds: float, *, vet: bool) -> None:
        self._url = url
        self._seconds = seconds
        self._vet = vet
        self._client: Redis | None = None
        self._confirms = False
        self._again_at = 0.0
        self._used_at = 0.0

    async def get(self) -> tuple[Redis, bool]:
        """The client, and whether WAITAOF has to confirm what is written. Raises one of LOST."""
        if self._client is not None and await self._lives(self._client):
            return self._client, self._confirms
        if time.monotonic() < self._again_at:
            raise ConnectionRefusedError
        self._again_at = time.monotonic() + PAUSE_SECONDS
        try:
            self._client = await self._made()
        except (ValueError, TypeError):
            raise Refused("the spool's URL cannot be understood") from None
        finally:
            self._again_at = 0.0 if self._client else time.monotonic() + PAUSE_SECONDS
        self._used_at = time.monotonic()
        return self._client, self._confirms

    async def _made(self) -> Redis:
        client = _client(self._url, self._seconds)
        try:
            await client.initialize()
            self._confirms = self._vet and await vet(client)
        except BaseException:
            await _closed(client)
            raise
        return client

    async def _lives(self, client: Redis) -> bool:
        """Asks first where it was idle: in the months between two outages, somebody may have cut it silently."""
        idle = time.monotonic() - self._used_at
        self._used_at += idle
        if idle < TRUSTED_SECONDS:
            return True
        try:
            async with asyncio.timeout(PING_SECONDS):
                await client.ping()
        except LOST:
            await self.drop()
            return False
        return True

    async def drop(self) -> None:
        """Let go of it."""
        client, self._client = self._client, None
        if client is not None:
            await _closed(client)


def _client(url: str, seconds: float) -> Redis:
    client: Redis = Redis.from_url(
        url,
        single_connection_client=True,
        socket_connect_timeout=seconds,
        socket_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        health_check_interval=0,
        decode_responses=False,
        client_name="collector-spool",
        maint_notifications_config=MaintNotificationsConfig(enabled=False),  # which could reconnect
    )
    return client


async def _closed(client: Redis) -> None:
    with contextlib.suppress(*LOST):
        async with asyncio.timeout(PAUSE_SECONDS):
            await client.aclose()


async def vet(client: Redis) -> bool:
    """Whether this Redis, which has all that a spool needs, has WAITAOF too. Raises Refused, RedisError."""
    info: Mapping[str, Any] = await client.info()
    if info.get("role") != "master":
        raise Refused("the spool's Redis is a replica")
    if info.get("loading") or info.get("async_loading"):
        raise Refused("the spool's Redis is loading its data")
    policy = str(info.get("maxmemory_policy"))
    if policy != "noeviction" and not policy.startswith("volatile-"):
        raise Refused(f"the spool's Redis may evict anything: maxmemory-policy is {policy}, not noeviction")
    if not info.get("aof_enabled"):
        raise Refused("the spool's Redis does not write to disk: appendonly is no")
    fsync = await _appendfsync(client)
    if fsync != "always":
        raise Refused(f"the spool's Redis may answer before it writes to disk: appendfsync is {fsync}, not always")
    return await _has_waitaof(client)


async def _has_waitaof(client: Redis) -> bool:
    try:
        # For nobody, no longer than a millisecond: whether it is there, and allowed.
        await waitaof(client, 0, 1)
    except ResponseError:
        return False
    return True


async def _appendfsync(client: Redis) -> str:
    """The setting, or why it is not known."""
    try:
        found: Mapping[Any, Any] = await client.config_get("appendfsync")
    except ResponseError:
        return "not ours to read (allow +config|get)"
    return next((_text(value) for value in found.values()), "not there")


async def waitaof(client: Any, wanted: int, ms: int) -> int:
    """On how many disks, of this server's one, all is that this connection has written."""
    here, _ = await client.execute_command("WAITAOF", wanted, 0, ms)
    return int(here)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
