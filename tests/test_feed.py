"""Feed: who waits is woken, whatever comes first."""

import asyncio

import pytest

from app.feed import Feed

LONG = 60.0  # seconds; who waits that long has not been woken
DEADLINE = 10.0  # seconds


async def waiter(feed: Feed, seen: int) -> asyncio.Task[None]:
    waiting = asyncio.create_task(feed.wait(seen, LONG))
    await asyncio.sleep(0)  # it runs until it waits
    return waiting


async def test_all_who_wait_are_woken_by_news() -> None:
    feed = Feed()
    waiting = [await waiter(feed, 0) for _ in range(3)]
    feed.publish(5)
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*waiting)
    assert feed.position == 5


async def test_who_has_not_seen_what_was_announced_does_not_wait() -> None:
    feed = Feed()
    feed.publish(5)
    async with asyncio.timeout(DEADLINE):
        await feed.wait(4, LONG)


async def test_what_was_announced_before_wakes_nobody() -> None:
    feed = Feed()
    feed.publish(5)
    waiting = await waiter(feed, 5)
    for position in (3, 5):
        feed.publish(position)
        await asyncio.sleep(0)
        assert not waiting.done()
    assert feed.position == 5
    feed.publish(6)
    async with asyncio.timeout(DEADLINE):
        await waiting


async def test_each_piece_of_news_wakes_again() -> None:
    feed = Feed()
    async with asyncio.timeout(DEADLINE):
        for position in (1, 2, 3):
            waiting = await waiter(feed, feed.position)
            feed.publish(position)
            await waiting


async def test_without_news_the_wait_ends_by_itself() -> None:
    feed = Feed()
    async with asyncio.timeout(DEADLINE):
        await feed.wait(0, 0.001)


async def test_a_closed_feed_keeps_nobody() -> None:
    feed = Feed()
    waiting = await waiter(feed, 9)
    feed.close()
    async with asyncio.timeout(DEADLINE):
        await waiting
        await feed.wait(9, LONG)
    assert feed.closed


async def test_who_leaves_is_no_longer_counted() -> None:
    feed = Feed()
    with feed.following(), feed.following():
        assert feed.followers == 2
    with pytest.raises(ConnectionError), feed.following():
        raise ConnectionError
    assert feed.followers == 0


async def test_only_what_this_process_committed_is_announced() -> None:
    announced: list[int] = []
    feed = Feed(announced.append)
    feed.reach(7)  # of another process
    feed.publish(6)  # whose commit was found in the database before it was told here
    assert (announced, feed.position) == ([6], 7)
