"""The drain: from a real Redis into every database, whatever is killed, poisoned or delivered twice."""

import asyncio
import multiprocessing
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import msgspec
import pytest
import redis

from app import drain as drains
from app.drain import Drain
from app.errors import Unavailable
from app.metrics import Metrics
from app.query import Filter, PageQuery
from app.spool import ENTRIES, Spool
from app.store.postgres import PostgresStore
from app.store.sqlite import SqliteStore
from app.worker import lead
from tests.binaries import valkey_binary
from tests.child import clean_environment
from tests.process import ROOT
from tests.servers import RedisServer
from tests.store.make import event

ALWAYS = {"appendonly": "yes", "appendfsync": "always"}
MANY = 10**9
KILLS = int(os.environ.get("TEST_KILLS", "20"))
WAITING = 200  # entries
PATIENCE = 60.0  # seconds for what has to come true

AnyStore = SqliteStore | PostgresStore
encode = msgspec.msgpack.Encoder().encode


@pytest.fixture(scope="module")
def on_disk() -> Iterator[RedisServer]:
    with RedisServer(settings=ALWAYS, binary=valkey_binary()) as server:
        yield server


@pytest.fixture
def client(on_disk: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(on_disk.url()) as client:
        client.flushall()
        yield client


@pytest.fixture
async def spool(on_disk: RedisServer, client: redis.Redis) -> AsyncIterator[Spool]:
    spool = Spool(on_disk.url(), max_events=MANY, max_bytes=MANY)
    await spool.check()
    yield spool
    await spool.close()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where events are stored: a file, or the URL of a database."""
    if request.param == "sqlite":
        return tmp_path / "log.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def store(place: Path | str) -> AsyncIterator[AnyStore]:
    store = opened(place) if isinstance(place, str) else SqliteStore(place)
    await store.migrate()
    yield store
    await store.close()


def opened(url: str) -> PostgresStore:
    return PostgresStore(url, password=None, pool_size=2, on_unreplicated=lambda: None)


def drain_of(spool: Spool, store: AnyStore, group: int = drains.GROUP) -> Drain:
    return Drain(spool, store, Metrics(10), may=lambda: True, group=group)


async def emptied(drain: Drain) -> None:
    while await drain.turn():
        pass


async def stored(store: AnyStore) -> list[str]:
    """The ids of all that is stored, in the log's order."""
    pages = store.reader.scan(PageQuery(filter=Filter(), order="asc", cursor=0, limit=None))
    return [one.id async for page in pages for one in page.events]


async def put(spool: Spool, count: int, entries: int = 1, *, name: str = "") -> list[str]:
    """Fill the spool with that many events an entry; gives their ids."""
    ids = [f"{name}{n}" for n in range(count * entries)]
    for n in range(entries):
        await spool.append([event(one) for one in ids[n * count : (n + 1) * count]], False)
    return ids


async def test_it_stores_in_order_what_was_spooled(spool: Spool, store: AnyStore) -> None:
    ids = await put(spool, 7, entries=30)
    moments = [entry.received_at for entry in await spool.read(MANY) for _ in range(entry.count)]
    told: list[int] = []
    drain = Drain(spool, store, Metrics(1), may=lambda: True, on_kept=told.append, group=50)
    await emptied(drain)
    assert await stored(store) == ids
    assert (await spool.check()).entries == 0
    assert told == sorted(told)
    pages = store.reader.scan(PageQuery(filter=Filter(), order="asc", cursor=0, limit=None))
    found = [one async for page in pages for one in page.events]
    assert [one.received_at for one in found] == moments
    assert [one.time for one in found] == moments
    assert told[-1] == found[-1].seq


async def test_it_does_nothing_unless_it_may(spool: Spool, store: AnyStore) -> None:
    await put(spool, 3)
    drain = Drain(spool, store, Metrics(1), may=lambda: False)
    assert not await drain.turn()
    assert await stored(store) == []


async def test_it_stops_where_it_may_no_longer(spool: Spool, store: AnyStore) -> None:
    await put(spool, 3)
    answers = iter((True, False))  # the lead is lost while the entries are read
    drain = Drain(spool, store, Metrics(1), may=lambda: next(answers))
    assert not await drain.turn()
    assert (await stored(store), (await spool.check()).entries) == ([], 1)


async def test_an_entry_that_came_twice_is_stored_once(spool: Spool, store: AnyStore, client: redis.Redis) -> None:
    await spool.append([event("1"), event(None)], False)
    (entry,) = await spool.read(MANY)
    for _ in range(3):  # as a retry would
        client.xadd(ENTRIES, {"events": entry.count, "bytes": entry.size, "group": entry.group})
    await emptied(drain_of(spool, store))
    assert len(await stored(store)) == 2
    assert await store.letters.count() == 0


async def test_an_entry_that_is_drained_twice_is_stored_once(spool: Spool, store: AnyStore) -> None:
    ids = await put(spool, 5, entries=4)
    entries = await spool.read(MANY)
    for _ in range(2):  # killed after the commit, before the entry was forgotten
        for entry in entries:
            await store.keep(entry.events(), False)
    await emptied(drain_of(spool, store))
    assert (await stored(store), await store.letters.count()) == (ids, 0)


async def test_two_drains_at_once_do_no_harm(spool: Spool, on_disk: RedisServer, postgres_url: str) -> None:
    ids = await put(spool, 1, entries=600)
    other = Spool(on_disk.url(), max_events=MANY, max_bytes=MANY)
    stores = opened(postgres_url), opened(postgres_url)
    two = drain_of(spool, stores[0], group=7), drain_of(other, stores[1], group=11)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*map(emptied, two))
    found = await stored(stores[0])
    assert (sorted(found), len(found)) == (sorted(ids), 600)
    assert (await stores[0].letters.count(), (await spool.check()).events) == (0, 0)
    await other.close()
    for store in stores:
        await store.close()


