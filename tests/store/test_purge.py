"""Purges: exactly what was shown goes, in steps, with its identities and its sums, and nothing else."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from app.errors import Unavailable
from app.query import Filter, PageQuery
from app.store import Doomed, Letter, SourceSummary, postgres, purge, sqlite
from app.store.keep import ORDER_LOCK
from app.store.reader import SqlReader
from tests.store.bases import DAY, AnyStore, Base, PostgresBase, SqliteBase, postgres_store
from tests.store.make import event
from tests.store.test_rollup import plain

STEP = 4  # rows
CANARY = "canary-7f3a"
EVER = datetime(9999, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "PURGE_STEP", STEP)
    monkeypatch.setattr(postgres, "FORGET_STEP", STEP)
    monkeypatch.setattr(purge, "COUNT_WINDOW", 5)


async def doomed_of(store: AnyStore, source: str = "old", before: datetime = EVER) -> Doomed:
    return Doomed(source=source, before=before, through=await store.reader.head())


async def purged(store: AnyStore, doomed: Doomed, *, steps: float = float("inf")) -> int:
    """Purge, or do as many steps of it; how many events went."""
    count, after, step = 0, 0, 0
    while step < steps:
        portion = await store.purger.portion(doomed, after)
        count += await store.purger.delete(portion)
        step += 1
        if portion.reached is None:
            break
        after = portion.reached
    return count


async def exact(store: AnyStore) -> list[SourceSummary]:
    found = await store.reader.sources()
    assert found == await plain(store)
    return found


async def old_days(base: Base, chance: random.Random, days: int = 5) -> list[int]:
    """Events of `old` on days before today; their numbers, which are when they were received, too."""
    today = await base.today()
    seconds = range(DAY // 1_000_000)
    seqs = [
        day * DAY + at * 1_000_000
        for day in range(today - days, today)
        for at in sorted(chance.sample(seconds, 7))
    ]
    for seq in seqs:
        await base.put(seq, f"id {seq}")
    return seqs


def moment(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


async def left(base: Base, table: str = "events") -> list[int]:
    return [seq for (seq,) in await base.rows(f"SELECT seq FROM {table} ORDER BY seq")]


@pytest.fixture
async def log(new_base: Base) -> AsyncIterator[AnyStore]:
    """A store on `new_base`."""
    store = new_base.open()
    yield store
    await store.close()


async def test_it_takes_one_source_up_to_a_moment_and_a_number(new_base: Base, log: AnyStore) -> None:
    seqs = await old_days(new_base, random.Random(1))
    await log.keep([event("1", source="ol"), event("1", source="old2"), event("1", source="OLD")], strict=False)
    doomed = Doomed(source="old", before=moment(seqs[20]), through=seqs[17])
    tally = await log.purger.tally(doomed)
    assert tally is not None
    assert (tally.events, tally.first, tally.last) == (18, moment(seqs[0]), moment(seqs[17]))
    early = Doomed(source="old", before=moment(seqs[2]), through=seqs[-1])
    assert (await log.purger.tally(early), await log.purger.tally(await doomed_of(log, "nobody")))[1] is None
    assert await purged(log, early) == 2
    assert await purged(log, doomed) == 16
    assert await log.purger.tally(doomed) is None
    assert (await left(new_base))[: len(seqs) - 18] == seqs[18:]
    assert len(await left(new_base)) == len(seqs) - 18 + 3


async def test_identities_go_with_their_events_and_no_others(log: AnyStore) -> None:
    events = [event(f"{n}", source=source) for n in range(6) for source in ("old", "new")]
    await log.keep([*events, event(source="old")], strict=False)
    assert await purged(log, await doomed_of(log)) == 7
    again = await log.keep(events, strict=False)
    assert [one.state for one in again] == ["new", "duplicate"] * 6


@pytest.mark.parametrize("few", [10_000, 0])
@pytest.mark.parametrize("seed", range(2))
async def test_the_sums_are_exact_after_every_step(
    new_base: Base, log: AnyStore, monkeypatch: pytest.MonkeyPatch, seed: int, few: int
) -> None:
    if isinstance(new_base, PostgresBase):
        # The function has its own figure.
        (definition,) = (await new_base.rows("SELECT pg_get_functiondef('collector_purge'::regproc)"))[0]
        assert definition.count("10000 THEN") == 1
        await new_base.rows(definition.replace("10000 THEN", f"{few} THEN"))
    monkeypatch.setattr(purge, "FEW", few)
    chance = random.Random(seed)
    seqs = await old_days(new_base, chance)
    for _ in range(4):
        times = [moment(chance.randrange(seqs[0], seqs[-1])).isoformat() for _ in range(9)]
        await log.keep([event(source=chance.choice(("old", "s")), time=time) for time in times], strict=False)
    monkeypatch.setattr(postgres, "ROLL_STEP", 20)
    monkeypatch.setattr(sqlite, "ROLL_STEP", 20)
    for _ in range(chance.randrange(2, 4)):
        await log.roll_up()
    for before in (moment(seqs[9]), moment(seqs[-3]), EVER):
        doomed = await doomed_of(log, before=before)
        while await purged(log, doomed, steps=1):
            await exact(log)
            if chance.random() < 0.3:
                await log.roll_up()
                await exact(log)
        assert await purged(log, doomed) == 0 or await log.purger.tally(doomed) is None
    while await log.roll_up():
        pass
    assert [one.source for one in await exact(log)] == ["s"]
    ((sums,),) = await new_base.rows("SELECT count(*) FROM source_rollup WHERE source = 'old'")
    assert sums == 0


async def test_only_what_was_summed_up_is_taken_off_the_sums(
    log: AnyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (postgres, sqlite):
        monkeypatch.setattr(module, "ROLL_STEP", 3)
    seqs = [one.seq for one in await log.keep([event(f"{n}", source="old") for n in range(6)], strict=False)]
    assert await log.roll_up()
    # One that stays among the sums, two that go, and after them one that goes and two that stay.
    doomed = Doomed(source="old", before=EVER, through=seqs[3])
    assert await log.purger.delete(await log.purger.portion(doomed, seqs[0])) == 3
    assert [one.events for one in await exact(log)] == [3]
    await log.roll_up()
    await exact(log)


async def test_retention_and_a_purge_may_meet(new_base: Base, log: AnyStore) -> None:
    seqs = await old_days(new_base, random.Random(3))
    await log.keep([event("1", source="s")], strict=False)
    while await log.roll_up():
        pass
    doomed = await doomed_of(log)
    portion = await log.purger.portion(doomed, 0)
    await log.maintain(retention_days=4)
    assert await log.purger.delete(portion) == 0
    await exact(log)
    # PostgreSQL's steps, unlike SQLite's, need not wait for each other.
    count, _ = await asyncio.gather(purged(log, doomed), log.maintain(retention_days=1))
    assert count <= len(seqs) - 7
    await purged(log, doomed)
    assert [one.source for one in await exact(log)] == ["s"]
    assert len(await left(new_base, "event_ids")) == 1


async def test_two_at_once_and_one_that_was_cut_off_end_alike(new_base: Base, log: AnyStore) -> None:
    seqs = await old_days(new_base, random.Random(4))
    doomed = await doomed_of(log)
    other = new_base.open()
    assert await purged(log, doomed, steps=2) == 2 * STEP
    counts = await asyncio.gather(purged(log, doomed), purged(other, doomed))
    assert sum(counts) == len(seqs) - 2 * STEP
    assert await left(new_base) == await left(new_base, "event_ids") == []
    await other.close()


async def test_every_step_moves_the_version(log: AnyStore) -> None:
    await log.keep([event(f"{n}", source="old") for n in range(9)], strict=False)
    doomed = await doomed_of(log)
    seen = [await log.version()]
    while await purged(log, doomed, steps=1):
        seen.append(await log.version())
    assert len(seen) == len(set(seen)) == 4
    (kept,) = await log.keep([event("more")], strict=False)
    assert kept.seq > doomed.through


async def test_it_is_a_commit_that_others_wait_for(postgres_base: PostgresBase) -> None:
    store = postgres_store(postgres_base.url)
    await store.keep([event("1", source="old")], strict=False)
    portion = await store.purger.portion(await doomed_of(store), 0)
    holder = await asyncpg.connect(postgres_base.url)
    async with holder.transaction():
        await holder.execute("SELECT FROM log_state FOR UPDATE")
        step = asyncio.create_task(store.purger.delete(portion))
        await asyncio.sleep(0.2)
        # Behind who sums up it holds nobody.
        assert [kept.state for kept in await store.keep([event("2")], strict=False)] == ["new"]
    assert await step == 1
    portion = await store.purger.portion(await doomed_of(store, "s"), 0)
    async with holder.transaction():
        await holder.execute(f"SELECT pg_advisory_xact_lock({ORDER_LOCK})")
        with pytest.raises(Unavailable):
            await store.purger.delete(portion)
    assert await store.purger.delete(portion) == 1
    await holder.close()
    await store.close()


async def test_a_follower_misses_nothing_else_while_others_write(base: Base, store: AnyStore) -> None:
    """A writer, a follower from the beginning, and a purge of what is no longer followed, again and again."""
    wanted: list[int] = []
    seen: list[int] = []
    writing = True

    async def write() -> None:
        nonlocal writing
        for n in range(60):
            group = [event(f"{n}/{k}", source=("old", "s")[k % 2]) for k in range(20)]
            wanted.extend(one.seq for one in (await store.keep(group, strict=False))[1::2])
        writing = False

    async def follow() -> None:
        cursor = 0
        while writing or not seen or seen[-1] != wanted[-1]:
            page = await store.reader.page(PageQuery(filter=Filter(sources=("s",)), order="asc", cursor=cursor))
            seen.extend(one.seq for one in page.events)
            assert page.next is not None
            assert page.next >= cursor
            cursor = page.next
            await asyncio.sleep(0)

    async def forget() -> int:
        count = 0
        while writing:
            count += await purged(store, await doomed_of(store))
            await store.roll_up()
        return count + await purged(store, await doomed_of(store))

    async with asyncio.timeout(60):
        _, _, count = await asyncio.gather(write(), follow(), forget())
    assert seen == wanted
    assert count == 600
    assert [(one.source, one.events) for one in await exact(store)] == [("s", 600)]
    assert len(await left(base, "event_ids")) == 600


async def test_nothing_of_it_stays_in_the_file(sqlite_base: SqliteBase) -> None:
    store = sqlite_base.open()
    texts = [CANARY, CANARY * 50, CANARY * 5000]
    forgotten = [event(f"{CANARY} {n}", source="old", subject=CANARY, data=text) for n, text in enumerate(texts)]
    await store.keep(forgotten, strict=False)
    await store.keep([event("1", source="s", data="it stays")], strict=False)
    assert sum(written(sqlite_base.path).values()) > 0
    letter = Letter(id="1-0/0", at=EVER, source="old", event_id=CANARY, reason="no", body=CANARY.encode() * 900)
    await store.letters.add([letter, replace(letter, id="2-0/0", body=b"", event_id="")])
    await store.letters.remove([letter.id])
    assert await purged(store, await doomed_of(store)) == 3
    await store.purger.end()
    assert set(written(sqlite_base.path).values()) == {0}
    await store.close()


async def test_who_reads_holds_nobody_at_the_end(sqlite_base: SqliteBase) -> None:
    store = sqlite_base.open()
    await store.keep([event("1", source="old")], strict=False)
    async with SqlReader._connection(store.reader) as reading:
        await reading.exec_driver_sql("BEGIN")
        await reading.exec_driver_sql("SELECT * FROM events")
        await purged(store, await doomed_of(store))
        async with asyncio.timeout(1.5):  # of the 2 s that a writer waits for others
            await store.purger.end()
    assert [kept.state for kept in await store.keep([event("2")], strict=False)] == ["new"]
    await store.close()


def written(path: Path) -> dict[str, int]:
    """How often the canary stands in the database's files."""
    return {file.name: file.read_bytes().count(CANARY.encode()) for file in path.parent.glob(f"{path.name}*")}
