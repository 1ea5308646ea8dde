"""Pages in Redis, which replicas share: what one has read none of the others has to read.

1. A page stands under the version of the log that it was read at, so it is never changed and never invalidated:
   who has asked the database for the version, and finds a page under it, may serve it as if it had read it. The
   version is of one log only, so that several logs can share a Redis, and of one server process of the database,
   so that no failover and no backup that was restored brings back pages of another history.
2. Nobody waits for a page to be put there, and for one that is looked for only as long as the link allows.
3. While the log moves quickly Redis is left alone: a page would be out of date before anybody could share it.
4. There is no lock against a herd: in one process one reads for all who ask the same, so that after everything was
   flushed each replica reads each page once, from a database that does that in a millisecond, and what a replica
   has in memory it goes on serving. A marker for "somebody is reading this" would cost every reader more.
"""

import asyncio
import time
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from app.about import VERSION
from app.cache import KEPT_SECONDS, MAX_PAGE_BYTES, CachedPage
from app.link import Link
from app.metrics import Metrics

if TYPE_CHECKING:
    from redis.asyncio import Redis

REST_SECONDS = (
    0.1  # that the log has not moved; at 20 commits a second one page in ten was found, for a fifth more CPU
)

# Body, headers, etag.
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[bytes, tuple[tuple[bytes, bytes], ...], str]).decode


class RedisShelf:
    """The shelf behind a link."""

    def __init__(self, link: Link, metrics: Metrics) -> None:
        self._link = link
        self._metrics = metrics
        for outcome in ("found", "missed"):
            metrics.shared_pages.labels(outcome)  # 0 from the start: while the log is busy, no page is looked for
        self._keeping: set[asyncio.Task[Any]] = set()
        self._version: str | None = None
        self._since = 0.0

    async def find(self, version: str | None, key: bytes) -> CachedPage | None:
        """The page that is kept for this version, if there is one, and as old as it is."""
        if version is None or not self._rests(version):
            return None
        answer = await self._link.ask("find", partial(_look, name=_name(version, key)))
        page = None if answer is None else _page(answer, version)
        self._metrics.shared_pages.labels("missed" if page is None else "found").inc()
        return page

    def keep(self, key: bytes, page: CachedPage) -> None:
        """Keep a page, some time soon, unless Redis is away."""
        if page.version is None or not self._rests(page.version) or len(page.body) > MAX_PAGE_BYTES:
            return
        put = partial(_put, name=_name(page.version, key), value=_encode((page.body, page.headers, page.etag)))
        # The link leaves out what is too much, so that few of these ever wait.
        task = asyncio.create_task(self._link.ask("keep", put))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    def _rests(self, version: str) -> bool:
        now = time.monotonic()
        if version != self._version:
            self._version, self._since = version, now
        return now - self._since >= REST_SECONDS


def _name(version: str, key: bytes) -> str:
    # Of this release: another may write the same page in another way.
    return f"collector:page:{VERSION}:{version}:{blake2b(key, digest_size=16).hexdigest()}"


async def _look(redis: "Redis", *, name: str) -> list[Any]:
    async with redis.pipeline(transaction=False) as both:
        both.get(name)
        both.pttl(name)
        return list(await both.execute())


async def _put(redis: "Redis", *, name: str, value: bytes) -> None:
    await redis.set(name, value, px=int(KEPT_SECONDS * 1000))


def _page(answer: list[Any], version: str) -> CachedPage | None:
    packed, left = answer
    if packed is None or left <= 0:
        return None
    try:
        body, headers, etag = _decode(packed)
    except msgspec.MsgspecError:
        return None
    # As old as it is, so that memory does not keep it for as long once more.
    return CachedPage(body, headers, etag, version, time.monotonic() - (KEPT_SECONDS - left / 1000))
