"""Group commit: who shares a commit with whom, and that each hears of their own items."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import writer as module
from app.errors import Draining, Overloaded, Unavailable
from app.writer import GroupCommit

DEADLINE = 10.0  # seconds; all of it takes milliseconds
MAX_ITEMS = 5

Writer = GroupCommit[int, str]


class Database:
    """What commits: each call waits for its verdict."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[int], bool]] = []
        self.verdicts: list[asyncio.Future[None]] = []
        self.called = asyncio.Event()

    async def commit(self, items: Sequence[int], alone: bool) -> list[str]:
        verdict = asyncio.get_running_loop().create_future()
        self.calls.append((list(items), alone))
        self.verdicts.append(verdict)
        self.called.set()
        await verdict
        return [f"kept {item}" for item in items]

    async def calls_are(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while len(self.calls) < count:
                self.called.clear()
                await self.called.wait()

    def answer(self, error: Exception | None = None) -> int | None:
        """End the commit that has been under way for longest, if one is; which call it was."""
        call = next((n for n, verdict in enumerate(self.verdicts) if not verdict.done()), None)
        if call is not None and error is None:
            self.verdicts[call].set_result(None)
        elif call is not None and error is not None:
            self.verdicts[call].set_exception(error)
        return call


@dataclass(frozen=True, kw_only=True, slots=True)
class Submit:
    count: int
    alone: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancel:
    place: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    fails: bool


Step = Submit | Cancel | Answer
STEPS = st.lists(
    st.builds(Submit, count=st.integers(0, 7), alone=st.booleans())
    | st.builds(Submit, count=st.integers(1, 3), alone=st.just(value=False))
    | st.builds(Cancel, place=st.integers(0, 9))
    | st.builds(Answer, fails=st.booleans()),
    max_size=30,
)


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(10):
        await asyncio.sleep(0)


def nothing() -> None:
    """No beat."""


@asynccontextmanager
async def running(writer: Writer, beat: Callable[[], None] = nothing) -> AsyncIterator[asyncio.Task[None]]:
    loop = asyncio.create_task(writer.run(beat))
    try:
        yield loop
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


def submitted(writer: Writer, *items: int, alone: bool = False) -> "asyncio.Future[Sequence[str]]":
    return writer.submit(items, size=10, alone=alone)


class Play:
    """Steps in their order, and then the end: everything that waits is committed."""

    def __init__(self, beside_from: float) -> None:
        self.database = Database()
        self.writer = Writer(self.database.commit, max_items=MAX_ITEMS, beside_from=beside_from)
        self.submissions: list[tuple[list[int], bool, asyncio.Future[Sequence[str]]]] = []
        self.failed: set[int] = set()  # calls
        self.items = 0

    async def run(self, steps: list[Step]) -> None:
        loop = asyncio.create_task(self.writer.run(nothing))
        for step in steps:
            self.take(step)
            await settle()
        self.writer.close()
        async with asyncio.timeout(DEADLINE):
            while not loop.done():
                self.database.answer()
                await settle()
        await asyncio.gather(loop, *(task for _, _, task in self.submissions), return_exceptions=True)

    def take(self, step: Step) -> None:
        match step:
            case Submit():
                items = list(range(self.items, self.items + step.count))
                self.items += step.count
                self.submissions.append((items, step.alone, submitted(self.writer, *items, alone=step.alone)))
            case Cancel() if step.place < len(self.submissions):
                self.submissions[step.place][2].cancel()
            case Answer(fails=True):
                failed = self.database.answer(Unavailable("away", outcome="not_kept"))
                self.failed |= set() if failed is None else {failed}
            case Answer():
                self.database.answer()


def call_of(play: Play, items: list[int]) -> int | None:
    return next((n for n, (group, _) in enumerate(play.database.calls) if items and items[0] in group), None)


@given(STEPS, st.sampled_from([math.inf, 1, 4]))
def test_nothing_is_lost_reordered_or_mixed_whatever_happens(steps: list[Step], beside_from: float) -> None:
    play = Play(beside_from)
    asyncio.run(play.run(steps))
    assert [item for group, _ in play.database.calls for item in group] == list(range(play.items))
    for items, alone, task in play.submissions:
        call = call_of(play, items)
        if call is not None:
            group, flag = play.database.calls[call]
            assert flag == alone
            assert set(items) <= set(group)
            assert not alone or items == group
            assert len(group) <= max(MAX_ITEMS, len(items))
        if task.cancelled():
            continue
        if call in play.failed:
            assert isinstance(task.exception(), Unavailable)
        elif call is not None:
            assert task.result() == [f"kept {item}" for item in items]
    assert (play.writer.waiting, play.writer.waiting_bytes) == (0, 0)


async def test_a_lone_submission_waits_for_nobody() -> None:
    database = Database()
    writer = Writer(database.commit)
    async with running(writer):
        answer = submitted(writer, 1, 2)
        await database.calls_are(1)
        database.answer()
        assert await answer == ["kept 1", "kept 2"]


async def test_while_one_commit_is_under_way_the_next_group_forms() -> None:
    database = Database()
    writer = Writer(database.commit)
    async with running(writer):
        first = submitted(writer, 1)
        await database.calls_are(1)
        others = [submitted(writer, item) for item in (2, 3, 4)]
        await settle()
        assert writer.waiting == 4
        database.answer()
        await database.calls_are(2)
        database.answer()
        assert [await one for one in (first, *others)] == [["kept 1"], ["kept 2"], ["kept 3"], ["kept 4"]]
    assert database.calls == [([1], False), ([2, 3, 4], False)]


async def test_once_very_much_waits_a_second_commit_goes_beside_the_first() -> None:
    database = Database()
    writer = Writer(database.commit, beside_from=3)
    async with running(writer):
        first = submitted(writer, 1)
        await database.calls_are(1)
        others = [submitted(writer, item) for item in (2, 3)]
        await settle()
        assert len(database.calls) == 1
        others += [submitted(writer, 4)]
        await database.calls_are(2)
        last = [submitted(writer, item) for item in (5, 6, 7, 8)]
        await settle()
        assert len(database.calls) == 2, "two at once are enough"
        for _ in range(3):
            database.answer()
            await settle()
        assert [await one for one in (first, *others, *last)] == [[f"kept {n}"] for n in range(1, 9)]
    assert database.calls == [([1], False), ([2, 3, 4], False), ([5, 6, 7, 8], False)]


async def test_one_that_stands_alone_parts_those_before_and_after() -> None:
    database = Database()
    writer = Writer(database.commit)
    waiting = [submitted(writer, item, alone=item == 3) for item in (1, 2, 3, 4, 5)]
    await settle()
    async with running(writer):
        for call in (1, 2, 3):
            await database.calls_are(call)
            database.answer()
        await asyncio.gather(*waiting)
    assert database.calls == [([1, 2], False), ([3], True), ([4, 5], False)]


async def test_a_failure_reaches_every_waiter_of_its_group_and_no_other() -> None:
    database = Database()
    writer = Writer(database.commit)
    waiting = [submitted(writer, 1), submitted(writer, 2)]
    await settle()
    async with running(writer):
        await database.calls_are(1)
        later = submitted(writer, 3)
        database.answer(Unavailable("away", outcome="unknown"))
        for one in waiting:
            with pytest.raises(Unavailable, match="away"):
                await one
        await database.calls_are(2)
        database.answer()
        assert await later == ["kept 3"]


async def test_what_a_waiter_that_left_had_submitted_is_still_committed() -> None:
    database = Database()
    writer = Writer(database.commit)
    gone, stays = submitted(writer, 1), submitted(writer, 2)
    await settle()
    gone.cancel()
    async with running(writer):
        await database.calls_are(1)
        database.answer()
        assert await stays == ["kept 2"]
    assert database.calls == [([1, 2], False)]
    assert gone.cancelled()


@pytest.mark.parametrize(("items", "size"), [(3, 1), (1, 91)])
async def test_past_its_bounds_the_answer_is_no_at_once(items: int, size: int) -> None:
    writer = Writer(Database().commit, max_waiting=3, max_waiting_bytes=100)
    first = submitted(writer, 0)
    await settle()
    with pytest.raises(Overloaded) as caught:
        await writer.submit(range(items), size=size)
    assert caught.value.outcome == "not_kept"
    assert (writer.waiting, writer.waiting_bytes) == (1, 10)
    first.cancel()


async def test_after_a_failure_there_is_room_again() -> None:
    database = Database()
    writer = Writer(database.commit, max_waiting=1)
    async with running(writer):
        first = submitted(writer, 1)
        await database.calls_are(1)
        database.answer(Unavailable())
        await asyncio.gather(first, return_exceptions=True)
        again = submitted(writer, 2)
        await database.calls_are(2)
        database.answer()
        assert await again == ["kept 2"]


async def test_once_closed_it_takes_nothing_commits_what_waits_and_ends() -> None:
    database = Database()
    writer = Writer(database.commit)
    waiting = submitted(writer, 1)
    await settle()
    writer.close()
    with pytest.raises(Draining) as caught:
        await writer.submit([2], size=1)
    assert caught.value.outcome == "not_kept"
    async with running(writer) as loop, asyncio.timeout(DEADLINE):
        await database.calls_are(1)
        database.answer()
        await loop
    assert await waiting == ["kept 1"]


async def test_a_loop_that_is_ended_leaves_nobody_waiting() -> None:
    database = Database()
    writer = Writer(database.commit)
    async with running(writer), asyncio.timeout(DEADLINE):
        committing = submitted(writer, 1)
        await database.calls_are(1)
        waiting = submitted(writer, 2)
        await settle()
    outcomes = [await asyncio.gather(one, return_exceptions=True) for one in (committing, waiting)]
    assert [error.outcome for [error] in outcomes if isinstance(error, Draining)] == ["unknown", "not_kept"]
    with pytest.raises(Draining):
        await writer.submit([3], size=1)


async def test_an_idle_loop_shows_that_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_TURN", 0.001)
    beats = asyncio.Queue[None]()
    async with running(Writer(Database().commit), lambda: beats.put_nowait(None)), asyncio.timeout(DEADLINE):
        for _ in range(3):
            await beats.get()
