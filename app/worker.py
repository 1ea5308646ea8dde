"""The background work: room for the days ahead, retention, news from other replicas, lines about refusals."""

import asyncio
from collections.abc import Callable

from app.errors import Unavailable
from app.feed import Feed, News
from app.health import Beat
from app.logs import Refusals, log
from app.metrics import Metrics
from app.store import Leader, Store

UPKEEP_EVERY = 600.0  # seconds
UPKEEP_AGAIN = 10.0  # seconds, after a turn that failed
TELL_EVERY = 1.0  # seconds
LEAD_EVERY = 1.0  # seconds: well below what the leader's session may be idle
COUNT_EVERY = 5.0  # seconds
ROLL_EVERY = 5.0  # seconds: what came in meanwhile is counted anew by everyone who asks for the sources


async def upkeep(store: Store, metrics: Metrics, retention_days: int, beat: Beat) -> None:
    """Keep the log in shape. Every replica does it; the database lets one at a time."""
    dropped = None
    while True:
        beat()
        pause = UPKEEP_EVERY
        try:
            found = await store.maintain(retention_days)
        except Unavailable as problem:
            # A turn that failed is a turn: what is wrong with the database is the readiness check's to say.
            log.debug("upkeep put off", reason=problem.detail)
            pause = UPKEEP_AGAIN
        else:
            if found.days_ahead is not None:
                metrics.days_ahead.set(found.days_ahead)
            if dropped is not None and found.dropped_through > dropped:
                log.info("retention dropped events", through=found.dropped_through, days=retention_days)
            dropped = found.dropped_through
        await asyncio.sleep(pause)


async def roll_up(store: Store, beat: Beat) -> None:
    """Sum up what was committed. Every replica does it; the database lets one at a time."""
    while True:
        beat()
        more = False
        try:
            more = await store.roll_up()
        except Unavailable as problem:
            log.debug("rollup put off", reason=problem.detail)
        await asyncio.sleep(0 if more else ROLL_EVERY)


async def listen(store: Store, feed: Feed, news: News, beat: Beat) -> None:
    """Notice what other processes committed, while somebody follows."""
    heard = None
    while True:
        beat()
        if feed.followers and (heard is None or heard > feed.position):
            try:
                feed.reach(await store.reader.head())
            except Unavailable as problem:
                log.debug("news put off", reason=problem.detail)
        heard = await news.wait()


async def tell(refusals: Refusals, beat: Beat) -> None:
    """Write the lines about refused requests."""
    while True:
        beat()
        refusals.flush()
        await asyncio.sleep(TELL_EVERY)


async def lead(leader: Leader, metrics: Metrics, beat: Beat) -> None:
    """Be the leader, or stand by to become it."""
    led = False
    while True:
        beat()
        try:
            await leader.turn()
        except Unavailable as problem:
            log.debug("lead put off", reason=problem.detail)
        if leader.holds != led:
            led = leader.holds
            log.info("leading: this process drains the spool" if led else "leading no longer")
        metrics.leader.set(led)
        await asyncio.sleep(LEAD_EVERY)


async def count_letters(store: Store, tell_count: Callable[[int], None], beat: Beat) -> None:
    """Keep the number of dead letters in sight."""
    while True:
        beat()
        try:
            tell_count(await store.letters.count())
        except Unavailable as problem:
            log.debug("dead letters not counted", reason=problem.detail)
        await asyncio.sleep(COUNT_EVERY)