async def test_poison_becomes_dead_letters_and_the_others_go_on(
    spool: Spool, store: AnyStore, client: redis.Redis
) -> None:
    await store.keep([event(f"taken{n}", data="first") for n in range(6)], False)
    before = set(await stored(store))
    good = []
    for n in range(6):
        group = [event(f"{n}/{m}") for m in range(90)]
        await spool.append([*group, event(f"taken{n}", data="second")], False)
        client.xadd(ENTRIES, {"events": "1", "bytes": "1", "group": b"\xc1 no msgpack \x00"})
        good += [one.id for one in group]
    drain = drain_of(spool, store, group=200)
    await emptied(drain)
    assert [one for one in await stored(store) if one not in before] == good
    assert client.xlen(ENTRIES) == 0
    letters = await store.letters.page("", 100)
    assert (await store.letters.count(), len(letters)) == (12, 12)
    conflicts = [letter for letter in letters if letter.source]
    assert sorted(letter.event_id for letter in conflicts) == [f"taken{n}" for n in range(6)]
    assert all("other content" in letter.reason for letter in conflicts)
    assert sum("cannot be read" in letter.reason for letter in letters) == 6


async def test_what_postgres_refuses_takes_nobody_with_it(
    spool: Spool, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that the database cannot hold, and one too long for its index, whose error names no row."""
    monkeypatch.setattr(drains, "AGAIN_SECONDS", 0.01)
    store = opened(postgres_url)
    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))
    changes: tuple[dict[str, str], ...] = ({"source": "a\0b"}, {"source": noise}, {"data": "{not json"})
    good: list[str] = []
    for n, change in enumerate(changes):
        group = [event(f"{n}/{m}") for m in range(5)]
        bad = msgspec.structs.replace(event(f"bad{n}"), **change)
        await spool.append([*group[:3], bad, *group[3:]], False)
        good += [one.id for one in group]
    good += await put(spool, 3, entries=3, name="after")
    async with asyncio.timeout(PATIENCE):
        await emptied(drain_of(spool, store))
    assert sorted(await stored(store)) == sorted(good)
    letters = await store.letters.page("", 100)
    assert [letter.event_id for letter in letters] == ["bad0", "bad1", "bad2"]
    assert (await spool.check()).events == 0
    await store.close()


async def test_a_letter_is_written_once(spool: Spool, store: AnyStore) -> None:
    await store.keep([event("1", data=1)], False)
    await spool.append([event("1", data=2)], False)
    (entry,) = await spool.read(MANY)
    for _ in range(2):  # killed after the letter was written, before the entry was forgotten
        await drain_of(spool, store).turn()
        await spool.append(entry.events(), False)
    letters = await store.letters.page("", 100)
    await store.letters.add(letters)
    assert await store.letters.count() == len(letters) == 2


async def test_a_database_that_is_away_refuses_nothing(
    spool: Spool, own_redis: RedisServer, tmp_path: Path
) -> None:
    ids = await put(spool, 3, entries=2)
    (tmp_path / "no folder").write_text("")
    away = SqliteStore(tmp_path / "no folder" / "log.db")
    for _ in range(drains.TRIES + 1):
        with pytest.raises(Unavailable):
            await drain_of(spool, away).turn()
    assert (await spool.check()).events == len(ids)
    await away.close()


async def test_dead_letters_are_shown_and_stored_again(spool: Spool, postgres_url: str) -> None:
    store = opened(postgres_url)
    await store.keep([event(f"{n}", data="first") for n in range(3)], False)
    await spool.append([event(f"{n}", data="second") for n in range(3)], False)
    await emptied(drain_of(spool, store))

    async def run(*words: str) -> tuple[int, list[str]]:
        return await asyncio.to_thread(command, postgres_url, "dead-letters", *words)

    code, (head, *lines, count) = await run("list")
    assert (code, head.split(), count) == (0, ["ID", "SINCE", "SOURCE", "EVENT", "REASON"], "3 dead letters")
    first, _, _ = (line.split()[0] for line in lines)
    # Nothing has changed: they are refused again, and stay.
    code, said = await run("replay")
    assert (code, said[-1], await store.letters.count()) == (1, "0 stored, 3 left", 3)
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("DELETE FROM event_ids")
    await connection.close()
    code, said = await run("replay", "--id", first, "--id=none")
    assert (code, said) == (1, ["none: there is no such dead letter", "1 stored, 0 left"])
    assert await run("replay") == (0, ["2 stored, 0 left"])
    assert sorted(await stored(store)) == sorted(["0", "1", "2"] * 2)
    assert await store.letters.count() == 0
    await store.close()


def command(url: str, *words: str) -> tuple[int, list[str]]:
    """Run a command of the collector; its exit code, and the lines that it wrote."""
    env = {**clean_environment(), "POSTGRES_CONNECTION_STRING": url}
    run = [sys.executable, "-m", "app", *words]
    done = subprocess.run(run, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.returncode, done.stdout.splitlines()


async def test_kill_9_at_random_moments_loses_and_doubles_nothing(
    spool: Spool, client: redis.Redis, postgres_url: str, on_disk: RedisServer
) -> None:
    ids: list[str] = []
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["tests.faults.test_spool_drain"])
    hit = 0
    for kill in range(KILLS):
        if client.xlen(ENTRIES) < WAITING:  # however much a child has drained before it was killed
            ids += await put(spool, 5, entries=WAITING, name=f"{kill}-")
        child = forks.Process(target=drain_for_ever, args=(postgres_url, on_disk.url()), daemon=True)
        before = int(client.xlen(ENTRIES))
        child.start()
        await until(lambda before=before: int(client.xlen(ENTRIES)) < before)  # type: ignore[misc]
        await asyncio.sleep(random.uniform(0, 0.05))
        child.kill()
        await asyncio.to_thread(child.join)
        assert child.exitcode == -signal.SIGKILL
        hit += client.xlen(ENTRIES) > 0
    print(f"killed {KILLS} times, {hit} of them while there was something to drain")
    assert hit > KILLS / 2, "they were killed when there was nothing to drain: more entries have to wait"
    store = opened(postgres_url)
    async with asyncio.timeout(PATIENCE):
        await emptied(drain_of(spool, store))
    assert await stored(store) == ids
    assert await store.letters.count() == 0
    await store.close()


def drain_for_ever(postgres_url: str, spool_url: str) -> None:
    """A process that drains in small steps until it is killed."""

    async def run() -> None:
        spool = Spool(spool_url, max_events=MANY, max_bytes=MANY)
        await drain_of(spool, opened(postgres_url), group=5).run(lambda: None)

    asyncio.run(run())


@asynccontextmanager
async def leading(store: PostgresStore, spool: str = "spool") -> AsyncIterator[Callable[[], bool]]:
    leader = store.leader(spool)
    task = asyncio.create_task(lead(leader, Metrics(0), lambda: None))
    yield lambda: leader.holds
    task.cancel()
    await leader.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            if true():
                return
            await asyncio.sleep(0.02)


async def test_one_leads_and_another_takes_over(postgres_url: str) -> None:
    store = opened(postgres_url)
    async with leading(store) as second_leads:
        await until(second_leads)
        async with leading(store) as third_leads:
            await asyncio.sleep(0.5)
            assert not third_leads()
        async with leading(store, "the spool of another region") as another_leads:
            await until(another_leads)
            assert second_leads()
    async with leading(store) as fourth_leads:
        await until(fourth_leads)
    await store.close()


async def test_a_leader_whose_session_ends_leads_no_longer(postgres_url: str) -> None:
    store = opened(postgres_url)
    leader = store.leader("spool")
    await leader.turn()
    assert leader.holds
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'collector leader'"
        " AND datname = current_database()"
    )
    await until(lambda: not leader.holds)
    await leader.turn()
    assert leader.holds
    await leader.close()
    await connection.close()
    await store.close()
