"""The cache: what is served was read, or found unchanged, after the request had come."""

import asyncio
import time

import pytest

from app.cache import KEPT_SECONDS, MAX_PAGES, CachedPage, Pages, Shared


class Log:
    """A log of which only the version and the reads are seen; `gate` holds back whoever asks or reads."""

    def __init__(self) -> None:
        self.version = 1
        self.asked = 0
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.settled = True

    async def ask(self) -> str:
        self.asked += 1
        answer = str(self.version)
        await self.gate.wait()
        return answer

    async def read(self) -> CachedPage:
        self.reads += 1
        version = self.version
        await self.gate.wait()
        body = b"page %d" % version
        return CachedPage(body, (), f'"{version}"', str(version) if self.settled else None, time.monotonic())


async def turns() -> None:
    """Let every task that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_comes_while_a_question_is_asked_waits_for_the_next() -> None:
    log = Log()
    shared = Shared(log.ask)
    log.gate.clear()
    first = shared.get()
    await turns()
    log.version = 2  # committed after the first question, before the second reader came
    others = [shared.get() for _ in range(50)]
    await turns()
    log.gate.set()
    assert await first == "1"
    assert await asyncio.gather(*others) == ["2"] * 50
    assert log.asked == 2


async def test_a_question_that_fails_fails_for_its_group_alone() -> None:
    away = [True, False]

    async def ask() -> int:
        if away.pop(0):
            raise ValueError("away")
        return 7

    shared = Shared(ask)
    with pytest.raises(ValueError, match="away"):
        await shared.get()
    assert await shared.get() == 7


async def test_a_reader_that_gives_up_takes_nobody_with_it() -> None:
    log = Log()
    shared = Shared(log.ask)
    log.gate.clear()
    leaver, stayer = shared.get(), shared.get()
    await turns()
    leaver.cancel()
    log.gate.set()
    assert await stayer == "1"


async def test_a_page_is_read_once_while_nothing_is_committed() -> None:
    log = Log()
    pages = Pages(log.ask)
    assert {(await pages.get(b"k", log.read)).body for _ in range(5)} == {b"page 1"}
    assert log.reads == 1


async def test_a_commit_makes_it_read_again() -> None:
    log = Log()
    pages = Pages(log.ask)
    await pages.get(b"k", log.read)
    log.version = 2
    assert (await pages.get(b"k", log.read)).body == b"page 2"


async def test_a_page_read_while_a_commit_was_under_way_is_not_kept() -> None:
    log = Log()
    log.settled = False
    pages = Pages(log.ask)
    await pages.get(b"k", log.read)
    await pages.get(b"k", log.read)
    assert log.reads == 2


async def test_many_readers_share_one_read() -> None:
    log = Log()
    pages = Pages(log.ask)
    log.gate.clear()
    first = asyncio.create_task(pages.get(b"k", log.read))
    await turns()
    others = [asyncio.create_task(pages.get(b"k", log.read)) for _ in range(50)]
    await turns()
    log.gate.set()
    assert len(await asyncio.gather(first, *others)) == 51
    assert log.reads == 2  # the first one's, which had begun before the others came, and theirs


async def test_pages_are_told_apart_by_their_keys_and_the_oldest_go() -> None:
    log = Log()
    pages = Pages(log.ask)
    for n in range(MAX_PAGES + 1):
        await pages.get(b"%d" % n, log.read)
    assert log.reads == MAX_PAGES + 1
    await pages.get(b"%d" % MAX_PAGES, log.read)
    assert log.reads == MAX_PAGES + 1
    await pages.get(b"0", log.read)
    assert log.reads == MAX_PAGES + 2


async def test_a_page_is_dropped_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    pages = Pages(log.ask)
    await pages.get(b"k", log.read)
    now = time.monotonic() + KEPT_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: now)
    await pages.get(b"k", log.read)
    assert log.reads == 2
