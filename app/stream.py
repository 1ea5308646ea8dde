"""Server-Sent Events: the log from a cursor on, and then as it grows."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec

from app.errors import CursorGone, Unavailable
from app.feed import Feed
from app.query import PageQuery
from app.store import Page, Reader

COMMENT_SECONDS = 15.0  # without an event, so that proxies and clients know that the line is alive
RETRY_MS = (500, 3000)  # spread, so that a fleet of readers does not come back all at once
AWAY_SECONDS = 1.0  # between attempts while the database is away

_encode = msgspec.json.Encoder().encode


async def stream(reader: Reader, feed: Feed, query: PageQuery, cursor: int) -> AsyncIterator[bytes]:
    """Frames for everything that matches after `cursor`, until the feed is closed."""
    yield _retry() + b": from %d\n\n" % cursor
    with feed.following():
        while not feed.closed:
            announced = feed.position
            try:
                page = await reader.page(replace(query, cursor=cursor))
            except CursorGone as gone:
                earliest = int(str(gone.extra["earliest"]))
                yield _gap(cursor, earliest)
                cursor = earliest
            except Unavailable:
                yield b": the database is away\n\n"
                await feed.wait(feed.position, AWAY_SECONDS)
            else:
                if page.events:
                    yield _frames(page)
                cursor = page.next if page.next is not None else cursor
                if page.last and not await _news(feed, max(announced, cursor)):
                    yield b":\n\n"
        yield _retry()


async def _news(feed: Feed, seen: int) -> bool:
    await feed.wait(seen, COMMENT_SECONDS)
    return feed.position > seen or feed.closed


def _frames(page: Page) -> bytes:
    return b"".join(b"id: %d\ndata: %b\n\n" % (event.seq, _encode(event)) for event in page.events)


def _gap(after: int, earliest: int) -> bytes:
    """What was between the two is gone."""
    return b"id: %d\nevent: gap\ndata: %b\n\n" % (earliest, _encode({"after": after, "through": earliest}))


def _retry() -> bytes:
    return b"retry: %d\n" % random.randint(*RETRY_MS)  # noqa: S311 - it spreads readers, it guards nothing
