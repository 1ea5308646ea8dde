"""Limits: what PostgreSQL alone takes, without HTTP: single-row commits by pgbench, and binary COPY.

Both write into the collector's own tables, in databases of their own. Ready-made rows; only COPY itself is timed.
"""

import asyncio
import json
import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from tests.bench import bodies
from tests.bench.samples import Sample
from tests.bench.usage import Usage
from tests.databases import CONNECT_TIMEOUT
from tests.guardian import guardian

COPY_ROWS = 10_000
PGBENCH_CLIENTS = 64  # as many as post to the servers
GRACE = 30.0  # seconds past the load's own end
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000  # µs, which is what numbers are counted in
COLUMNS = ("seq", "received_at", "time", "source", "action", "id", "subject", "data")

Row = tuple[Any, ...]


class Took(NamedTuple):
    """Seconds of the clock, and of this process's CPU."""

    seconds: float
    cpu: float


def today() -> int:
    """The first number of this day."""
    return (datetime.now(UTC) - EPOCH) // timedelta(days=1) * DAY


async def connect(url: str) -> asyncpg.Connection:
    """A connection that takes 16 bytes for a uuid, as the collector's writer does."""
    connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT)
    await connection.set_type_codec("uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")
    return connection


class Copier:
    """Binary COPY of 10,000 rows at a time on one connection, numbered from `first`, or from this day's first.

    `ids`: with their identities, in the same transaction.
    """

    def __init__(self, url: str, *, ids: bool, first: int | None = None) -> None:
        self._url = url
        self._ids = ids
        self._numbers = count(today() if first is None else first)
        self._templates = [_template(n) for n in range(COPY_ROWS)]

    def run(self, seconds: int, database: int) -> Sample:
        """COPY for as long; `database` is PostgreSQL's process."""
        return asyncio.run(self._run(seconds, database))

    async def _run(self, seconds: int, database: int) -> Sample:
        connection = await connect(self._url)
        try:
            start, times = Usage.now(None, database), list[Took]()
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                times.append(await self._copy(connection))
            used = Usage.now(None, database).since(start)
        finally:
            await connection.close()
        rows = COPY_ROWS * len(times)
        return Sample(
            rate=rows / sum(one.seconds for one in times),
            server_cpu=sum(one.cpu for one in times) / rows * 1e6,
            database_cpu=used.database / rows * 1e6,
        )

    async def _copy(self, connection: asyncpg.Connection) -> Took:
        numbers = [next(self._numbers) for _ in self._templates]
        events = [(seq, *rest) for seq, rest in zip(numbers, self._templates, strict=True)]
        ids = [(secrets.token_bytes(16), secrets.token_bytes(16), seq) for seq in numbers] if self._ids else []
        start, cpu = time.perf_counter(), time.process_time()
        async with connection.transaction():
            await connection.copy_records_to_table("events", records=events, columns=COLUMNS)
            if ids:
                await connection.copy_records_to_table("event_ids", records=ids)
        return Took(time.perf_counter() - start, time.process_time() - cpu)


class Pgbench:
    """One INSERT and one commit a row, from as many connections as post to the servers."""

    def __init__(self, program: Path, url: str) -> None:
        self._program = program
        self._url = url
        self._script = guardian().new_folder("pgbench") / "insert.sql"
        self._script.write_text(_insert(bodies.event(0)))

    async def prepare(self) -> None:
        """Make what the script needs."""
        connection = await connect(self._url)
        try:
            await connection.execute(f"CREATE SEQUENCE bench_seq START {today()}")
        finally:
            await connection.close()

    def run(self, seconds: int, database: int) -> Sample:
        """INSERT for as long; `database` is PostgreSQL's process."""
        start = Usage.now(None, database)
        options = ["-n", "-M", "prepared", f"-c{PGBENCH_CLIENTS}", "-j1", f"-T{seconds}", "-f", str(self._script)]
        done = subprocess.run(
            [self._program, *options, self._url],
            capture_output=True,
            text=True,
            timeout=seconds + GRACE,
            check=False,
        )
        used = Usage.now(None, database).since(start)
        return pgbench_told(done.stdout, done.stderr, database_seconds=used.database)


def pgbench_told(output: str, errors: str, *, database_seconds: float) -> Sample:
    """Read pgbench's summary. Raises RuntimeError where there is none."""
    rate = re.search(r"^tps = ([\d.]+)", output, re.MULTILINE)
    rows = re.search(r"actually processed: (\d+)", output)
    failed = re.search(r"failed transactions: (\d+)", output)
    if rate is None or rows is None:
        raise RuntimeError(f"pgbench told nothing:\n{output}{errors}")
    return Sample(
        rate=float(rate[1]),
        bad=int(failed[1]) if failed else 0,
        database_cpu=database_seconds / max(1, int(rows[1])) * 1e6,
    )


def rows(events: Iterator[dict[str, Any]]) -> Iterator[Row]:
    """Events as rows of the log, but for their number."""
    for event in events:
        moment = datetime.fromisoformat(event["time"])
        data = json.dumps(event["data"], separators=(",", ":"))
        id_ = event.get("id") or f"{secrets.token_hex(4)}-0000-7000-8000-{secrets.token_hex(6)}"
        yield moment, moment, event["source"], event["action"], id_, event["subject"], data


def _template(number: int) -> Row:
    return next(rows(iter([bodies.event(number)])))


def _insert(event: dict[str, Any]) -> str:
    return (
        f"INSERT INTO events ({', '.join(COLUMNS)}) VALUES (nextval('bench_seq'), now(), '{event['time']}', "
        f"'{event['source']}', '{event['action']}', gen_random_uuid()::text, '{event['subject']}', "
        f"'{json.dumps(event['data'], separators=(',', ':'))}');\n"
    )
