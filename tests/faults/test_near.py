"""A replica near the reader: it answers what it shows, the log's own server all else, and neither an error."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from typing import Any

import asyncpg
import httpx
import pytest

from app.store.replica import PostgresReplica
from tests.databases import create_database, database_name, drop_database
from tests.faults.conftest import StartCollector
from tests.http.serving import DEADLINE, async_client_of, eventually, wait_until
from tests.ports import LOOPBACK
from tests.process import CollectorProcess
from tests.proxy import Proxy
from tests.servers import PostgresServer
from tests.standby import StandbyServer, hold, let_go, pair, tell, until

Pair = tuple[PostgresServer, StandbyServer]
FAR = 0.2  # seconds between the reader and the log's own server, there and back
LONG = "600"  # seconds of lag, for tests in which it is not the lag that ends it


@pytest.fixture(scope="module")
def both() -> Iterator[Pair]:
    """A server and its standby, for all tests of this file; each keeps to a source of its own."""
    with pair() as servers:
        yield servers


@pytest.fixture
async def replays(both: Pair) -> AsyncIterator[None]:
    """Whatever was done to the standby, it runs and replays at the end."""
    yield
    standby = both[1]
    if standby.runs:
        standby.resume()
    else:
        await asyncio.to_thread(standby.start)
    await let_go(standby)


class Reader:
    """A collector that reads near, and what it says."""

    def __init__(self, process: CollectorProcess, client: httpx.AsyncClient) -> None:
        self.process = process
        self.client = client

    async def post(self, source: str, **more: Any) -> httpx.Response:
        answer = await self.client.post("/events", json={"source": source, "action": "kept", **more})
        assert answer.status_code in (200, 201), answer.text
        return answer

    async def get(self, path: str, position: str | None = None, **headers: str) -> httpx.Response:
        shown = {} if position is None else {"Collector-Position": position}
        answer = await self.client.get(path, headers={**shown, **headers})
        assert answer.status_code == 200, answer.text
        return answer

    async def actions(self, source: str, position: str | None = None) -> int:
        return len((await self.get(f"/events?source={source}", position)).json())

    async def metric(self, name: str) -> float:
        for line in (await self.get("/metrics")).text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[-1])
        return 0.0

    async def served(self) -> tuple[float, float]:
        """Reads that the replica has answered, and the log's own server."""
        of = [await self.metric(f'collector_reads_total{{server="{name}"}}') for name in ("replica", "primary")]
        return of[0], of[1]

    async def until_answered_near(self, source: str, position: str) -> None:
        """Until the replica answers who shows this position."""

        async def answered() -> float:
            before, _ = await self.served()
            assert await self.actions(source, position) > 0
            return (await self.served())[0] - before

        await eventually(answered, lambda more: more > 0)

    async def until_near(self, serves: float = 1) -> None:
        """Until the replica serves, or is left alone."""
        await eventually(lambda: self.metric("collector_replica_serves"), lambda found: found == serves)

    def told(self, what: str) -> list[dict[str, Any]]:
        return [entry for entry in self.process.logs() if entry["event"] == what]


Open = Callable[..., Awaitable[Reader]]


def settings(both: Pair, lag: str) -> dict[str, str]:
    return {
        "POSTGRES_CONNECTION_STRING": both[0].url(),
        "POSTGRES_REPLICA_CONNECTION_STRING": both[1].url(),
        "REPLICA_LAG_SECONDS": lag,
    }


@pytest.fixture(scope="module")
def patient(both: Pair) -> Iterator[CollectorProcess]:
    """A collector that leaves the standby alone for no lag: one for all the tests that do not hang on it."""
    with CollectorProcess(env=settings(both, LONG)) as process:
        asyncio.run(process.wait_until_ready(DEADLINE))
        yield process
        assert [entry for entry in process.logs() if entry["event"] == "bug"] == []


@pytest.fixture
async def reader(patient: CollectorProcess, replays: None) -> AsyncIterator[Reader]:
    """That one, once it reads near."""
    async with async_client_of(patient) as client:
        found = Reader(patient, client)
        await found.until_near()
        yield found


@pytest.fixture
async def reading(both: Pair, replays: None, start: StartCollector) -> AsyncIterator[Open]:
    """Starts another, which reads near by then unless told otherwise."""
    clients: list[httpx.AsyncClient] = []

    async def start_one(*, lag: str = LONG, near: bool = True, **env: str) -> Reader:
        process = start({**settings(both, lag), **env})
        await process.wait_until_ready(DEADLINE)
        clients.append(async_client_of(process))
        found = Reader(process, clients[-1])
        if near:
            await found.until_near()
        return found

    yield start_one
    for client in clients:
        await client.aclose()


@asynccontextmanager
async def held(standby: PostgresServer) -> AsyncIterator[None]:
    """While the standby replays nothing."""
    await hold(standby)
    try:
        yield
    finally:
        await let_go(standby)


