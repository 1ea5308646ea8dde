"""All of a query, page by page, in bounded memory: how many events the next page is of."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from app.events import Stored
from app.query import PageQuery
from app.store import Page, Reader

CHUNK_BYTES = 4 * 2**20  # of data that one page of a scan aims at
CHUNK_ROWS = 1000
FIRST_CHUNK = 100  # rows: at most 25 MiB, before the size of the events is known


async def scanned(reader: Reader, query: PageQuery) -> AsyncIterator[Page]:
    """Its pages, until the end that the log had at first: what comes in meanwhile is not waited for."""
    left, rows = query.limit, FIRST_CHUNK
    end = await reader.head()
    while True:
        size = rows if left is None else min(rows, left)
        page = await reader.page(replace(query, limit=size))
        left = None if left is None else left - len(page.events)
        yield page
        if page.last or page.next is None or left == 0 or (query.order == "asc" and page.next >= end):
            return
        query, rows = replace(query, cursor=page.next), _next_chunk(page.events)


def _next_chunk(found: Sequence[Stored]) -> int:
    """Rows for the next page, by the size of those just read."""
    if not found:
        return FIRST_CHUNK
    mean = sum(len(bytes(event.data)) for event in found) / len(found)
    return int(min(max(CHUNK_BYTES / max(mean, 1), 16), CHUNK_ROWS))
