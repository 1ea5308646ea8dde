"""Pages: the shortcut to a page in memory."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from app.auth import OpenAccess
from app.cache import CachedPage, NoShelf, Pages
from app.pages import PageLane
from app.shortcuts import Reply
from tests.test_cache import Log

KEY = b"source=a"


class Memory:
    """A lane over a log, with the page of version 1 in memory."""

    def __init__(self) -> None:
        self.log = Log()
        self.pages = Pages(self.log.ask)
        nothing: Any = None
        self.lane = PageLane(
            access=OpenAccess(),
            nearest=nothing,
            pages=self.pages,
            shelf=NoShelf(),
            exports=nothing,
            now=lambda: datetime.now(UTC),
        )

    async def read(self) -> CachedPage:
        return await self.pages.get(KEY, self.log.read)

    async def reply(self, headers: Mapping[bytes, bytes]) -> Reply | None:
        look = self.lane.begin(headers, KEY, b"")
        assert look is not None
        await look.answer
        return look.reply()


@pytest.fixture
async def memory() -> Memory:
    memory = Memory()
    await memory.read()
    return memory


async def test_a_page_that_is_still_true_is_given_without_reading(memory: Memory) -> None:
    assert await memory.reply({}) == Reply(200, b"content-length: 6\r\n", b"page 1")
    assert await memory.reply({b"if-none-match": b'"1"'}) == Reply(304, b"", b"")
    assert memory.log.reads == 1


async def test_a_page_that_is_no_longer_true_is_not_given_and_forgotten(memory: Memory) -> None:
    memory.log.version = 2
    assert await memory.reply({}) is None
    assert memory.pages.kept(KEY) is None


async def test_a_newer_page_is_not_forgotten_for_the_older_one(memory: Memory) -> None:
    look = memory.lane.begin({}, KEY, b"")
    assert look is not None
    memory.log.version = 2
    newer = await memory.read()
    assert look.reply() is None
    assert memory.pages.kept(KEY) is newer


@pytest.mark.parametrize(
    ("headers", "query", "body"),
    [
        ({}, b"source=b", b""),
        ({}, KEY, b"{}"),
        ({b"accept": b"text/csv"}, KEY, b""),
        ({b"accept": b"application/x-ndjson"}, KEY, b""),
        ({b"accept": b"*/*;q=0.1"}, KEY, b""),
    ],
)
async def test_anything_else_asks_nothing(
    memory: Memory, headers: dict[bytes, bytes], query: bytes, body: bytes
) -> None:
    asked = memory.log.asked
    assert memory.lane.begin(headers, query, body) is None
    assert memory.log.asked == asked
