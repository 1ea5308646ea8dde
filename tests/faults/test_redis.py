"""Redis in trouble: no read fails, none is stale, none waits for long; and no stream misses an event."""

import asyncio
import json
import re
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis.asyncio import Redis

from app.cache import MAX_PAGES
from app.feed import LISTEN_EVERY
from tests.databases import migrate
from tests.faults.conftest import StartCollector
from tests.faults.wire import Wire, ask, event, request
from tests.ports import LOOPBACK
from tests.process import CollectorProcess
from tests.proxy import Mode, Proxy
from tests.servers import PostgresServer, RedisServer

Next = Callable[[], Awaitable[int]]
PAGES = 20  # different ones that are read all the time
FAULT_SECONDS = 1.0
PATIENCE = 10.0  # seconds; a read waits a tenth for Redis at most, and the figures are printed
DEADLINE = 60.0  # seconds
TRIES = 20
PAGE_READ = "SELECT events.seq, events.id"


@dataclass
class Pair:
    """Two collectors of one log, the Redis between them, and the way to it that can be broken."""

    one: CollectorProcess
    other: CollectorProcess
    redis: RedisServer
    proxy: Proxy

    async def metric(self, name: str) -> float:
        """The sum of a metric of both: its name, with labels as they are written."""
        return await metric([self.one.port, self.other.port], name)

    async def called(self, use: str, outcome: str) -> float:
        """How often Redis was asked for this, with this outcome."""
        return await self.metric(f'collector_redis_calls_total{{outcome="{outcome}",use="{use}"}}')

    async def until(self, connection: str, up: float) -> None:
        """Wait until both know whether this connection to Redis works."""
        async with asyncio.timeout(DEADLINE):
            while await self.metric(f'collector_redis_up{{connection="{connection}"}}') != 2 * up:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def metric(ports: list[int], name: str) -> float:
    found = 0.0
    for port in ports:
        text = (await ask(port, "GET", "/metrics")).body.decode()
        found += sum(float(value) for value in re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE))
    return found


@pytest.fixture
async def proxy(own_redis: RedisServer) -> AsyncIterator[Proxy]:
    """A way to Redis that the test may break."""
    async with Proxy(LOOPBACK, own_redis.port) as proxy:
        yield proxy


@pytest.fixture
async def pair(postgres_url: str, own_redis: RedisServer, proxy: Proxy, start: StartCollector) -> Pair:
    """Both are ready, and hear each other."""
    env = {"POSTGRES_CONNECTION_STRING": postgres_url, "REDIS_URL": proxy.url_through(own_redis.url())}
    one, other = start(env), start(env)
    for process in (one, other):
        await process.wait_until_ready()
    pair = Pair(one, other, own_redis, proxy)
    await pair.until("news", 1)
    return pair


@dataclass
class Reading:
    """Reads of both collectors, while it runs: the pages, and each event right after it was acknowledged."""

    pair: Pair
    seconds: list[float] = field(default_factory=list)
    failed: list[object] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    writes: int = 0
    acknowledged: int = 0  # the highest number

    async def read(self, wire: Wire, query: str) -> list[dict[str, Any]]:
        sent = time.monotonic()
        answer = await wire.ask("GET", f"/events?{query}")
        self.seconds.append(time.monotonic() - sent)
        if answer.status != 200:
            self.failed.append(answer)
            return []
        found: list[dict[str, Any]] = json.loads(answer.body)
        return found

    async def pages(self, wire: Wire, offset: int) -> None:
        number = offset
        while True:
            number += 1
            known = self.acknowledged
            found = await self.read(wire, f"limit={1 + number % PAGES}")
            if found and found[0]["seq"] < known:
                self.stale.append(f"{found[0]['seq']} after {known}")
            await asyncio.sleep(0.005)

    async def writes_that_are_read(self, writer: Wire, reader: Wire, source: str) -> None:
        for number in range(10**6):
            answer = await writer.ask("POST", "/events", event(source, str(number)))
            assert answer.status == 201, answer
            self.writes += 1
            self.acknowledged = max(self.acknowledged, answer.document["seq"])
            if [one["id"] for one in await self.read(reader, f"source={source}&limit=1")] != [str(number)]:
                self.stale.append(f"{source}/{number}")
            await asyncio.sleep(0.4)  # so that the log rests now and then, and pages are shared


