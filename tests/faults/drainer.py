"""A drain that can be killed: `python -m tests.faults.drainer POSTGRES_URL SPOOL_URL EVENTS_AT_ONCE`."""

import asyncio
import sys

from app.drain import Drain
from app.metrics import Metrics
from app.spool import Spool
from app.store.postgres import PostgresStore


async def main(postgres_url: str, spool_url: str, group: str) -> None:
    """Drain until killed."""
    store = PostgresStore(postgres_url, password=None, pool_size=1, on_unreplicated=lambda: None)
    spool = Spool(spool_url, max_events=1, max_bytes=1)
    drain = Drain(spool, store, Metrics(0), may=lambda: True, group=int(group))
    await drain.run(lambda: None)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
