"""GET /events/stream: what is committed arrives, in order, once, wherever a reader resumes."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import httpx
import pytest

from app.events import Parser
from app.feed import Feed
from app.query import Filter, PageQuery
from app.store.sqlite import SqliteStore
from app.stream import Lag, stream
from tests.http.conftest import Backend, NewPostgres, Settings, sqlite_at
from tests.http.following import Frame, following, take
from tests.http.serving import DEADLINE, Json, async_client_of, event, eventually, problem, running
from tests.process import CollectorProcess

CLIENTS, EACH = 4, 500
LAG = 300.0  # seconds
ASKED = PageQuery(filter=Filter(), order="asc")


async def post(client: httpx.AsyncClient, body: object) -> httpx.Response:
    answer = await client.post("/events", json=body)
    assert answer.status_code == 201, answer.text
    return answer


async def test_what_is_posted_arrives_at_once(async_client: httpx.AsyncClient, source: str) -> None:
    await post(async_client, event(source, id="before"))
    async with following(async_client, source=source) as frames:
        stored = (await post(async_client, event(source, data={"text": "a\nb\r"}))).json()
        assert await take(frames, 1) == [stored]
        await post(async_client, [event(source, id=str(n)) for n in range(3)])
        assert [one["id"] for one in await take(frames, 3)] == ["0", "1", "2"]


@pytest.mark.parametrize("how", ["cursor", "Last-Event-ID", "both"])
async def test_a_reader_resumes_without_a_miss_or_a_double(
    async_client: httpx.AsyncClient, source: str, how: str
) -> None:
    await post(async_client, [event(source, id=str(n)) for n in range(250)])
    found: list[Json] = []
    position = "0"
    for part in (1, 100, 149):
        cursor = {"cursor": {"cursor": position}, "both": {"cursor": "0"}}.get(how, {})
        after = None if how == "cursor" else position
        async with following(async_client, after=after, source=source, **cursor) as frames:
            found += await take(frames, part)
        position = str(found[-1]["seq"])
    async with following(async_client, after=position, source=source) as frames:
        await post(async_client, event(source, id="250"))
        found += await take(frames, 1)
    assert [one["id"] for one in found] == [str(n) for n in range(251)]


async def test_a_position_of_a_page_is_one_of_a_stream(async_client: httpx.AsyncClient, source: str) -> None:
    written = await post(async_client, event(source, id="1"))
    await post(async_client, event(source, id="2"))
    async with following(async_client, source=source, cursor=written.headers["collector-position"]) as frames:
        assert [one["id"] for one in await take(frames, 1)] == ["2"]


async def test_a_stream_takes_the_filters_of_a_page(async_client: httpx.AsyncClient, source: str) -> None:
    wanted = {"source": f"{source}*", "action": "a", "data.ok": "true"}
    unlike: list[Json] = [{"action": "b"}, {"action": "a"}, {"action": "a", "data": {"ok": True}}]
    async with following(async_client, **wanted) as frames:
        for n, one in enumerate(unlike):
            await post(async_client, event(source, id=str(n)) | one)
        await post(async_client, event("other", action="a", data={"ok": True}))
        await post(async_client, event(f"{source}-b", id="last", data={"ok": True}) | {"action": "a"})
        assert [one["id"] for one in await take(frames, 2)] == ["2", "last"]


@pytest.mark.parametrize("query", ["cursor=abc", "limit=5", "order=desc", "sources=a"])
async def test_what_a_stream_does_not_take_is_400(async_client: httpx.AsyncClient, query: str) -> None:
    problem(await async_client.get(f"/events/stream?{query}"), 400)


async def test_streams_are_limited(collector_of_one_stream: CollectorProcess) -> None:
    async with async_client_of(collector_of_one_stream) as client:
        async with following(client):
            problem(await client.get("/events/stream"), 503)
        await eventually(lambda: client.get("/metrics"), lambda answer: "\ncollector_streams 0.0\n" in answer.text)
        async with following(client, cursor="0"):
            pass


@pytest.fixture
def collector_of_one_stream(settings: Settings) -> Iterator[CollectorProcess]:
    with running({**settings, "MAX_STREAMS": "1"}) as process:
        yield process


async def test_a_stream_ends_at_sigterm_with_a_time_to_come_back(settings: Settings) -> None:
    with CollectorProcess(env=settings) as process:
        await process.wait_until_ready()
        async with async_client_of(process) as client:
            async with following(client) as first, following(client) as second:
                await post(client, event("leaving"))
                process.terminate()
                ends = [[frame async for frame in frames][-1] for frames in (first, second)]
            assert all(500 <= int(end["retry"]) <= 3000 for end in ends)
        assert await process.wait() == 0


@pytest.fixture
def collectors(
    backend: Backend, new_settings: Callable[[], Settings], request: pytest.FixtureRequest
) -> Iterator[list[CollectorProcess]]:
    """One collector on SQLite, or two on one PostgreSQL."""
    settings = new_settings()
    with ExitStack() as stack:
        yield [stack.enter_context(running(settings)) for _ in range(1 if backend == "sqlite" else 2)]


async def test_streams_under_concurrent_writers_miss_nothing(
    collectors: list[CollectorProcess], source: str
) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(async_client_of(process)) for process in collectors]
        streams = [
            await stack.enter_async_context(following(clients[n % len(clients)], source=f"{source}-*"))
            for n in range(3)
        ]
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(take(frames, CLIENTS * EACH)) for frames in streams]
            for n in range(CLIENTS):
                group.create_task(write(clients[n % len(clients)], f"{source}-{n}"))
        log = await everything(clients[0])
    assert len(log) == CLIENTS * EACH
    assert [one["seq"] for one in log] == sorted({one["seq"] for one in log})
    for reader in readers:
        assert reader.result() == log


async def write(client: httpx.AsyncClient, source: str) -> None:
    """Post singles and batches in turn, EACH events in all."""
    numbers = iter(range(EACH))
    for size in count(1):
        batch = [event(source, id=str(n)) for _, n in zip(range(size % 7), numbers, strict=False)]
        if batch:
            await post(client, batch[0] if len(batch) == 1 else batch)
        elif size % 7:
            return


async def everything(client: httpx.AsyncClient) -> list[Json]:
    answer = await client.get("/events", params={"order": "asc"}, headers={"Accept": "application/x-ndjson"})
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture
def two(new_postgres: NewPostgres, migrated: str) -> Iterator[tuple[CollectorProcess, CollectorProcess]]:
    """Two collectors on one PostgreSQL."""
    settings = {"POSTGRES_CONNECTION_STRING": new_postgres(migrated)}
    with running(settings) as one, running(settings) as other:
        yield one, other


async def test_what_is_posted_to_one_collector_arrives_at_a_stream_of_the_other(
    two: tuple[CollectorProcess, CollectorProcess], source: str
) -> None:
    async with async_client_of(two[0]) as one, async_client_of(two[1]) as other, following(other) as frames:
        stored = (await post(one, event(source))).json()
        assert await take(frames, 1) == [stored]
        assert (await other.get("/events")).json() == [stored]


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = datetime(2024, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[tuple[SqliteStore, Clock]]:
    """A log without a server, and its clock."""
    clock = Clock()
    store = SqliteStore(tmp_path / "collector.db", clock)
    await store.maintain(0)
    yield store, clock
    await store.close()


@asynccontextmanager
async def reading(
    store: SqliteStore, feed: Feed, cursor: int, asked: PageQuery = ASKED
) -> AsyncIterator[AsyncIterator[bytes]]:
    frames = stream(store.reader, feed, asked, cursor, Lag(LAG, lambda: None), allowed=lambda: True)
    assert isinstance(frames, AsyncGenerator)
    async with asyncio.timeout(DEADLINE), aclosing(frames):
        yield frames


async def keep(store: SqliteStore, id_: str) -> int:
    (kept,) = await store.keep([Parser().one(json.dumps(event("s", id=id_)).encode())], False)
    return kept.seq


async def test_an_idle_stream_says_that_it_is_alive(
    log: tuple[SqliteStore, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.stream.COMMENT_SECONDS", 0.05)
    async with reading(log[0], Feed(), 0) as frames:
        first = await anext(frames)
        assert first.startswith(b"retry: ")
        assert [await anext(frames) for _ in range(3)] == [b":\n\n"] * 3


async def test_a_stream_says_that_it_is_alive_while_others_get_events(
    log: tuple[SqliteStore, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.stream.COMMENT_SECONDS", 0.2)
    store, feed, ended = log[0], Feed(), asyncio.Event()

    async def busy() -> None:
        for n in count():
            feed.publish(await keep(store, str(n)))
            await asyncio.sleep(0.02)
            if ended.is_set():
                return

    other = PageQuery(filter=Filter(within=("other",)), order="asc")
    writing = asyncio.create_task(busy())
    async with reading(store, feed, 0, other) as frames:
        await anext(frames)
        assert [await anext(frames) for _ in range(3)] == [b":\n\n"] * 3
    ended.set()
    await writing


async def test_a_stream_ends_when_its_process_leaves(log: tuple[SqliteStore, Clock]) -> None:
    feed = Feed()
    async with reading(log[0], feed, 0) as frames:
        await anext(frames)
        feed.close()
        assert [frame.partition(b" ")[0] async for frame in frames] == [b"retry:"]


async def test_a_reader_from_before_retention_is_told_of_the_gap(log: tuple[SqliteStore, Clock]) -> None:
    store, clock = log
    first, second = await keep(store, "1"), await keep(store, "2")
    clock.now += timedelta(days=40)
    third = await keep(store, "3")
    await store.maintain(30)
    async with reading(store, Feed(), first) as frames:
        _, gap, rest = [await anext(frames) for _ in range(3)]
    through = json.dumps({"after": first, "through": second}, separators=(",", ":"))
    assert gap == f"id: {second}\nevent: gap\ndata: {through}\n\n".encode()
    assert rest.startswith(b"id: %d\n" % third)


async def test_a_cursor_from_before_retention_is_410_or_a_gap(
    log: tuple[SqliteStore, Clock], tmp_path: Path
) -> None:
    store, clock = log
    first, second = await keep(store, "1"), await keep(store, "2")
    clock.now = datetime.now(UTC)
    await keep(store, "3")
    with CollectorProcess(env={**sqlite_at(tmp_path), "RETENTION_DAYS": "30"}) as process:
        await process.wait_until_ready()
        async with async_client_of(process) as client:
            asked = {"cursor": str(first), "order": "asc"}
            gone = await eventually(
                lambda: client.get("/events", params=asked), lambda one: one.status_code != 200
            )
            document = problem(gone, 410)
            assert document["earliest"] == str(second)
            page = await client.get("/events", params=asked | {"cursor": document["earliest"]})
            assert [one["id"] for one in page.json()] == ["3"]
            async with following(client, cursor=str(first)) as frames:
                gap: Frame = await anext(frames)
                assert (gap["event"], gap["id"]) == ("gap", str(second))
                assert [one["id"] for one in await take(frames, 1)] == ["3"]