@asynccontextmanager
async def reading(pair: Pair, label: str) -> AsyncIterator[Reading]:
    """While the context is open, both are read and written; then nothing may have failed."""
    found = Reading(pair)
    ports = [pair.one.port, pair.other.port]
    wires = [await Wire.open(port) for port in ports * 4]
    jobs = [found.pages(wire, 7 * n) for n, wire in enumerate(wires[:4])]
    jobs += [found.writes_that_are_read(wires[4], wires[5], f"{label}-a")]
    jobs += [found.writes_that_are_read(wires[7], wires[6], f"{label}-b")]
    tasks = [asyncio.create_task(job) for job in jobs]
    yield found
    async with asyncio.timeout(DEADLINE):
        while found.writes == 0 and not any(task.done() for task in tasks):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.05)
    done = [task for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for wire in wires:
        wire.close()
    for task in done:
        task.result()
    slowest = max(found.seconds)
    median = statistics.median(found.seconds)
    print(
        f"{label}: {len(found.seconds)} reads, median {median * 1000:.1f} ms, slowest {slowest * 1000:.0f} ms;"
        f" {found.writes} writes; failed {len(found.failed)}, stale {len(found.stale)}"
    )
    assert found.writes > 0
    assert (found.failed, found.stale) == ([], [])
    assert slowest < PATIENCE


async def test_reads_go_on_whatever_redis_does(pair: Pair) -> None:
    async with reading(pair, "well"):
        await asyncio.sleep(FAULT_SECONDS)
    assert await pair.called("find", "answered") > 0
    assert await pair.called("keep", "answered") > 0
    faults = ["stall", "stall-replies", "refuse", "paused", "down"]
    for fault in faults:
        before = await pair.called("find", "failed")
        async with reading(pair, fault):
            await asyncio.sleep(0.3)
            await broken(pair, fault)
            await pair.until("calls", 0)
            await asyncio.sleep(FAULT_SECONDS)
            await mended(pair, fault)
            await pair.until("calls", 1)
        waited = await pair.called("find", "failed") - before
        print(f"  {waited:.0f} reads waited for Redis in vain")
        await pair.until("news", 1)
    for process in (pair.one, pair.other):
        told = [entry["event"] for entry in process.logs() if entry.get("connection") == "calls"]
        assert told == ["redis is away", "redis is back"] * (len(told) // 2)
        assert len(told) >= 2 * len(faults)
        assert {entry["level"] for entry in process.logs()} <= {"info", "warning"}


async def broken(pair: Pair, fault: str) -> None:
    if fault == "paused":
        pair.redis.pause()
    elif fault == "down":
        await asyncio.to_thread(pair.redis.stop, kill=True)
    else:
        pair.proxy.mode = fault  # type: ignore[assignment]


async def mended(pair: Pair, fault: str) -> None:
    if fault == "down":
        await asyncio.to_thread(pair.redis.start)
    pair.redis.resume()
    pair.proxy.mode = "pass"


async def test_a_redis_that_is_full_is_read_and_not_written(pair: Pair) -> None:
    async with reading(pair, "full"), Redis.from_url(pair.redis.url()) as admin:
        await admin.config_set("maxmemory-policy", "noeviction")
        await admin.config_set("maxmemory", "1")
        await asyncio.sleep(FAULT_SECONDS)
        assert await pair.called("keep", "refused") > 0
        await pair.until("calls", 1)
        before = await pair.called("keep", "answered")
        await admin.config_set("maxmemory", "0")
        async with asyncio.timeout(DEADLINE):
            while await pair.called("keep", "answered") == before:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.05)


async def test_a_collector_starts_without_its_redis_takes_it_when_it_comes_and_leaves_without_it(
    postgres_url: str, own_redis: RedisServer, start: StartCollector
) -> None:
    await asyncio.to_thread(own_redis.stop)
    env = {"POSTGRES_CONNECTION_STRING": postgres_url, "REDIS_URL": own_redis.url()}
    one, other = start(env), start(env)
    for process in (one, other):
        await process.wait_until_ready()
        assert (await ask(process.port, "POST", "/events", event("early", str(process.port)))).status == 201
        assert len(json.loads((await ask(process.port, "GET", "/events?source=early")).body)) > 0
    await asyncio.to_thread(own_redis.start)
    for process in (one, other):
        await process.wait_for_log(
            lambda entry: entry["event"] == "redis is back" and entry["connection"] == "news"
        )


class Talkative(PostgresServer):
    """A PostgreSQL that logs every statement and when it came."""

    def __init__(self) -> None:
        super().__init__(settings={"log_statement": "all", "log_line_prefix": "%n "})

    def statements(self, began: float, ended: float) -> list[str]:
        """What came between two times, in seconds since 1970; each statement's first line."""
        found = re.findall(r"^(\d+\.\d+) LOG:  (.*)$", (self._folder / "log").read_text(), re.MULTILINE)
        return [line for at, line in found if began <= float(at) < ended]


@pytest.fixture
def talkative() -> Iterator[Talkative]:
    """One with the schema."""
    with Talkative() as server:
        migrate(server.url())
        yield server


async def test_after_a_flush_each_replica_reads_each_page_once(
    talkative: Talkative, own_redis: RedisServer, start: StartCollector
) -> None:
    env = {"POSTGRES_CONNECTION_STRING": talkative.url(), "REDIS_URL": own_redis.url()}
    processes = [start(env), start(env)]
    ports = [process.port for process in processes]
    pages = MAX_PAGES + 14  # more than a process has in memory, so that all come from Redis
    wires = []
    for process in processes * 2:
        await process.wait_until_ready()
        wires.append(await Wire.open(process.port))
    for number in range(10):
        assert (await wires[0].ask("POST", "/events", event("s", str(number)))).status == 201
    async with Redis.from_url(own_redis.url()) as redis:
        for _ in range(TRIES):
            passed_over = await unanswered(ports)
            while await redis.dbsize() < pages:
                await asyncio.gather(*(read_all(wire, pages) for wire in wires))
            began = time.time()
            await asyncio.gather(*(read_all(wire, pages) for wire in wires))
            await redis.flushall()
            flushed = time.time()
            await asyncio.gather(*(read_all(wire, pages) for wire in wires))
            ended = time.time()
            # Where the machine was too busy for Redis to answer in time, this has shown nothing.
            if await unanswered(ports) == passed_over:
                break
    for wire in wires:
        wire.close()
    before, after = (talkative.statements(*span) for span in ((began, flushed), (flushed, ended)))
    reads = [line for line in after if PAGE_READ in line]
    print(f"{pages} pages, read {len(wires)} times each: {len(before)} statements in {flushed - began:.2f} s;")
    print(f"after the flush {len(after)} in {ended - flushed:.2f} s, of which {len(reads)} read a page")
    assert 0 < len(reads) <= len(ports) * pages
    assert not [line for line in before if PAGE_READ in line]


async def unanswered(ports: list[int]) -> float:
    """How often Redis was not asked for a page, or did not answer in time."""
    names = [f'collector_redis_calls_total{{outcome="{outcome}",use="find"}}' for outcome in ("failed", "skipped")]
    return sum([await metric(ports, name) for name in names])


async def read_all(wire: Wire, pages: int) -> None:
    for number in range(pages):
        assert (await wire.ask("GET", f"/events?limit=5&cursor={2**52 + number}")).status == 200


@asynccontextmanager
async def stream(port: int, source: str, after: int | None = None) -> AsyncIterator[Next]:
    """A stream of a source; gives a function that waits for the next event and gives its number."""
    wire = await Wire.open(port)
    resume = {} if after is None else {"last_event_id": str(after)}
    await wire.send(request("GET", f"/events/stream?source={source}", None, **resume))
    await wire.until(b"retry: ")
    await wire.until(b"\n\n")

    async def following() -> int:
        async with asyncio.timeout(DEADLINE):
            frame = await wire.until(b"\n\n")
            while b"data: " not in frame:
                frame = await wire.until(b"\n\n")
        found = re.search(rb"id: (\d+)\n", frame)
        assert found, frame
        return int(found[1])

    yield following
    wire.abort()


async def post(port: int, source: str, id_: str) -> int:
    """Post an event; its number."""
    answer = await ask(port, "POST", "/events", event(source, id_))
    assert answer.status == 201, answer
    number: int = answer.document["seq"]
    return number


async def test_an_event_of_one_collector_is_at_once_in_a_stream_of_the_other(pair: Pair) -> None:
    seconds = []
    async with stream(pair.other.port, "quick") as following:
        for number in range(40):
            seq = await post(pair.one.port, "quick", str(number))
            acknowledged = time.monotonic()
            assert await following() == seq
            seconds.append(time.monotonic() - acknowledged)
            await asyncio.sleep(0.03)
    median = statistics.median(seconds)
    print(f"from receipt to stream: median {median * 1000:.0f} ms, most {max(seconds) * 1000:.0f} ms")
    # One that looks for itself every half second would need half of that; while it hears, it seldom does.
    assert median < LISTEN_EVERY / 2


@pytest.mark.parametrize("fault", ["stall", "refuse"])
async def test_lost_news_delay_a_stream_and_hide_nothing_from_it(pair: Pair, fault: Mode) -> None:
    async with stream(pair.other.port, "slow") as following:
        sent = [await post(pair.one.port, "slow", "before")]
        pair.proxy.mode = fault
        sent += [await post(pair.one.port, "slow", f"during {number}") for number in range(20)]
        assert [await following() for _ in sent] == sent
        await pair.until("news", 0)
        sent = [await post(pair.one.port, "slow", f"polled {number}") for number in range(5)]
        assert [await following() for _ in sent] == sent
        pair.proxy.mode = "pass"
        await pair.until("news", 1)
        sent = [await post(pair.one.port, "slow", f"after {number}") for number in range(5)]
        assert [await following() for _ in sent] == sent


async def test_a_stream_goes_on_at_the_other_collector(pair: Pair) -> None:
    sent = [await post(pair.one.port, "moving", str(number)) for number in range(3)]
    async with stream(pair.one.port, "moving", after=0) as following:
        seen = [await following(), await following()]
    sent += [await post(pair.one.port, "moving", str(number)) for number in range(3, 6)]
    async with stream(pair.other.port, "moving", after=seen[-1]) as following:
        seen += [await following() for _ in range(4)]
        sent.append(await post(pair.one.port, "moving", "last"))
        seen.append(await following())
    assert seen == sent


async def test_a_forged_position_neither_stops_nor_fakes_a_stream(pair: Pair) -> None:
    async with stream(pair.other.port, "true") as following, Redis.from_url(pair.redis.url()) as redis:
        (channel,) = await redis.pubsub_channels("collector:news:*")
        for number in range(5):
            assert await redis.publish(channel, 2**53) == 2
            seq = await post(pair.one.port, "true", str(number))
            assert await following() == seq
