"""The rollup in figures: `python -m tests.bench.rollup [ROWS]`. What the sources cost before it and with it."""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from app.events import Event
from app.query import Filter, StatsQuery
from app.store import CODE
from app.store.postgres import PostgresStore
from app.store.tables import EPOCH
from tests.bench.fill import fill
from tests.bench.limits import connect
from tests.databases import migrate
from tests.servers import PostgresServer

ROWS = 1_000_000
TURNS = 7
GROUP, GROUPS = 1000, 50

PLAIN = "SELECT source, min(time), max(time), count(*) FROM events GROUP BY source ORDER BY source"
SIZE = "SELECT pg_total_relation_size('source_rollup'), (SELECT count(*) FROM source_rollup)"


async def timed(work: Callable[[], Awaitable[object]], turns: int = TURNS) -> float:
    """The median of its milliseconds."""
    took = []
    for _ in range(turns):
        began = time.perf_counter()
        await work()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


async def roll(store: PostgresStore) -> None:
    """All there is."""
    while await store.roll_up():
        pass


async def keep(store: PostgresStore) -> None:
    """Commit fifty groups."""
    for _ in range(GROUPS):
        group = [
            Event(
                source=f"web-{n % 200}", action="a", id=f"{n}", subject=None, time=None, data=None, identity=None
            )
            for n in range(GROUP)
        ]
        await store.keep(group, strict=False)


async def measure(url: str, rows: int) -> None:
    """Print it all."""
    await fill(url, rows)
    store = PostgresStore(url, password=None, pool_size=2, on_unreplicated=lambda: None)
    assert (await store.check(writing=False)).revision == CODE
    connection = await connect(url)
    plain = await timed(lambda: connection.fetch(PLAIN))
    behind = await timed(store.reader.sources, 1)
    rolling = await timed(lambda: roll(store), 1)
    print(f"{rows:,} rows: GROUP BY of the log {plain:,.0f} ms; nothing summed up yet {behind:,.0f} ms")
    print(f"summed up in {rolling:,.0f} ms, {rolling / rows * 1000:.2f} us a row")
    print(f"GET /sources' statement {await timed(store.reader.sources):,.1f} ms")
    size, sums = await connection.fetchrow(SIZE)
    print(f"{sums:,} sums in {size / 1024:,.0f} KiB")
    kept, rolled, live = [], [], []
    for _ in range(TURNS):
        kept.append(await timed(lambda: keep(store), 1))
        live.append(await timed(store.reader.sources, 1))
        rolled.append(await timed(lambda: roll(store), 1))
    added = GROUP * GROUPS
    share = statistics.median(one / (one + other) for one, other in zip(kept, rolled, strict=True))
    print(
        f"{added:,} more: kept in {statistics.median(kept):,.0f} ms, summed up in {statistics.median(rolled):,.0f}"
    )
    print(
        f"as if one waited for the other: {share:.3f} of the rate; sources meanwhile {max(live):,.0f} ms at most"
    )
    print(f"nothing to sum up: {await timed(store.roll_up, 50):.2f} ms")
    await stats(store)
    await connection.close()
    await store.close()


async def stats(store: PostgresStore) -> None:
    """What `/events/stats` costs, which has no rollup."""
    now = datetime.now(UTC)
    for name, span in (("a day", timedelta(days=1)), ("all days", now - EPOCH)):
        since, step = now - span, max(span / 24, timedelta(hours=1))
        filter_ = Filter(since=since, until=now)
        query = StatsQuery(filter=filter_, by=("source",), step=step, since=since, until=now)
        print(f"stats of {name} by source: {await timed(partial(store.reader.counts, query), 3):,.0f} ms")


def main() -> None:
    """Start a PostgreSQL of one's own."""
    with PostgresServer() as server:
        url = server.url()
        migrate(url)
        asyncio.run(measure(url, int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))


if __name__ == "__main__":
    main()