async def test_reads_are_near_and_writes_are_far(both: Pair, reader: Reader) -> None:
    near, far = await reader.served()
    position = (await reader.post("near", id="1")).headers["collector-position"]
    await until(both[1], f"SELECT EXISTS (SELECT FROM events WHERE seq = {position})")
    for path in ("/events?source=near", f"/events/{position}", "/sources", "/events/stats"):
        await reader.get(path, position)
        await reader.get(path)
    await reader.get("/events?source=near", position, accept="application/x-ndjson")
    served = await reader.served()
    print("answered near, far:", served[0] - near, served[1] - far)
    assert served[0] - near > served[1] - far
    assert await tell(both[0], f"SELECT count(*) FROM events WHERE seq = {position}") == 1


async def test_who_shows_the_position_sees_the_write_and_who_does_not_may_see_it_later(
    both: Pair, reader: Reader
) -> None:
    async with held(both[1]):
        answers = [await reader.post("held", id="1"), await reader.post("held", id="1")]
        batch = await reader.client.post("/events", json=[{"source": "held", "action": "a", "id": "2"}] * 2)
        assert [answer.status_code for answer in answers] == [201, 200]
        first, again = (answer.headers["collector-position"] for answer in answers)
        position = batch.headers["collector-position"]
        assert first == again
        assert int(position) > int(first)
        await eventually(lambda: reader.actions("held"), lambda found: found == 0)
        assert await reader.actions("held", first) == 2
        for _ in range(2):  # the page that is in memory by now is not for who shows a position
            assert await reader.actions("held", position) == 2
        assert (await reader.get(f"/events/{position}")).json()["id"] == "2"
        assert len((await reader.get("/sources?source=held", position)).json()) == 1
        assert (await reader.get("/events/stats?source=held", position)).json()["series"][0]["total"] == 2
        export = await reader.get("/events?source=held", position, accept="application/x-ndjson")
        assert len(export.text.splitlines()) == 2
        await reader.until_near()
    await until(both[1], f"SELECT EXISTS (SELECT FROM events WHERE seq = {position})")
    assert await reader.actions("held") == 2
    await reader.until_answered_near("held", position)


async def test_a_position_that_nobody_gave_is_read_where_all_is_known(reader: Reader) -> None:
    position = (await reader.post("forged")).headers["collector-position"]
    for forged in (int(position) + 10**9, 2**53 - 1):
        assert await reader.actions("forged", str(forged)) == 1
    for wrong in ("", "-1", "x", str(2**53), "1" * 17):
        answer = await reader.client.get("/events", headers={"Collector-Position": wrong})
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:problem:bad-parameter")


async def test_what_is_not_committed_is_not_shown_though_the_sequence_has_moved(both: Pair) -> None:
    leader, standby = both
    replica = PostgresReplica(standby.url(), password=None, pool_size=1)
    writer = await asyncpg.connect(leader.url())
    commit = writer.transaction()
    await commit.start()
    seq = await writer.fetchval(
        "SELECT setval('event_seq', greatest(pg_sequence_last_value('event_seq') + 1,"
        " (extract(epoch FROM clock_timestamp()) * 1000000)::bigint))"
    )
    await writer.execute("INSERT INTO events VALUES ($1, now(), now(), 'open', 'a', '1', NULL, NULL)", seq)
    await tell(leader, "SELECT pg_logical_emit_message(true, 'test', '')")
    await until(standby, f"SELECT last_value >= {seq} FROM event_seq")
    assert (await replica.look([seq])).shown == frozenset()
    before = await replica.version()
    await commit.commit()
    await until(standby, f"SELECT EXISTS (SELECT FROM events WHERE seq = {seq})")
    assert (await replica.look([seq, seq + 1])).shown == {seq}
    assert await replica.version() != before
    await writer.close()
    await replica.close()


async def test_a_replica_too_far_behind_is_left_alone_until_it_is_near_again(both: Pair, reading: Open) -> None:
    reader = await reading(lag="4")
    async with held(both[1]):
        # An idle log is not behind, however long nothing is replayed.
        idle = time.monotonic() + 5
        while time.monotonic() < idle:
            await reader.get("/events?limit=1")
            await asyncio.sleep(0.1)
        print("lag of an idle log:", await reader.metric("collector_replica_lag_seconds"))
        assert reader.told("the replica is left alone") == []
        await reader.post("late")
        await reader.until_near(0)
        assert await reader.actions("late") == 1
        assert await reader.metric("collector_replica_lag_seconds") > 4
        near, _ = await reader.served()
        for _ in range(3):
            assert await reader.actions("late") == 1
        assert (await reader.served())[0] == near
    await reader.until_near()
    late = "it may be more than 4 s behind"
    await reader.process.wait_for_log(lambda entry: entry.get("reason") == late, DEADLINE)
    wait_until(lambda: len(reader.told("the replica serves reads")) > 1, "a line that it serves again")


