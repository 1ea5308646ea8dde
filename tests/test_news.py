"""News: what one process commits wakes the others, and whatever Redis does or says can do no harm."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from redis.asyncio import Redis

from app import link as link_module
from app import news as module
from app.cache import CachedPage
from app.health import Loops
from app.link import Link
from app.metrics import Metrics
from app.news import RedisNews
from app.shelf import RedisShelf
from tests.ports import LOOPBACK
from tests.proxy import Mode, Proxy
from tests.servers import RedisServer

DEADLINE = 20.0  # seconds
ANYTHING = 2**63  # a position above all
Open = Callable[..., Awaitable["Replica"]]


class Replica:
    """News, its loop, and what it has heard of."""

    def __init__(self, url: str, log: str) -> None:
        self.metrics = Metrics(1)
        self.link = Link(url, self.metrics)
        self.news = RedisNews(url, self.link, self.metrics, self._identity)
        self._log = log

    async def _identity(self) -> str:
        return self._log

    @property
    def hears(self) -> float | None:
        return self.metrics.registry.get_sample_value("collector_redis_up", {"connection": "news"})

    def announced(self) -> float:
        labels = {"use": "announce", "outcome": "answered"}
        return self.metrics.registry.get_sample_value("collector_redis_calls_total", labels) or 0

    async def until_it_hears(self, hears: float = 1) -> None:
        async with asyncio.timeout(DEADLINE):
            while self.hears != hears:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)

    async def heard(self, position: int) -> list[int | None]:
        """Wait until a position as high as this is heard; what was, each time that it would look."""
        heard: list[int | None] = []
        async with asyncio.timeout(DEADLINE):
            while not heard or (heard[-1] or 0) < position:
                heard.append(await self.news.wait())
        return heard


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "CALL_SECONDS", 5.0)


@asynccontextmanager
async def replica_of(url: str, log: str) -> AsyncIterator[Replica]:
    replica = Replica(url, log)
    loop = asyncio.create_task(replica.news.run(lambda: None))
    yield replica
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    await replica.news.close()
    await replica.link.close()


@pytest.fixture
async def replica() -> AsyncIterator[Open]:
    """Opens a replica of a log, which hears."""
    async with AsyncExitStack() as stack:

        async def opened(url: str, log: str = "log") -> Replica:
            replica = await stack.enter_async_context(replica_of(url, log))
            await replica.until_it_hears()
            await replica.heard(ANYTHING)  # which may have been said while it did not hear
            return replica

        yield opened


@pytest.fixture
async def proxy(own_redis: RedisServer) -> AsyncIterator[Proxy]:
    async with Proxy(LOOPBACK, own_redis.port) as proxy:
        yield proxy


async def test_what_one_announces_the_others_hear(redis_url: str, replica: Open) -> None:
    one, other, third = [await replica(redis_url) for _ in range(3)]
    one.news.announce(5)
    await other.heard(5)
    await third.heard(5)
    other.news.announce(6)
    await one.heard(6)


async def test_another_log_is_not_heard(redis_url: str, replica: Open) -> None:
    one, other, stranger = (
        await replica(redis_url),
        await replica(redis_url),
        await replica(redis_url, "another log"),
    )
    stranger.news.announce(7)
    async with asyncio.timeout(DEADLINE):
        while not stranger.announced():  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
    one.news.announce(5)
    assert 7 not in await other.heard(5)


async def test_many_commits_are_announced_as_one_and_the_newest_is_among_them(
    redis_url: str, replica: Open
) -> None:
    one, other = await replica(redis_url), await replica(redis_url)
    for position in range(1, 1001):
        one.news.announce(position)
        if position % 10 == 0:
            await asyncio.sleep(0)
    await other.heard(1000)
    print(f"1000 commits, {one.announced():.0f} announcements")
    assert one.announced() < 100


async def test_what_was_announced_is_not_announced_again(redis_url: str, replica: Open) -> None:
    one, other = await replica(redis_url), await replica(redis_url)
    one.news.announce(5)
    await other.heard(5)
    for position in (5, 3, 6):
        one.news.announce(position)
    await other.heard(6)
    assert one.announced() == 2


@pytest.mark.parametrize("forged", [b"9" * 19, b"0", b"", b"-5", b"soon", b"9" * 30, b"\xff", "٣".encode()])
async def test_a_forged_position_holds_back_nothing(redis_url: str, replica: Open, forged: bytes) -> None:
    one, other = await replica(redis_url), await replica(redis_url)
    async with Redis.from_url(redis_url) as redis:
        assert await redis.publish("collector:news:log", forged) == 2
    one.news.announce(5)
    await other.heard(5)
    one.news.announce(6)
    await other.heard(6)
    assert other.hears == 1


async def test_a_flood_makes_it_look_only_so_often(redis_url: str, replica: Open) -> None:
    one = await replica(redis_url)
    began = asyncio.get_running_loop().time()
    async with Redis.from_url(redis_url) as redis, asyncio.TaskGroup() as tasks:
        hearing = tasks.create_task(one.heard(2000))
        for position in range(1, 2001):
            await redis.publish("collector:news:log", position)
    looks, seconds = len(hearing.result()), asyncio.get_running_loop().time() - began
    print(f"2000 messages, {looks} looks in {seconds:.2f} s")
    assert looks <= seconds / module.LOOK_EVERY + 1


@pytest.mark.parametrize("trouble", ["reset", "refuse", "stall", "stall-replies", "restart", "paused"])
async def test_who_hears_nothing_knows_and_looks_for_itself_until_it_hears_again(
    trouble: Mode, own_redis: RedisServer, proxy: Proxy, replica: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.2)
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.3)
    cut = await replica(proxy.url_through(own_redis.url()))
    await broken(trouble, proxy, own_redis)
    await cut.until_it_hears(0)
    await cut.heard(ANYTHING)
    assert await cut.news.wait() is None
    await mended(trouble, proxy, own_redis)
    await cut.until_it_hears()
    await cut.heard(ANYTHING)
    async with replica_of(own_redis.url(), "log") as other:
        await other.until_it_hears()
        other.news.announce(5)
        await cut.heard(5)


async def broken(trouble: str, proxy: Proxy, server: RedisServer) -> None:
    if trouble == "restart":
        await asyncio.to_thread(server.stop, kill=True)
    elif trouble == "paused":
        server.pause()
    else:
        proxy.mode = trouble  # type: ignore[assignment]


async def mended(trouble: str, proxy: Proxy, server: RedisServer) -> None:
    if trouble == "restart":
        await asyncio.to_thread(server.start)
    server.resume()
    proxy.mode = "pass"


async def test_a_quiet_line_is_not_given_up(
    redis_url: str, replica: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(module, "SELDOM", 1.0)
    one = await replica(redis_url)
    assert await one.news.wait() is None  # after a second of ten questions and answers
    assert one.hears == 1


async def test_told_to_leave_at_any_moment_it_leaves(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.1)  # so that some are told just as a silence ends

    async def left(wait: float) -> None:
        replica = Replica(redis_url, "log")
        loops = Loops(replica.metrics)
        loops.start("news", replica.news.run, deadline=60)
        await replica.until_it_hears()
        await asyncio.sleep(wait)
        async with asyncio.timeout(DEADLINE):
            await loops.stop("news")
        await replica.news.close()
        await replica.link.close()

    for _ in range(5):
        await asyncio.gather(*(left(0.1 + number / 200) for number in range(100)))


async def test_a_user_who_may_do_no_more_than_that_is_enough(own_redis: RedisServer, replica: Open) -> None:
    async with Redis.from_url(own_redis.url()) as admin:
        await admin.acl_setuser(
            "collector",
            enabled=True,
            passwords=["+secret"],
            keys=["collector:page:*"],
            channels=["collector:news:*"],
            commands=["+get", "+set", "+pttl", "+publish", "+subscribe", "+ping", "+select"],
            reset=True,
            reset_channels=True,
        )
    url = own_redis.url(2).replace("redis://", "redis://collector:secret@")
    one, other = await replica(url), await replica(url)
    one.news.announce(5)
    await other.heard(5)
    shelf = RedisShelf(one.link, one.metrics)
    page = CachedPage(b"[]", (), '"e"', "1", 0.0)
    shelf._version, shelf._since = "1", 0.0
    shelf.keep(b"k", page)
    await asyncio.gather(*shelf._keeping)
    found = await shelf.find("1", b"k")
    assert found is not None
    assert found.body == b"[]"
