"""The shelf: a page is found under its version only, as it was, and no longer than it may be served."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from app import link as link_module
from app import shelf as module
from app.cache import KEPT_SECONDS, MAX_PAGE_BYTES, CachedPage
from app.link import Link
from app.metrics import Metrics
from app.shelf import RedisShelf
from tests.servers import RedisServer

NAMES = "collector:page:*"


def page(version: str | None = "1.2", body: bytes = b"[]") -> CachedPage:
    return CachedPage(body, ((b"etag", b'"e"'), (b"vary", b"accept")), '"e"', version, time.monotonic())


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as redis:
        yield redis


@pytest.fixture
async def shelf(redis_url: str) -> AsyncIterator[RedisShelf]:
    metrics = Metrics(1)
    link = Link(redis_url, metrics)
    yield RedisShelf(link, metrics)
    await link.close()


@pytest.fixture(autouse=True)
def _rested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REST_SECONDS", 0.0)
    monkeypatch.setattr(link_module, "CALL_SECONDS", 5.0)


async def kept(shelf: RedisShelf, key: bytes, one: CachedPage) -> None:
    """Keep a page, and wait until it is."""
    shelf.keep(key, one)
    await asyncio.gather(*shelf._keeping)


async def test_what_one_keeps_another_finds(shelf: RedisShelf, redis_url: str) -> None:
    await kept(shelf, b"limit=5", page())
    other = RedisShelf(Link(redis_url, Metrics(1)), Metrics(1))
    found = await other.find("1.2", b"limit=5")
    assert found is not None
    assert (found.body, found.headers, found.etag, found.version) == (b"[]", page().headers, '"e"', "1.2")
    assert found.lines == page().lines
    assert [await other.find("1.3", b"limit=5"), await other.find("1.2", b"limit=6")] == [None, None]
    await other._link.close()


async def test_a_page_without_a_version_is_neither_kept_nor_looked_for(shelf: RedisShelf, redis: Redis) -> None:
    await kept(shelf, b"k", page(None))
    assert await redis.keys(NAMES) == []
    assert await shelf.find(None, b"k") is None


async def test_a_page_that_is_too_large_for_memory_is_not_kept(shelf: RedisShelf, redis: Redis) -> None:
    await kept(shelf, b"k", page(body=b"x" * (MAX_PAGE_BYTES + 1)))
    assert await redis.keys(NAMES) == []


async def test_a_page_goes_after_a_while_and_is_as_old_as_it_is(shelf: RedisShelf, redis: Redis) -> None:
    await kept(shelf, b"k", page())
    (name,) = await redis.keys(NAMES)
    assert 0 < await redis.pttl(name) <= KEPT_SECONDS * 1000
    await redis.pexpire(name, 20_000)
    found = await shelf.find("1.2", b"k")
    assert found is not None
    assert KEPT_SECONDS - 20 <= time.monotonic() - found.read_at < KEPT_SECONDS


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"\x93\xc4\x00", b"[]", b"\x93\x01\x02\x03"])
async def test_what_is_no_page_is_none(shelf: RedisShelf, redis: Redis, garbage: bytes) -> None:
    await kept(shelf, b"k", page())
    (name,) = await redis.keys(NAMES)
    await redis.set(name, garbage, px=10_000)
    assert await shelf.find("1.2", b"k") is None


async def test_what_never_goes_is_none(shelf: RedisShelf, redis: Redis) -> None:
    await kept(shelf, b"k", page())
    (name,) = await redis.keys(NAMES)
    await redis.persist(name)
    assert await shelf.find("1.2", b"k") is None


async def test_while_the_log_moves_redis_is_left_alone(
    shelf: RedisShelf, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REST_SECONDS", 60.0)
    await kept(shelf, b"k", page())
    assert await redis.keys(NAMES) == []
    shelf._since -= 60.0
    await kept(shelf, b"k", page())
    assert await shelf.find("1.2", b"k") is not None
    assert await shelf.find("1.3", b"k") is None
    assert await shelf.find("1.2", b"k") is None


async def test_without_redis_there_is_nothing(own_redis: RedisServer) -> None:
    await asyncio.to_thread(own_redis.stop)
    link = Link(own_redis.url(), Metrics(1))
    shelf = RedisShelf(link, Metrics(1))
    await kept(shelf, b"k", page())
    assert await shelf.find("1.2", b"k") is None
    await link.close()
