"""Fill: a log of any size, spread over days and sources as a real one is, brought in by COPY."""

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import asyncpg

from tests.bench.limits import COLUMNS, DAY, EPOCH, Row, connect
from tests.bench.rounds import say

DAYS = 10  # today included
CHUNK = 50_000  # rows
SOURCES = 200  # of which one is frequent and one is rare
FREQUENT, RARE = "frequent", "rare"
FREQUENT_OF_TEN = 3
RARE_ROWS = 20
BYTES_PER_ROW = 700  # on disk at most, with all indexes and the log of the copy


async def fill(url: str, rows: int) -> None:
    """Fill an empty log; every second event has an identity. The tables are vacuumed, as autovacuum would do."""
    connection = await connect(url)
    try:
        for day in range(DAYS):
            await _fill_day(connection, _days_ago(DAYS - 1 - day), rows // DAYS)
            say(f"filled {(day + 1) * rows // DAYS:,} of {rows:,} rows")
        await connection.execute("SELECT setval('event_seq', (SELECT max(seq) FROM events))")
        for table in ("events", "event_ids"):
            await connection.execute(f"VACUUM (ANALYZE) {table}")
    finally:
        await connection.close()


async def take_back(url: str, last: int) -> None:
    """Remove what was added after the number `last`."""
    connection = await connect(url)
    try:
        for table in ("events", "event_ids"):
            await connection.execute(f"DELETE FROM {table} WHERE seq > $1", last)
            await connection.execute(f"VACUUM {table}")
    finally:
        await connection.close()


async def last_number(url: str) -> int:
    """The highest number in the log."""
    connection = await connect(url)
    try:
        return int(await connection.fetchval("SELECT max(seq) FROM events"))
    finally:
        await connection.close()


async def _fill_day(connection: asyncpg.Connection, day: date, rows: int) -> None:
    await connection.execute("SELECT collector_add_day($1)", day)
    first = (day - EPOCH.date()).days * DAY
    # Of today only what is over: numbers are times.
    end = min(first + DAY, (datetime.now(UTC) - EPOCH) // timedelta(microseconds=1))
    step = max(1, (end - first) // rows)
    for start in range(0, rows, CHUNK):
        numbers = range(start, min(start + CHUNK, rows))
        events = _events(numbers, first, step, rare_every=max(1, rows * DAYS // RARE_ROWS))
        await connection.copy_records_to_table("events", records=events, columns=COLUMNS)
        ids = [
            (secrets.token_bytes(16), secrets.token_bytes(16), first + number * step) for number in numbers[::2]
        ]
        await connection.copy_records_to_table("event_ids", records=ids)


def _events(numbers: range, first: int, step: int, *, rare_every: int) -> Iterator[Row]:
    for number in numbers:
        seq = first + number * step
        moment = EPOCH + timedelta(microseconds=seq)
        data = json.dumps({"version": f"1.4.{number % 100}", "commit": f"{number:010x}", "by": "ci"})
        id_ = f"{secrets.token_hex(4)}-0000-7000-8000-{secrets.token_hex(6)}"
        yield seq, moment, moment, _source(number, rare_every), "deploy", id_, f"build-{number % 5000}", data


def _source(number: int, rare_every: int) -> str:
    if number % rare_every == rare_every // 2:
        return RARE
    return FREQUENT if number % 10 < FREQUENT_OF_TEN else f"web-{number % (SOURCES - 2):03}"


def _days_ago(days: int) -> date:
    return datetime.now(UTC).date() - timedelta(days=days)
