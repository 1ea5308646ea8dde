"""Upgrade: to the next version of the code, whose first process is there sooner than its schema."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.databases import migrate
from tests.drills import successor
from tests.drills.injectors.postgres import connected
from tests.drills.injectors.processes import hand_over, serving
from tests.drills.injectors.waiting import until
from tests.drills.supervisor import Supervisor
from tests.faults.wire import Cut, ask
from tests.process import CollectorProcess
from tests.servers import PostgresServer

STARTS_WITHIN = 60.0  # seconds
WRITTEN = f"SELECT count(*) FROM events WHERE {successor.COLUMN} = $1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """Where it is done: who serves, from which database; `make` makes a collector of the code in a folder, `wait`
    waits until clients have heard of who is ready.
    """

    supervisor: Supervisor
    server: PostgresServer
    folder: Path
    make: Callable[[Path], CollectorProcess]
    wait: Callable[[], Awaitable[None]]


async def upgrade(site: Site, lasts: float) -> str | None:
    """Start one too early, which has to wait; migrate; replace all that serve, one after the other."""
    place = await asyncio.to_thread(successor.make, site.folder)
    names = serving(site.supervisor)
    early = site.make(place)
    first = site.supervisor.add(f"{names[0]}'", early)
    waits = await until(partial(_lacks_its_schema, early.port), STARTS_WITHIN)
    if not waits or first.ready:
        raise AssertionError("ready before its schema was there, or never there")
    await asyncio.to_thread(migrate, site.server.url(), code=place)
    make = partial(site.make, place)
    codes = [await hand_over(site.supervisor, name, make=make, wait=site.wait) for name in names]
    if not await until(partial(_has_written, site.server)):
        return None
    return f"not ready before the migration; {len(codes)} replaced; they left with {', '.join(map(str, codes))}"


async def _lacks_its_schema(port: int) -> bool:
    try:
        answer = await ask(port, "GET", "/readyz?verbose")
    except (OSError, Cut):
        return False
    parts = answer.document.get("parts", {})
    return answer.status == 503 and [name for name, part in parts.items() if not part["ok"]] == ["schema"]


async def _has_written(server: PostgresServer) -> bool:
    """Whether the next version has filled the column that only it knows of."""
    async with connected(server) as connection:
        return bool(await connection.fetchval(WRITTEN, successor.MARK))
