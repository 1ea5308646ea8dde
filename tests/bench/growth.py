"""Growth: the same log at several sizes, side by side; what retention and each index cost."""

import asyncio
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.bench import wrk
from tests.bench.arena import Arena
from tests.bench.bodies import BATCH
from tests.bench.contestants import Server, collector
from tests.bench.fill import BYTES_PER_ROW, DAYS, FREQUENT, RARE, fill, last_number, take_back
from tests.bench.limits import DAY, Copier, connect, today
from tests.bench.parts import FEW, MANY, posting
from tests.bench.rounds import Cell, Pace, interleave, load, say
from tests.bench.samples import Results, Sample
from tests.databases import database_name
from tests.guardian import guardian

COPIED = 1_000_000  # rows; what is tried on copies is tried on a log of this size at most
PURGE_STEP = 5_000  # as the collector does it
INDEXES = ("events_source_seq", "events_time", "event_ids_seq")
KEYS = {"events_pkey": "events", "event_ids_pkey": "event_ids"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Log:
    """A filled log and the collector that serves it; `last` is its highest number."""

    name: str
    rows: int
    url: str
    server: Server
    last: int


def measure(arena: Arena, pace: Pace, sizes: Sequence[int]) -> None:
    """Fill a log for each size, then load them in turns; then the costs of upkeep."""
    logs = [_log(arena, rows) for rows in sizes if _has_room(arena.results, rows)]
    if not logs:
        return
    copied = max((log for log in logs if log.rows <= COPIED), key=lambda log: log.rows, default=None)
    clones = _without_indexes(arena, copied)
    for log in logs:
        arena.enter(log.server)
        arena.databases[log.name] = log.url
    interleave([cell for log in logs for cell in _reads(arena, log)], pace, arena.results)
    interleave([cell for log in logs for cell in _writes(arena, log)], pace, arena.results)
    interleave(_copies(arena, clones), pace, arena.results)
    asyncio.run(_retention(arena.results, logs, copied))


def name_of(rows: int) -> str:
    """Like "100k"."""
    for unit, word in ((1_000_000, "M"), (1_000, "k")):
        if rows % unit == 0:
            return f"{rows // unit}{word}"
    return str(rows)


def _has_room(results: Results, rows: int) -> bool:
    free, needed = shutil.disk_usage(guardian().folder).free, rows * BYTES_PER_ROW
    if enough := free > needed:
        return enough
    reason = f"needs {needed / 1e9:.1f} GB in {guardian().folder.parent}, where {free / 1e9:.1f} are free"
    results.missing[f"a log of {name_of(rows)}"] = reason
    return False


def _log(arena: Arena, rows: int) -> Log:
    url, name = arena.migrated(), name_of(rows)
    asyncio.run(fill(url, rows))
    return Log(name=name, rows=rows, url=url, server=collector(name, url), last=asyncio.run(last_number(url)))


def _reads(arena: Arena, log: Log) -> list[Cell]:
    moment = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=DAYS // 2)
    hour = [f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in (moment, moment + timedelta(hours=1))]
    filters = {
        "grown get": "",
        "grown get rare": f"&source={RARE}",
        "grown get frequent": f"&source={FREQUENT}",
        "grown get time": f"&since={hour[0]}&until={hour[1]}",
    }
    return [
        Cell(measure=measure, contestant=log.name, run=_reading(arena, log, f"/events?limit=50{words}"))
        for measure, words in filters.items()
    ]


def _reading(arena: Arena, log: Log, path: str) -> Callable[[int], Sample]:
    request = wrk.Request(path=path, headers={})
    return load(log.server, lambda: request, connections=MANY, database=arena.database_of(log.server))


def _writes(arena: Arena, log: Log) -> list[Cell]:
    loads = {
        "grown post": posting(arena, log.server, "one"),
        "grown post ids": posting(arena, log.server, "one ids"),
        "grown batch": posting(arena, log.server, "batch ids", connections=FEW, events=BATCH),
    }
    return [Cell(measure=measure, contestant=log.name, run=_undone(log, run)) for measure, run in loads.items()]


def _undone(log: Log, run: Callable[[int], Sample]) -> Callable[[int], Sample]:
    def run_and_take_back(seconds: int) -> Sample:
        sample = run(seconds)
        asyncio.run(take_back(log.url, log.last))
        return sample

    return run_and_take_back


def _without_indexes(arena: Arena, log: Log | None) -> dict[str, str]:
    """Databases that lack one index each, by what they lack."""
    template = {} if log is None else {"template": database_name(log.url)}
    drops = {"all indexes": "SELECT 1"}
    drops |= {f"without {name}": f"DROP INDEX {name}" for name in INDEXES}
    drops |= {f"without {name}": f"ALTER TABLE {table} DROP CONSTRAINT {name}" for name, table in KEYS.items()}
    found = {}
    for name, statement in drops.items():
        found[name] = arena.database(**template) if template else arena.migrated()
        asyncio.run(_timed(found[name], statement))
    return found


def _copies(arena: Arena, databases: dict[str, str]) -> list[Cell]:
    # Into tomorrow, whose numbers nobody has taken.
    copiers = {name: Copier(url, ids=True, first=today() + DAY) for name, url in databases.items()}
    return [
        Cell(
            measure="grown COPY",
            contestant=name,
            run=lambda seconds, copier=copier: copier.run(seconds, arena.database_process),  # type: ignore[misc]
        )
        for name, copier in copiers.items()
    ]


async def _retention(results: Results, logs: Sequence[Log], copied: Log | None) -> None:
    """Take the oldest day away, once: as the collector does it, and row by row in a table without partitions."""
    if copied is not None:
        cut = today() - (DAYS - 2) * DAY
        await _timed(copied.url, "CREATE TABLE plain (LIKE events INCLUDING ALL)")
        await _timed(copied.url, "INSERT INTO plain SELECT * FROM events")
        await _timed(copied.url, "VACUUM (ANALYZE) plain")
        for verb, statement in (("DELETE", f"DELETE FROM plain WHERE seq < {cut}"), ("VACUUM", "VACUUM plain")):
            _note(results, f"{verb} a day of {copied.name}", await _timed(copied.url, statement))
    for log in logs:
        dropped = await _timed(log.url, f"SELECT collector_drop_days({DAYS - 2})")
        _note(results, f"drop a day of {log.name}", dropped)
        _note(results, f"purge its ids of {log.name}", await _purge(log.url))


async def _purge(url: str) -> float:
    connection = await connect(url)
    try:
        start = time.perf_counter()
        while await connection.fetchval("SELECT collector_purge_ids($1)", PURGE_STEP) == PURGE_STEP:
            pass
        return time.perf_counter() - start
    finally:
        await connection.close()


def _note(results: Results, what: str, seconds: float) -> None:
    say(f"{what}: {seconds * 1000:,.0f} ms")
    results.add("retention", what, Sample(p50=seconds * 1000))


async def _timed(url: str, statement: str) -> float:
    connection = await connect(url)
    try:
        start = time.perf_counter()
        await connection.execute(statement)
        return time.perf_counter() - start
    finally:
        await connection.close()
