"""The link: who asks is answered, or told in time that there is nothing; and nobody asks who is away."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Literal

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs
from structlog.typing import EventDict

from app import link as module
from app.link import MAX_CALLS, Link
from app.metrics import Metrics
from tests.ports import LOOPBACK
from tests.proxy import Mode, Proxy
from tests.servers import RedisServer

BUDGET = 0.5  # seconds
PATIENCE = 2.0  # seconds; the default of the client is many

Trouble = Mode | Literal["paused", "down"]


class Asked:
    """A link, what its metrics say, and what it wrote to the log."""

    def __init__(self, url: str, lines: list[EventDict]) -> None:
        self._metrics = Metrics(1)
        self.link = Link(url, self._metrics)
        self.lines = lines

    async def ping(self, word: str = "here") -> bytes | str | None:
        return await self.link.ask("find", lambda redis: redis.echo(word))

    async def put(self) -> bool | str | bytes | None:
        return await self.link.ask("keep", lambda redis: redis.set("key", b"x"))

    def count(self, outcome: str, use: str = "find") -> float:
        labels = {"use": use, "outcome": outcome}
        return self._metrics.registry.get_sample_value("collector_redis_calls_total", labels) or 0

    @property
    def up(self) -> float | None:
        return self._metrics.registry.get_sample_value("collector_redis_up", {"connection": "calls"})

    @property
    def told(self) -> list[str]:
        return [line["event"] for line in self.lines]


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    with capture_logs() as lines:
        yield lines


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """More patience than there is, so that no test fails because the machine was busy for a moment."""
    monkeypatch.setattr(module, "CALL_SECONDS", BUDGET)


@pytest.fixture
async def proxy(own_redis: RedisServer) -> AsyncIterator[Proxy]:
    async with Proxy(LOOPBACK, own_redis.port) as proxy:
        yield proxy


@pytest.fixture
async def asked(proxy: Proxy, own_redis: RedisServer, lines: list[EventDict]) -> AsyncIterator[Asked]:
    asked = Asked(proxy.url_through(own_redis.url()), lines)
    yield asked
    await asked.link.close()


async def back(asked: Asked) -> None:
    async with asyncio.timeout(20):
        while await asked.ping() != b"here":  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.02)


async def test_who_asks_is_answered(asked: Asked) -> None:
    assert await asked.ping() == b"here"
    assert (asked.count("answered"), asked.up, asked.told) == (1, 1, [])


@pytest.mark.parametrize(
    "trouble", ["stall", "stall-replies", "drop-replies", "reset", "refuse", "paused", "down"]
)
async def test_whatever_ails_redis_one_caller_waits_a_moment_and_the_others_not_at_all(
    trouble: Trouble,
    asked: Asked,
    proxy: Proxy,
    own_redis: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await asked.ping() == b"here"
    monkeypatch.setattr(module, "AGAIN_SECONDS", 60.0)
    if trouble == "paused":
        own_redis.pause()
    elif trouble == "down":
        await asyncio.to_thread(own_redis.stop)
    else:
        modes: dict[str, Mode] = {
            mode: mode for mode in ("stall", "stall-replies", "drop-replies", "reset", "refuse")
        }
        proxy.mode = modes[trouble]
    began = time.perf_counter()
    assert await asked.ping() is None
    first = time.perf_counter() - began
    began = time.perf_counter()
    assert [await asked.ping() for _ in range(100)] == [None] * 100
    rest = time.perf_counter() - began
    print(f"{trouble}: the first waited {first * 1000:.0f} ms, the next hundred {rest * 1000:.1f} ms together")
    assert first < PATIENCE
    assert (asked.count("failed"), asked.count("skipped"), asked.up) == (1, 100, 0)
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.05)
    asked.link._reached._again = 0.0  # the time has come
    assert await asked.ping() is None
    if trouble == "paused":
        own_redis.resume()
    elif trouble == "down":
        await asyncio.to_thread(own_redis.start)
    else:
        proxy.mode = "pass"
    await back(asked)
    assert asked.up == 1
    assert asked.told == ["redis is away", "redis is back"]


async def test_one_caller_tries_for_all(asked: Asked, proxy: Proxy) -> None:
    proxy.mode = "stall"
    assert await asked.ping() is None
    asked.link._reached._again = 0.0
    assert await asyncio.gather(*(asked.ping() for _ in range(50))) == [None] * 50
    assert (asked.count("failed"), asked.count("skipped")) == (2, 49)


async def test_a_redis_that_is_full_is_still_asked_for_what_it_has(asked: Asked, own_redis: RedisServer) -> None:
    assert await asked.put()
    async with Redis.from_url(own_redis.url()) as admin:
        await admin.config_set("maxmemory-policy", "noeviction")
        await admin.config_set("maxmemory", "1")
        assert [await asked.put() for _ in range(3)] == [None] * 3
        assert await asked.ping() == b"here"
        assert (asked.count("refused", "keep"), asked.count("skipped", "keep"), asked.up) == (1, 2, 1)
        await admin.config_set("maxmemory", "0")
    async with asyncio.timeout(20):
        while not await asked.put():  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.05)
    assert asked.told == ["redis refuses what is asked", "redis takes it again"]


async def test_a_wrong_password_is_as_good_as_away(own_redis: RedisServer, lines: list[EventDict]) -> None:
    asked = Asked(own_redis.url().replace("redis://", "redis://:secret@"), lines)
    assert await asked.ping() is None
    assert asked.told == ["redis is away"]
    assert "secret" not in str(lines)
    await asked.link.close()


async def test_no_more_is_under_way_than_it_can_bear(asked: Asked, proxy: Proxy) -> None:
    assert await asked.ping() == b"here"
    proxy.mode = "stall-replies"
    await asyncio.gather(*(asked.ping() for _ in range(2 * MAX_CALLS)))
    assert (asked.count("failed"), asked.count("skipped")) == (MAX_CALLS, MAX_CALLS)
    assert proxy.connections <= MAX_CALLS


async def test_after_a_caller_has_left_the_others_get_their_own_answers(asked: Asked, proxy: Proxy) -> None:
    proxy.mode = "delay"
    proxy.delay = 0.02
    for n in range(5):
        leaving = asyncio.create_task(asked.ping(f"left {n}"))
        await asyncio.sleep(0.01)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        proxy.mode = "pass"
        assert await asked.ping() == b"here"
        proxy.mode = "delay"
