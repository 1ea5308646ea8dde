"""Health: loops that turn, and a store that can keep an event."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from app import health
from app.errors import Unavailable
from app.health import Beat, Loops, Readiness
from app.metrics import Metrics
from app.spool import Spool, Waiting
from app.store import CODE, Schema, Store
from app.store.sqlite import SqliteStore

DEADLINE = 10.0  # seconds
NEVER = 1e6  # seconds
USABLE = Schema(CODE, CODE)


class Answers:
    """As much of a store as readiness asks: gives its answers one after the other, the last for ever."""

    name = "a store"

    def __init__(self, *answers: Schema | Unavailable) -> None:
        self._answers = list(answers)
        self.asked: list[bool] = []

    async def check(self, *, writing: bool) -> Schema:
        self.asked.append(writing)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Unavailable):
            raise answer
        return answer


class Enough(Exception):
    """As many turns as wanted."""


@pytest.fixture
async def loops() -> AsyncIterator[Loops]:
    loops = Loops(Metrics(1))
    yield loops
    await loops.stop_all()


@pytest.fixture(autouse=True)
def _checks_follow_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_EVERY", 0)
    monkeypatch.setattr(health, "CHECK_PAUSE", 0)


def ready_by(*answers: Schema | Unavailable) -> Readiness:
    return Readiness(cast("Store", Answers(*answers)), Metrics(1))


async def turn(readiness: Readiness, times: int = 1) -> None:
    turns = iter(range(times))

    def beat() -> None:
        if next(turns, None) is None:
            raise Enough

    with pytest.raises(Enough):
        await readiness.run(beat)


def failing(readiness: Readiness) -> dict[str, str]:
    return {part.name: part.detail for part in readiness.parts if not part.ok}


async def for_ever(beat: Beat) -> None:
    beat()
    await asyncio.get_running_loop().create_future()


async def test_a_loop_that_has_turned_by_its_deadline_is_not_late(loops: Loops) -> None:
    loops.start("quick", for_ever, deadline=NEVER)
    loops.start("slow", for_ever, deadline=-1)
    assert loops.late() == ["slow"]
    assert not loops.failed


async def test_a_beat_is_a_turn() -> None:
    metrics = Metrics(1)
    loops = Loops(metrics)
    turned = asyncio.Event()

    async def run(beat: Beat) -> None:
        beat()
        turned.set()
        await asyncio.get_running_loop().create_future()

    loops.start("writer", run, deadline=NEVER)
    first = metrics.registry.get_sample_value("collector_loop_last_turn_timestamp_seconds", {"loop": "writer"})
    async with asyncio.timeout(DEADLINE):
        await turned.wait()
    last = metrics.registry.get_sample_value("collector_loop_last_turn_timestamp_seconds", {"loop": "writer"})
    assert first is not None
    assert last is not None
    assert last > first
    await loops.stop_all()


async def test_a_loop_that_was_stopped_on_purpose_is_neither_late_nor_a_failure(loops: Loops) -> None:
    loops.start("one", for_ever, deadline=-1)
    loops.start("other", for_ever, deadline=-1)
    await loops.stop("one")
    assert loops.late() == ["other"]
    await loops.stop("one")
    await loops.stop_all()
    assert loops.late() == []
    assert not loops.failed


async def test_a_loop_that_was_told_to_end_is_waited_for(loops: Loops) -> None:
    told, done = asyncio.Event(), []

    async def run(beat: Beat) -> None:
        await told.wait()
        done.append("flushed")

    loops.start("writer", run, deadline=-1)
    told.set()
    async with asyncio.timeout(DEADLINE):
        await loops.finish("writer")
    assert done == ["flushed"]
    assert loops.late() == []
    assert not loops.failed


def test_before_the_first_check_it_is_not_ready() -> None:
    readiness = ready_by(USABLE)
    assert not readiness.ready
    assert failing(readiness)["database"] == "not asked yet"


async def test_a_store_that_fits_makes_it_ready() -> None:
    readiness = ready_by(USABLE)
    await turn(readiness)
    assert readiness.ready
    assert [(part.name, part.ok) for part in readiness.parts] == [
        ("database", True),
        ("schema", True),
        ("check", True),
        ("draining", True),
    ]


async def test_a_real_store_is_ready_once_it_has_its_schema(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "events.db")
    readiness = Readiness(store, Metrics(1))
    try:
        await turn(readiness)
        assert failing(readiness) == {"schema": "none yet: run `collector migrate`"}
        await store.migrate()
        await turn(readiness)
        assert readiness.ready
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("schema", "usable"),
    [
        (Schema(CODE, 0), True),
        (Schema(CODE + 5, CODE), True),
        (Schema(CODE + 5, CODE + 1), False),
        (Schema(CODE - 1, 0), False),
        (Schema(0, 0), False),
    ],
)
async def test_a_schema_fits_from_this_codes_revision_on_as_long_as_it_admits_it(
    schema: Schema, usable: bool
) -> None:
    readiness = ready_by(schema)
    await turn(readiness)
    assert readiness.ready == usable
    assert usable or "schema" in failing(readiness)


async def test_a_store_that_is_away_makes_it_unready_until_it_is_back() -> None:
    metrics = Metrics(1)
    readiness = Readiness(cast("Store", Answers(USABLE, Unavailable("the database is away"), USABLE)), metrics)
    seen = []
    for _ in range(3):
        await turn(readiness)
        seen.append((readiness.ready, metrics.registry.get_sample_value("collector_ready")))
        if not readiness.ready:
            assert failing(readiness) == {"database": "the database is away"}
    assert seen == [(True, 1), (False, 0), (True, 1)]


async def test_an_old_check_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    readiness = ready_by(USABLE)
    await turn(readiness)
    monkeypatch.setattr(health, "STALE_AFTER", -1)
    assert not readiness.ready
    assert list(failing(readiness)) == ["check"]


async def test_who_leaves_is_not_ready() -> None:
    readiness = ready_by(USABLE)
    await turn(readiness)
    readiness.draining = True
    assert failing(readiness) == {"draining": "leaving"}


async def test_after_a_failed_commit_the_check_writes_until_that_succeeds() -> None:
    store = Answers(USABLE, Unavailable("read-only"), USABLE)
    readiness = Readiness(cast("Store", store), Metrics(1))
    await turn(readiness)
    readiness.commits_fail = True
    await turn(readiness)
    assert failing(readiness) == {"database": "read-only"}
    await turn(readiness, times=2)
    assert failing(readiness) == {}
    assert store.asked == [False, True, True, False]


async def until_ready(readiness: Readiness) -> None:
    while not readiness.ready:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def fail(readiness: Readiness) -> None:
    with readiness.commit():
        raise Unavailable("away")


async def test_a_commit_that_fails_is_known_at_once_and_checked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Answers(USABLE)
    readiness = Readiness(cast("Store", store), Metrics(1))
    monkeypatch.setattr(health, "CHECK_EVERY", NEVER)
    running = asyncio.create_task(readiness.run(lambda: None))
    async with asyncio.timeout(DEADLINE):
        await until_ready(readiness)
        with pytest.raises(Unavailable):
            fail(readiness)
        assert not readiness.ready
        await until_ready(readiness)
    running.cancel()
    assert store.asked == [False, True]


async def test_while_a_commit_does_not_end_it_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    readiness = ready_by(USABLE)
    await turn(readiness)
    ready = []
    with readiness.commit():
        ready.append(readiness.ready)
        monkeypatch.setattr(health, "STALLED_AFTER", 0)
        ready.append(readiness.ready)
        assert failing(readiness) == {"database": "a commit has been under way for more than 0 s"}
    ready.append(readiness.ready)
    assert ready == [True, False, True]


class Spools:
    """As much of a spool as readiness asks."""

    def __init__(self, found: Waiting | Unavailable) -> None:
        self._found = found
        self.waiting = found if isinstance(found, Waiting) else None

    async def check(self) -> Waiting:
        if isinstance(self._found, Unavailable):
            raise self._found
        return self._found


AWAY = Unavailable("away")
HOLDS = Waiting(entries=2, events=30, bytes=400, oldest=5.0)


@pytest.mark.parametrize(
    ("schema", "spool", "serves", "works"),
    [
        (USABLE, HOLDS, True, True),
        (USABLE, AWAY, True, False),
        (AWAY, HOLDS, True, False),
        (AWAY, AWAY, False, False),
        (Schema(CODE + 5, CODE + 1), HOLDS, False, False),
    ],
)
async def test_a_spool_stands_in_for_a_database_for_those_who_serve(
    schema: Schema | Unavailable, spool: Waiting | Unavailable, serves: bool, works: bool
) -> None:
    for stands_in, ready in ((True, serves), (False, works)):
        metrics = Metrics(1)
        readiness = Readiness(
            cast("Store", Answers(schema)), metrics, cast("Spool", Spools(spool)), stands_in=stands_in
        )
        await turn(readiness)
        assert readiness.ready == ready
        assert readiness.database_away == (schema is AWAY)
        usable = metrics.registry.get_sample_value("collector_spool_usable")
        assert usable == (spool is HOLDS)
        (part,) = (part for part in readiness.parts if part.name == "spool")
        assert part.detail == ("2 entries, 30 events, 400 bytes, the oldest 5 s old" if usable else "away")


async def test_a_commit_that_fails_during_a_check_is_not_forgotten() -> None:
    store = Answers(USABLE)
    readiness = Readiness(cast("Store", store), Metrics(1))
    ask = store.check

    async def check(*, writing: bool) -> Schema:
        readiness.commits_fail = readiness.commits_fail or len(store.asked) == 0
        return await ask(writing=writing)

    store.check = check  # type: ignore[method-assign]
    away = []
    for _ in range(2):
        await turn(readiness)
        away.append(readiness.database_away)
    assert (away, store.asked) == ([True, False], [False, True])


def test_before_the_first_check_the_database_is_not_known_to_be_away() -> None:
    """A commit finds out by itself: whoever sends to a process that has just begun is not turned away."""
    assert not ready_by(AWAY).database_away
    assert not ready_by(AWAY).ready
