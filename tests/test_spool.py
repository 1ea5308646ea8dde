"""The spool on a real Redis: what it promises, what it counts, and which Redis it takes for one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import redis

from app import spool_link as link
from app.errors import Overloaded, Unavailable
from app.events import identified
from app.spool import ENTRIES, HELD, Spool, Undecodable, Waiting
from tests.binaries import redis_binary, valkey_binary
from tests.ports import LOOPBACK
from tests.proxy import Proxy
from tests.servers import RedisServer
from tests.store.make import event

MANY = 10**9
ALWAYS = {"appendonly": "yes", "appendfsync": "always"}


@pytest.fixture(scope="module", params=["waitaof", "always"])
def on_disk(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A Redis that tells what is on disk, in either way."""
    binary = valkey_binary() if request.param == "waitaof" else redis_binary()
    with RedisServer(settings=ALWAYS, binary=binary) as server:
        yield server


@pytest.fixture
def client(on_disk: RedisServer) -> Iterator[redis.Redis]:
    """A client of that Redis, which is empty."""
    with redis.Redis.from_url(on_disk.url()) as client:
        client.flushall()
        client.config_set("maxmemory", "0")
        yield client


@pytest.fixture
async def spool(on_disk: RedisServer, client: redis.Redis) -> AsyncIterator[Spool]:
    async with opened(on_disk.url()) as spool:
        yield spool


class opened:  # noqa: N801 - a context manager, used as a function is
    def __init__(self, url: str, *, max_events: int = MANY, max_bytes: int = MANY) -> None:
        self._spool = Spool(url, max_events=max_events, max_bytes=max_bytes)

    async def __aenter__(self) -> Spool:
        await self._spool.check()
        return self._spool

    async def __aexit__(self, *_: object) -> None:
        await self._spool.close()


async def refusal(url: str) -> str:
    spool = Spool(url, max_events=MANY, max_bytes=MANY)
    with pytest.raises(Unavailable) as caught:
        await spool.check()
    with pytest.raises(Unavailable) as refused:
        await spool.append([event("1")], False)
    await spool.close()
    assert refused.value.outcome == "not_kept"
    return caught.value.detail


async def test_what_was_appended_is_read_in_order_and_then_forgotten(spool: Spool) -> None:
    groups = [[event(f"{n}/{m}", data={"n": n}) for m in range(n)] for n in range(1, 5)]
    for group in groups:
        (first, *_) = await spool.append(group, False)
        assert (first.state, first.seq) == ("spooled", 0)
    waiting = await spool.check()
    assert (waiting.entries, waiting.events) == (4, 10)
    entries = await spool.read(MANY)
    found = [[msgspec.structs.replace(one, received_at=None) for one in entry.events()] for entry in entries]
    assert found == groups
    assert await spool.read(3) == entries[:2]
    assert await spool.read(1) == entries[:1]
    await spool.remove(entries[:2])
    await spool.remove(entries[:2])  # another drain was quicker
    assert (await spool.check()).events == 7
    await spool.remove(entries)
    assert await spool.check() == Waiting(entries=0, events=0, bytes=0, oldest=0.0)


async def test_the_receipt_and_the_entry_have_the_same_moment(spool: Spool) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    kept = await spool.append([event("1"), event("2", time="1999-01-01T00:00:00Z")], False)
    (entry,) = await spool.read(MANY)
    assert {one.received_at for one in entry.events()} == {kept[0].at} == {kept[1].at}
    assert kept[0].at is not None
    assert before < kept[0].at < datetime.now(UTC) + timedelta(seconds=1)


async def test_every_event_in_it_has_an_identity(spool: Spool) -> None:
    bare = event(None, data={"b": 1.50, "a": [None, "x"]})
    assert bare.identity is None
    await spool.append([bare], False)
    await spool.append([bare], False)
    one, two = [entry.events()[0] for entry in await spool.read(MANY)]
    assert one.identity is not None
    assert one.identity == two.identity == identified(bare).identity
    # The same as that of a client's event with this id.
    assert one.identity == event(bare.id, data={"a": [None, "x"], "b": 1.5}).identity


async def test_its_bounds_hold_for_all_who_append(on_disk: RedisServer, client: redis.Redis) -> None:
    async with opened(on_disk.url(), max_events=10) as one, opened(on_disk.url(), max_events=10) as other:
        results = [await attempt(spool, n) for n in range(4) for spool in (one, other)]
        refused = [result for result in results if isinstance(result, Overloaded)]
        assert (refused, {result.outcome for result in refused}) == (results[5:], {"not_kept"})
        assert (client.xlen(ENTRIES), client.hget(HELD, "events")) == (5, b"10")
        await one.remove((await one.read(MANY))[:1])
        assert not isinstance(await attempt(other, 9), Overloaded)


async def attempt(spool: Spool, n: int) -> object:
    try:
        return await spool.append([event(f"a{n}"), event(f"a{n}+")], False)
    except Overloaded as error:
        return error


async def test_it_is_bounded_in_bytes(on_disk: RedisServer, client: redis.Redis) -> None:
    async with opened(on_disk.url(), max_bytes=10_000) as spool:
        await spool.append([event("1", data="x" * 6000)], False)
        with pytest.raises(Overloaded):
            await spool.append([event("2", data="x" * 6000)], False)
        await spool.append([event("3", data="x" * 600)], False)
        assert client.xlen(ENTRIES) == 2


