"""`collector migrate`: once, with a clear end, and patient with a database that is still starting."""

import asyncio
import time

from app.errors import Unavailable
from app.logs import configure, log
from app.settings import Settings
from app.store import CODE
from app.store.choice import open_store

PATIENCE = 30.0  # seconds for the database to come up
PAUSE = 0.5  # seconds


def migrate(settings: Settings) -> int:
    """Migrate. Returns the exit code: 0 done, 1 the database did not answer in time."""
    configure(settings.log_level, settings.log_format)
    return asyncio.run(_migrate(settings))


async def _migrate(settings: Settings) -> int:
    store = open_store(settings, on_unreplicated=_no_receipt)
    until = time.monotonic() + PATIENCE
    said = ""
    try:
        while True:
            try:
                before = await store.check(writing=False)
                await store.migrate()
            except Unavailable as problem:
                if time.monotonic() > until:
                    log.critical("not migrated", reason=problem.detail)
                    return 1
                if problem.detail != said:
                    log.info("waiting for the database", reason=problem.detail)
                said = problem.detail
                await asyncio.sleep(PAUSE)
            else:
                log.info("migrated", database=store.name, before=before.revision, now=max(before.revision, CODE))
                return 0
    finally:
        await store.close()


def _no_receipt() -> None:
    """Migrations give no receipts: what a standby has not confirmed is applied all the same."""
