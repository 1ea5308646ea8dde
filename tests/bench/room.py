"""What events take: `python -m tests.bench.room [EVENTS]`. Bytes for each, in both databases and in the spool, and
memory for each stream that is open. Events come through a collector, with ids, as clients send them.
"""

import asyncio
import json
import secrets
import sys
import tempfile
from pathlib import Path

import redis

from tests.bench.bodies import BATCH, event
from tests.bench.limits import connect
from tests.bench.usage import MEGABYTE, memory
from tests.binaries import valkey_binary
from tests.databases import migrate
from tests.faults.wire import JSON, Wire
from tests.process import CollectorProcess
from tests.servers import PostgresServer, RedisServer

EVENTS = 100_000
SIZES = (0, 1024)  # bytes of a text in `data`, beside the 180 of an event
STREAMS = 500
STARTS_WITHIN = 60.0  # seconds
ON_DISK = {"appendonly": "yes", "appendfsync": "always"}

# Of the days with their indexes, of the identities, and what the database's own log has had written to it.
PARTS = """SELECT sum(pg_relation_size(oid)) FILTER (WHERE relname LIKE 'events%') AS rows,
  sum(pg_indexes_size(oid)) FILTER (WHERE relname LIKE 'events%') AS indexes,
  sum(pg_total_relation_size(oid)) FILTER (WHERE relname = 'event_ids') AS identities,
  (SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn) AS wal FROM pg_class WHERE relkind = 'r'"""


def body(first: int, more: int) -> bytes:
    """A thousand events with ids."""
    events = [event(n, id=f"{first + n:024}") for n in range(BATCH)]
    return json.dumps(
        [{**one, "data": {**one["data"], "note": secrets.token_hex(more // 2)}} for one in events]
    ).encode()


async def sent(port: int, events: int, more: int, status: int = 201) -> None:
    """Send them, a thousand at a time."""
    wire = await Wire.open(port)
    for first in range(0, events, BATCH):
        answer = await wire.ask("POST", "/events", body(first, more), **JSON)
        assert answer.status == status, answer
    wire.close()


async def in_postgres(events: int, more: int) -> None:
    """Print what they take there."""
    with PostgresServer() as postgres:
        await asyncio.to_thread(migrate, postgres.url())
        connection = await connect(postgres.url())
        before = await connection.fetchrow(PARTS)
        with CollectorProcess(env={"POSTGRES_CONNECTION_STRING": postgres.url()}) as serve:
            await serve.wait_until_ready(STARTS_WITHIN)
            await sent(serve.port, events, more)
            used = memory(serve.pid)
        after = await connection.fetchrow(PARTS)
        await connection.close()
    each = {part: float(after[part] - before[part]) / events for part in after.keys()}  # noqa: SIM118 - a record
    print(
        f"PostgreSQL {postgres.install.version}: {told(each)} bytes an event; the collector's memory {used:.0f} MB"
    )


async def in_file(events: int, more: int, folder: Path) -> None:
    """Print what they take in SQLite."""
    path = folder / f"{more}.db"
    with CollectorProcess(env={"SQLITE_PATH": str(path)}) as serve:
        await serve.wait_until_ready(STARTS_WITHIN)
        await sent(serve.port, events, more)
        serve.terminate()
        await serve.wait(STARTS_WITHIN)
    print(f"SQLite: {told({'file': path.stat().st_size / events})} bytes an event")


async def in_spool(events: int, more: int) -> None:
    """Print what they take while there is no database."""
    with PostgresServer() as postgres, RedisServer(settings=ON_DISK, binary=valkey_binary()) as spool:
        await asyncio.to_thread(migrate, postgres.url())
        env = {"POSTGRES_CONNECTION_STRING": postgres.url(), "SPOOL_URL": spool.url()}
        with CollectorProcess(env=env) as serve, redis.Redis.from_url(spool.url()) as client:
            await serve.wait_until_ready(STARTS_WITHIN)
            before = client.info("memory")["used_memory"]
            await asyncio.to_thread(postgres.stop)
            await sent(serve.port, events, more, 202)
            info = {**client.info("memory"), **client.info("persistence")}
    each = {
        "memory": (info["used_memory"] - before) / events,
        "append-only file": info["aof_current_size"] / events,
    }
    print(f"Spool: {told(each)} bytes an event")


async def connected(folder: Path) -> None:
    """Print what one takes that is connected and listens to everything."""
    with CollectorProcess(env={"SQLITE_PATH": str(folder / "streams.db")}) as serve:
        await serve.wait_until_ready(STARTS_WITHIN)
        before, wires = memory(serve.pid), []
        for _ in range(STREAMS):
            wires.append(wire := await Wire.open(serve.port))
            await wire.send(b"GET /events/stream HTTP/1.1\r\nHost: here\r\n\r\n")
            await wire.until(b"\r\n\r\n")
        each = (memory(serve.pid) - before) * MEGABYTE / STREAMS
        for wire in wires:
            wire.close()
    print(f"A stream: {each / 1024:.0f} KiB of memory")


def told(each: dict[str, float]) -> str:
    """Each part with its bytes."""
    return ", ".join(f"{part} {size:.0f}" for part, size in each.items())


async def main(events: int) -> None:
    """Measure once."""
    with tempfile.TemporaryDirectory() as folder:
        for more in SIZES:
            print(f"{events} events of {len(body(0, more)) // BATCH} bytes as sent:")
            await in_postgres(events, more)
            await in_file(events, more, Path(folder))
            await in_spool(events, more)
        await connected(Path(folder))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else EVENTS))
