"""Migrations: numbered revisions, applied by Alembic under a lock. Expand first, contract a release later.

Imported only by those who migrate, since Alembic takes a while to load.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

MIGRATION_LOCK = 7020  # a session's advisory lock: one migration at a time
LOCK_TIMEOUT = "2s"  # a statement that waits longer than this for a table would make everybody else wait


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Bring the database to `revision`. Several callers wait for each other; those who come late find it done."""
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text(f"SELECT pg_advisory_lock({MIGRATION_LOCK})"))
            await connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        else:
            await connection.execute(text("PRAGMA busy_timeout = 30000"))
            await connection.execute(text("BEGIN IMMEDIATE"))
        await connection.run_sync(_run, revision)
        await connection.commit()


def _run(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


__all__ = ["upgrade"]
