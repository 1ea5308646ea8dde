"""The spool in figures: `python -m tests.bench.spool`. Answers of 202 beside 201, and how fast it drains."""

import asyncio
import os
import statistics
import time
from collections.abc import Callable
from itertools import chain

import asyncpg
import redis

from app.spool import ENTRIES
from tests.bench.limits import COPY_ROWS, Copier
from tests.binaries import valkey_binary
from tests.databases import migrate
from tests.faults.wire import Wire, event
from tests.process import CollectorProcess
from tests.servers import PostgresServer, RedisServer

ONE_BY_ONE = 300  # requests
CROWD = 32  # connections
EACH = 30  # requests each of them sends
SPOOLED = 100_000  # events
BATCH = 500
COPY_SECONDS = 4


async def posted(port: int, bodies: list[bytes], status: int) -> list[float]:
    """The seconds that each took, one after the other on one connection."""
    wire, took = await Wire.open(port), []
    for body in bodies:
        began = time.perf_counter()
        answer = await wire.ask("POST", "/events", body)
        took.append(time.perf_counter() - began)
        assert answer.status == status, answer
    wire.close()
    return took


async def latencies(port: int, status: int) -> None:
    """Print how long an answer takes, alone and in a crowd."""
    alone = await posted(port, [event("alone", f"{status}/{n}") for n in range(ONE_BY_ONE)], status)
    began = time.perf_counter()
    crowd = await asyncio.gather(
        *(posted(port, [event("crowd", f"{status}/{c}/{n}") for n in range(EACH)], status) for c in range(CROWD))
    )
    rate = CROWD * EACH / (time.perf_counter() - began)
    print(f"{status}: alone {told(alone)}; {CROWD} at once {told([*chain(*crowd)])}, {rate:.0f} a second")


def told(took: list[float]) -> str:
    """Median and 99th percentile."""
    cuts = statistics.quantiles(took, n=100)
    return f"p50 {cuts[49] * 1000:.2f} ms, p99 {cuts[98] * 1000:.2f} ms"


async def filled(port: int) -> None:
    """Spool a hundred thousand events."""
    batches = [
        b"[" + b",".join(event("drained", f"{n}/{m}", data={"n": m}) for m in range(BATCH)) + b"]"
        for n in range(SPOOLED // BATCH)
    ]
    began = time.perf_counter()
    await asyncio.gather(*(posted(port, batches[start::4], 202) for start in range(4)))
    print(
        f"spooled {SPOOLED} events in batches of {BATCH}: {SPOOLED / (time.perf_counter() - began):.0f} a second"
    )


async def emptied(client: redis.Redis, begun: float) -> None:
    """Print how long the spool takes to empty, once there is a database again."""
    entries = int(client.xlen(ENTRIES))
    await until(lambda: int(client.xlen(ENTRIES)) < entries)
    first = time.perf_counter()
    await until(lambda: not client.xlen(ENTRIES))
    end = time.perf_counter()
    print(
        f"database back to spool empty: {end - begun:.2f} s, of which {end - first:.2f} s from the first commit on"
    )
    print(f"drained: {SPOOLED / (end - first):.0f} events a second")


async def until(true: Callable[[], bool]) -> None:
    """Look again and again."""
    while True:
        if true():
            return
        await asyncio.sleep(0.002)


async def main() -> None:
    """Measure once."""
    settings = {"appendonly": "yes", "appendfsync": "always"}
    with PostgresServer() as postgres, RedisServer(settings=settings, binary=valkey_binary()) as spool:
        await asyncio.to_thread(migrate, postgres.url())
        env = {"POSTGRES_CONNECTION_STRING": postgres.url(), "SPOOL_URL": spool.url()}
        with CollectorProcess(env=env) as serve, CollectorProcess(env=env, command="worker") as worker:
            await serve.wait_until_ready()
            await worker.wait_until_ready()
            print(f"PostgreSQL {postgres.install.version}, Valkey {spool.version}")
            await latencies(serve.port, 201)
            worker.pause()
            await asyncio.to_thread(postgres.stop)
            await asyncio.sleep(2)
            await latencies(serve.port, 202)
            await filled(serve.port)
            worker.resume()
            await asyncio.sleep(2)
            await asyncio.to_thread(postgres.start)
            with redis.Redis.from_url(spool.url()) as client:
                await emptied(client, time.perf_counter())
            connection = await asyncpg.connect(postgres.url())
            total = await connection.fetchval("SELECT count(*) FROM events")
            await connection.close()
            # Whose processor time is counted does not matter here.
            copied = await asyncio.to_thread(Copier(postgres.url(), ids=True).run, COPY_SECONDS, os.getpid())
            print(f"{total} events stored; COPY of {COPY_ROWS} rows with ids: {copied.rate:.0f} rows a second")


if __name__ == "__main__":
    asyncio.run(main())