async def test_out_of_memory_keeps_nothing(spool: Spool, client: redis.Redis) -> None:
    await spool.append([event("1")], False)
    client.config_set("maxmemory", "1")
    with pytest.raises(Unavailable) as caught:
        await spool.append([event("2")], False)
    client.config_set("maxmemory", "0")
    assert (caught.value.outcome, client.xlen(ENTRIES), client.hget(HELD, "events")) == ("not_kept", 1, b"1")
    await spool.append([event("3")], False)


async def test_a_crash_of_redis_keeps_what_was_acknowledged(on_disk: RedisServer, spool: Spool) -> None:
    kept = 0
    for n in range(50):
        kept += len(await spool.append([event(f"{n}"), event(f"{n}+")], False))
    await asyncio.to_thread(on_disk.restart, kill=True)
    with pytest.raises(Unavailable):
        await spool.append([event("lost")], False)
    async with opened(on_disk.url()) as again:
        assert ((await again.check()).events, len(await again.read(MANY))) == (kept, 50)


async def test_a_lost_reply_is_unknown_and_a_refusal_is_not(
    on_disk: RedisServer, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "TRUSTED_SECONDS", 1000)
    async with Proxy(LOOPBACK, on_disk.port) as proxy, opened(proxy.url_through(on_disk.url())) as spool:
        await spool.append([event("1")], False)
        proxy.mode = "drop-replies"
        with pytest.raises(Unavailable) as lost:
            await spool.append([event("2")], False)
        assert (lost.value.outcome, client.xlen(ENTRIES)) == ("unknown", 2)
        proxy.mode = "refuse"
        with pytest.raises(Unavailable) as refused:
            await spool.append([event("3")], False)
        assert (refused.value.outcome, client.xlen(ENTRIES)) == ("not_kept", 2)


async def test_an_entry_of_somebody_else_cannot_be_read(spool: Spool, client: redis.Redis) -> None:
    client.xadd(ENTRIES, {"hello": "world"})
    client.xadd(ENTRIES, {"events": "many", "bytes": "-3", "group": b"\xc1"})
    entries = await spool.read(MANY)
    for entry in entries:
        with pytest.raises(Undecodable):
            entry.events()
    await spool.remove(entries)
    assert client.xlen(ENTRIES) == 0


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "appendonly is no"),
        ({"appendonly": "yes", "maxmemory-policy": "allkeys-lru"}, "maxmemory-policy is allkeys-lru"),
    ],
)
async def test_a_redis_that_may_forget_is_no_spool(settings: dict[str, str], says: str) -> None:
    with RedisServer(settings=settings, binary=valkey_binary()) as server:
        assert says in await refusal(server.url())


@pytest.mark.parametrize("binary", [valkey_binary, redis_binary])
async def test_it_must_be_known_to_write_at_once(binary: Callable[[], tuple[Path, str]]) -> None:
    """Also where there is WAITAOF, which may say so too early."""
    with RedisServer(settings={"appendonly": "yes"}, binary=binary()) as server:
        assert "appendfsync is everysec, not always" in await refusal(server.url())
        with redis.Redis.from_url(server.url()) as client:
            client.config_set("appendfsync", "always")
            client.config_set("maxmemory-policy", "volatile-lru")
            async with opened(server.url()) as spool:
                await spool.append([event("1")], False)
                client.config_set("appendfsync", "everysec")
                with pytest.raises(Unavailable):
                    await spool.check()
                with pytest.raises(Unavailable) as caught:
                    await spool.append([event("2")], False)
                assert caught.value.outcome == "not_kept"
            client.config_set("appendfsync", "always")
            # A user who may not read the configuration cannot know.
            client.execute_command("ACL", "SETUSER", "default", "-config")
        assert "allow +config|get" in await refusal(server.url())


@pytest.mark.parametrize(
    ("setting", "value", "again"), [("appendfsync", "no", "always"), ("appendonly", "no", "yes")]
)
async def test_where_there_is_waitaof_its_count_is_looked_at(setting: str, value: str, again: str) -> None:
    with RedisServer(settings=ALWAYS, binary=valkey_binary()) as server:
        async with opened(server.url()) as spool:
            await spool.append([event("1")], False)
            with redis.Redis.from_url(server.url()) as client:
                # From here on what is written does not come to the disk, and nobody says so but WAITAOF.
                client.config_set(setting, value)
                with pytest.raises(Unavailable) as caught:
                    await spool.append([event("2")], False)
                assert caught.value.outcome == "unknown"
                with pytest.raises(Unavailable):
                    await spool.check()
                client.config_set(setting, again)
            await spool.check()
            await spool.append([event("3")], False)


async def test_a_connection_that_was_cut_while_idle_is_made_anew(
    on_disk: RedisServer, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "TRUSTED_SECONDS", 0)
    async with Proxy(LOOPBACK, on_disk.port) as proxy, opened(proxy.url_through(on_disk.url())) as spool:
        await spool.append([event("1")], False)
        proxy.mode = "refuse"
        proxy.mode = "pass"
        await spool.append([event("2")], False)
        assert client.xlen(ENTRIES) == 2


async def test_a_replica_is_no_spool() -> None:
    with RedisServer(settings=ALWAYS, binary=valkey_binary()) as primary:
        following = {**ALWAYS, "replicaof": f"{LOOPBACK} {primary.port}"}
        with RedisServer(settings=following, binary=valkey_binary()) as replica:
            assert "replica" in await refusal(replica.url())


async def test_nobody_there_is_no_spool(own_redis: RedisServer) -> None:
    own_redis.stop()
    assert await refusal(own_redis.url()) == "the spool cannot be reached"