async def test_a_stream_shows_each_event_once_in_order_whoever_is_read(both: Pair, reader: Reader) -> None:
    async with aclosing(followed(reader, "stream")) as seen:
        position = (await reader.post("stream", id="0")).headers["collector-position"]
        assert await anext(seen) == position
        await hold(both[1])
        expected = [(await reader.post("stream", id=f"{n}")).headers["collector-position"] for n in range(1, 4)]
        next_one = asyncio.ensure_future(anext(seen))
        await eventually(lambda: reader.actions("stream"), lambda found: found == 1)
        await let_go(both[1])
        found = [await next_one, await anext(seen), await anext(seen)]
        assert found == expected
        # Now the replica goes, and what it has not shown comes from the log's own server.
        await asyncio.to_thread(both[1].stop, "immediate")
        position = (await reader.post("stream", id="9")).headers["collector-position"]
        assert await anext(seen) == position


async def followed(reader: Reader, source: str) -> AsyncGenerator[str]:
    """The numbers that a stream shows."""
    path = f"/events/stream?source={source}&cursor=0"
    async with reader.client.stream("GET", path, timeout=60) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                yield line.removeprefix("id: ")


@pytest.mark.parametrize("how", ["killed", "stalled"])
async def test_a_replica_that_is_away_costs_no_read(how: str, both: Pair, reader: Reader) -> None:
    standby = both[1]
    source, before = f"away-{how}", len(reader.told("the replica is left alone"))
    position = (await reader.post(source)).headers["collector-position"]
    slowest = 0.0
    if how == "killed":
        await asyncio.to_thread(standby.stop, "immediate")
    else:
        standby.pause()
    deadline = time.monotonic() + DEADLINE
    while len(reader.told("the replica is left alone")) == before:
        assert time.monotonic() < deadline
        begun = time.monotonic()
        answers = await asyncio.gather(
            *(reader.get(f"/events?source={source}", shown) for shown in (None, position))
        )
        slowest = max(slowest, time.monotonic() - begun)
        assert len(answers[1].json()) == 1
    begun = time.monotonic()
    assert await reader.actions(source) == 1
    print(f"{how}: the slowest read took {slowest:.2f} s, the next {time.monotonic() - begun:.3f} s")
    if how == "killed":
        await asyncio.to_thread(standby.start)
    else:
        standby.resume()
    await reader.until_near()
    await reader.until_answered_near(source, position)


async def test_a_start_without_the_replica_reads_far_until_it_comes(both: Pair, reading: Open) -> None:
    await asyncio.to_thread(both[1].stop)
    reader = await reading(near=False)
    await reader.post("start")
    assert await reader.actions("start") == 1
    await asyncio.to_thread(both[1].start)
    await reader.until_near()


async def test_with_the_log_away_reads_go_on_for_as_long_as_they_may_be_behind(both: Pair, reading: Open) -> None:
    async with Proxy(LOOPBACK, both[0].port) as proxy:
        reader = await reading(lag="6", POSTGRES_CONNECTION_STRING=proxy.url_through(both[0].url()))
        await reader.post("primary")
        await eventually(lambda: reader.actions("primary"), lambda found: found == 1)
        proxy.mode = "refuse"
        assert await reader.actions("primary") == 1
        await eventually(lambda: reader.client.get("/readyz"), lambda answer: answer.status_code == 503)
        gone = await eventually(lambda: reader.client.get("/events"), lambda answer: answer.status_code == 503)
        assert gone.json()["retryable"] is True
        proxy.mode = "pass"
        await reader.until_near()
        assert await reader.actions("primary") == 1


async def test_a_read_near_does_not_wait_for_the_log_far_away(both: Pair, reading: Open) -> None:
    async with Proxy(LOOPBACK, both[0].port, delay=FAR / 2) as proxy:
        proxy.mode = "delay"
        reader = await reading(POSTGRES_CONNECTION_STRING=proxy.url_through(both[0].url()))
        position = (await reader.post("far")).headers["collector-position"]
        await until(both[1], f"SELECT EXISTS (SELECT FROM events WHERE seq = {position})")
        took = {}
        for what, shown in (("near", position), ("far", str(2**53 - 1))):
            begun = [time.monotonic()]
            for _ in range(10):
                assert await reader.actions("far", shown) == 1
                begun.append(time.monotonic())
            took[what] = sorted(after - before for before, after in pairwise(begun))
        print({what: f"{seconds[5] * 1000:.1f} ms" for what, seconds in took.items()}, "in the median")
        assert took["near"][0] < FAR <= took["far"][0]
        print("lag:", await reader.metric("collector_replica_lag_seconds"))


async def test_a_replica_of_another_log_is_left_alone(both: Pair, reading: Open) -> None:
    leader, standby = both
    other = await create_database(leader.url("template1"))
    name = database_name(other)
    try:
        await until(standby, f"SELECT EXISTS (SELECT FROM pg_database WHERE datname = '{name}')")
        for url, reason in (
            (standby.url(name), "the schema is not there yet"),
            (leader.url(), "it follows no other server: was it promoted?"),
        ):
            reader = await reading(near=False, POSTGRES_REPLICA_CONNECTION_STRING=url)
            await reader.process.wait_for_log(lambda entry, why=reason: entry.get("reason") == why, DEADLINE)  # type: ignore[misc]
            await reader.get("/events?limit=1")
            assert (await reader.served())[0] == 0
    finally:
        await drop_database(leader.url("template1"), other)
