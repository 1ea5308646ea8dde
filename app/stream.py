"""Server-Sent Events: the log from a cursor on, and then as it grows."""

import math
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import msgspec

from app.errors import CursorGone, Unavailable
from app.feed import Feed
from app.query import PageQuery
from app.store import Page, Reader

COMMENT_SECONDS = 15.0  # without an event, so that proxies and clients know that the line is alive
RETRY_MS = (500, 3000)  # spread, so that a fleet of readers does not come back all at once
AWAY_SECONDS = 1.0  # between attempts while the database is away
CATCH_UP_SECONDS = 0.05  # until a replica is asked again for what it did not show; then twice as long, and so on
PIECE_BYTES = 64 * 1024  # of frames that are sent at once

_encode = msgspec.json.Encoder().encode


class Lag:
    """How far a reader falls behind: not for having been away, but while it is here.

    It may fall `seconds` further behind than it was at its best. A number is a time in microseconds, or nearly.
    """

    def __init__(self, seconds: float, count: Callable[[], None]) -> None:
        self._seconds = seconds
        self._most = math.inf
        self._count = count

    def exceeded(self, behind: float) -> bool:
        """Whether a reader that is so many numbers behind the end of the log is too slow for it."""
        exceeded = behind > self._most
        self._most = min(self._most, (0 if exceeded else behind) + self._seconds * 1e6)
        if exceeded:
            self._count()
        return exceeded


async def stream(
    reader: Reader, feed: Feed, query: PageQuery, cursor: int, lag: Lag, *, allowed: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Frames for everything that matches after `cursor`, until the feed is closed or it is allowed no longer."""
    yield _retry() + b": from %d\n\n" % cursor
    spoke, catching_up = time.monotonic(), CATCH_UP_SECONDS
    with feed.following():
        while not feed.closed and allowed():
            announced = feed.position
            try:
                page = await reader.page(replace(query, cursor=cursor))
                head = cursor if page.last else await reader.head()
            except CursorGone as gone:
                earliest = int(str(gone.extra["earliest"]))
                yield _gap(cursor, earliest)
                cursor = earliest
            except Unavailable:
                yield b": the database is away\n\n"
                await feed.wait(feed.position, AWAY_SECONDS)
            else:
                for frames in _frames(page):
                    yield frames
                    spoke = time.monotonic()
                catching_up = CATCH_UP_SECONDS if page.events else catching_up
                cursor = page.next if page.next is not None else cursor
                if lag.exceeded(max(0, head - cursor)):
                    yield _gap(cursor, head)
                    cursor = head
                elif page.last:
                    patience = max(0.0, spoke + COMMENT_SECONDS - time.monotonic())
                    if cursor < announced:  # a replica was read, which does not show yet what the feed knows of
                        patience = min(patience, catching_up)
                        catching_up = min(2 * catching_up, AWAY_SECONDS)
                    await feed.wait(max(announced, cursor), patience)
                if time.monotonic() - spoke >= COMMENT_SECONDS:  # also where all the news is of other events
                    yield b":\n\n"
                    spoke = time.monotonic()
        yield _retry()


def _frames(page: Page) -> Iterator[bytes]:
    """In pieces: what a client does not take is held for it, page after page would be much."""
    piece = bytearray()
    for event in page.events:
        piece += b"id: %d\ndata: %b\n\n" % (event.seq, _encode(event))
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _gap(after: int, through: int) -> bytes:
    """What is between the two is left out."""
    return b"id: %d\nevent: gap\ndata: %b\n\n" % (through, _encode({"after": after, "through": through}))


def _retry() -> bytes:
    return b"retry: %d\n" % random.randint(*RETRY_MS)  # noqa: S311 - it spreads readers, it guards nothing
