"""Spooling: what tests ask of collectors that spool and of workers that drain."""

import asyncio
import json
from collections.abc import Callable

import redis

from app.spool import ENTRIES
from tests.faults.conftest import Env
from tests.faults.wire import Answer, ask, event
from tests.process import CollectorProcess

PATIENCE = 60.0  # seconds for what has to come true; it takes a few, so this is for a machine under load


async def part(process: CollectorProcess, name: str) -> tuple[bool, str]:
    """A part of what /readyz?verbose says: whether it is well, and in words."""
    found = (await ask(process.port, "GET", "/readyz?verbose")).document["parts"].get(name, {})
    return bool(found.get("ok")), str(found.get("detail"))


async def metric(process: CollectorProcess, name: str) -> float:
    text = (await ask(process.port, "GET", "/metrics")).body.decode()
    return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1])


async def until_part(process: CollectorProcess, name: str, *, ok: bool = True, says: str = "") -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await part(process, name)
            if found[0] is ok and says in found[1]:
                return
            await asyncio.sleep(0.05)


async def until_metric(process: CollectorProcess, name: str, right: Callable[[float], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            if right(await metric(process, name)):
                return
            await asyncio.sleep(0.1)


async def post_away(process: CollectorProcess, source: str, *ids: str, **headers: str) -> list[Answer]:
    """One event after the other, once the database is known to be away."""
    await until_part(process, "database", ok=False)
    return [await ask(process.port, "POST", "/events", event(source, one), **headers) for one in ids]


async def read(process: CollectorProcess, source: str) -> list[dict[str, object]]:
    """What can be read of a source, oldest first."""
    answer = await ask(process.port, "GET", f"/events?source={source}&order=asc&limit=1000")
    assert answer.status == 200, answer
    found: list[dict[str, object]] = json.loads(answer.body)
    return found


async def drained(env: Env) -> None:
    with redis.Redis.from_url(env["SPOOL_URL"]) as client:
        async with asyncio.timeout(PATIENCE):
            while True:
                if client.xlen(ENTRIES) == 0:
                    return
                await asyncio.sleep(0.05)
