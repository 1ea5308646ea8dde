"""A spool that lost events is noticed, once, and nothing else is taken for a loss: on real servers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import redis
from structlog.testing import capture_logs
from structlog.typing import EventDict

from app.errors import Unavailable
from app.spool import ENTRIES, HELD, Spool
from tests.binaries import redis_binary, valkey_binary
from tests.servers import RedisServer
from tests.store.make import event

MANY = 10**9
PATIENCE = 40.0  # seconds for what takes one, on a machine under load
Answer = TypeVar("Answer")
ALWAYS = {"appendonly": "yes", "appendfsync": "always"}


class Watched:
    """A spool as one process has it, how often it found a loss, and what it wrote to the log."""

    def __init__(self, url: str, lines: list[EventDict]) -> None:
        self.lost = 0
        self._lines = lines
        self.spool = Spool(url, max_events=MANY, max_bytes=MANY, on_lost=self._count)

    def _count(self) -> None:
        self.lost += 1

    @property
    def said(self) -> list[EventDict]:
        return [line for line in self._lines if line["log_level"] == "error"]

    async def put(self, *ids: str) -> None:
        await self.spool.append([event(id_) for id_ in ids], False)

    async def drain(self, entries: int = MANY) -> None:
        await self.spool.remove((await self.spool.read(MANY))[:entries])


@contextlib.asynccontextmanager
async def watched(url: str) -> AsyncIterator[Watched]:
    with capture_logs() as lines:
        one = Watched(url, lines)
        await one.spool.check()
        yield one
        await one.spool.close()


def instead_of(server: RedisServer, settings: dict[str, str]) -> RedisServer:
    """Another Redis, empty, for the same port."""
    other = RedisServer(settings={**settings, "port": str(server.port)}, binary=valkey_binary())
    other.port = server.port
    return other


async def patiently(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Its answer, once Redis is there again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(Unavailable):
                return await call()
            await asyncio.sleep(0.05)


async def rewritten(client: redis.Redis) -> None:
    """The append-only file is rewritten, from what Redis has in memory."""
    client.bgrewriteaof()
    async with asyncio.timeout(PATIENCE):
        while True:
            if not client.info("persistence")["aof_rewrite_in_progress"]:
                return
            await asyncio.sleep(0.02)


async def until_said(spool: Spool, reason: str) -> None:
    """Until a look finds that it is no spool, for this reason."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with pytest.raises(Unavailable) as caught:
                await spool.check()
            if reason in caught.value.detail:
                return
            await asyncio.sleep(0.05)


@pytest.fixture(params=[valkey_binary, redis_binary], ids=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    binary: Callable[[], tuple[Path, str]] = request.param
    with RedisServer(settings=ALWAYS, binary=binary()) as server:
        yield server


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url()) as client:
        yield client


@pytest.fixture
async def one(server: RedisServer) -> AsyncIterator[Watched]:
    async with watched(server.url()) as one:
        yield one


async def test_a_flush_with_events_in_it_is_said_once(one: Watched, client: redis.Redis) -> None:
    await one.put("1", "2")
    await one.put("3")
    await one.spool.check()
    await one.put("4")
    client.flushall()
    for _ in range(3):
        assert (await one.spool.check()).events == 0
    (line,) = one.said
    assert line["event"] == "the spool has lost events"
    assert (line["waiting"], line["added_since"], one.lost) == (3, 1, 1)
    # It goes on, and the next loss is another one.
    await one.put("5")
    await one.spool.check()
    client.flushall()
    await one.spool.check()
    assert (one.lost, one.said[-1]["waiting"]) == (2, 1)


async def test_a_flush_is_noticed_although_the_spool_fills_again_at_once(
    one: Watched, client: redis.Redis
) -> None:
    await one.put("1")
    await one.spool.check()
    before = client.xinfo_stream(ENTRIES)["last-generated-id"]
    client.flushall()
    await one.put("2")
    assert client.xinfo_stream(ENTRIES)["last-generated-id"] > before, "the ids went on as if nothing had been"
    assert (await one.spool.check()).events == 1
    assert one.lost == 1
    await one.spool.check()
    await one.drain()
    await one.spool.check()
    assert one.lost == 1


async def test_what_was_added_since_the_last_look_is_missed_too(one: Watched, client: redis.Redis) -> None:
    await one.put("1")
    client.flushall()
    await one.put("2")
    await one.spool.check()
    assert (one.lost, one.said[0]["waiting"], one.said[0]["added_since"]) == (1, 0, 2)


async def test_a_flush_while_it_is_empty_loses_nothing(one: Watched, client: redis.Redis) -> None:
    client.flushall()
    await one.spool.check()
    await one.put("1")
    await one.spool.check()
    await one.drain()
    await one.spool.check()
    client.flushall()  # the mark of the drain goes too, but nothing is known to have been past it
    await one.spool.check()
    await one.put("2")
    await one.spool.check()
    assert (one.lost, one.said) == (0, [])


async def test_a_drain_is_no_loss(one: Watched, client: redis.Redis) -> None:
    for n in range(6):
        await one.put(f"{n}", f"{n}+")
    await one.spool.check()
    await one.drain(2)
    await one.spool.check()
    await one.put("between the looks")
    await one.drain()
    await one.spool.check()
    await one.put("last")
    await one.drain()
    assert (client.exists(ENTRIES), client.xlen(ENTRIES), client.hkeys(HELD)) == (1, 0, [b"drained"])
    await one.spool.check()
    assert one.lost == 0


async def test_several_processes_take_each_others_work_for_no_loss(server: RedisServer) -> None:
    async with watched(server.url()) as one, watched(server.url()) as other, watched(server.url()) as third:
        for n in range(30):
            await asyncio.gather(one.put(f"a{n}"), other.put(f"b{n}"), third.spool.check())
            await asyncio.gather(one.drain(1), third.drain(3), other.spool.check(), one.spool.check())
        for process in (one, other, third):
            await process.spool.check()
        assert (one.lost, other.lost, third.lost) == (0, 0, 0)


async def test_every_process_that_knew_notices(server: RedisServer, client: redis.Redis) -> None:
    async with watched(server.url()) as one, watched(server.url()) as other:
        await one.put("1")
        await other.spool.check()
        client.flushall()
        async with watched(server.url()) as late:
            for process in (one, other, late):
                await process.spool.check()
            assert (one.lost, other.lost, late.lost) == (1, 1, 0)


@pytest.mark.parametrize("kill", [False, True])
async def test_a_restart_is_no_loss(server: RedisServer, one: Watched, client: redis.Redis, *, kill: bool) -> None:
    await one.put("1")
    await one.drain()
    await one.put("2")
    await one.spool.check()
    await one.put("3")
    await rewritten(client)
    await asyncio.to_thread(server.restart, kill=kill)
    assert (await patiently(one.spool.check)).events == 2
    await patiently(one.drain)
    await rewritten(client)
    await asyncio.to_thread(server.restart, kill=kill)
    assert (await patiently(one.spool.check)).events == 0
    await patiently(lambda: one.put("4"))
    await one.spool.check()
    assert one.lost == 0


async def test_an_empty_redis_in_its_place_is_a_loss(one: Watched, server: RedisServer) -> None:
    await one.put("1")
    await one.spool.check()
    await asyncio.to_thread(server.stop)
    # One that is no spool may stand there for a while: nobody can say yet that anything is lost.
    with instead_of(server, {}):
        await until_said(one.spool, "appendonly is no")
        assert one.lost == 0
    with instead_of(server, ALWAYS):
        assert (await patiently(one.spool.check)).events == 0
        assert (one.lost, one.said[0]["waiting"]) == (1, 1)


async def test_the_right_redis_that_comes_back_has_lost_nothing(one: Watched, server: RedisServer) -> None:
    await one.put("1")
    await one.spool.check()
    await asyncio.to_thread(server.stop)
    with instead_of(server, {}):
        await until_said(one.spool, "appendonly is no")
    await asyncio.to_thread(server.start)
    assert (await patiently(one.spool.check)).events == 1
    assert one.lost == 0


async def test_an_older_copy_is_a_loss(one: Watched, server: RedisServer, client: redis.Redis) -> None:
    await one.put("1")
    old = {key: client.dump(key) or b"" for key in (ENTRIES, HELD)}
    await one.put("2")
    await one.spool.check()
    for key, value in old.items():
        client.restore(key, 0, value, replace=True)
    assert (await one.spool.check()).events == 1
    assert (one.lost, one.said[0]["waiting"]) == (1, 2)
    await one.drain()
    await one.spool.check()
    assert one.lost == 1
