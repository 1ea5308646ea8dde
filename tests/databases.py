"""Databases: a fresh one for each test, copied from a template that is migrated once a server."""

import secrets
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from tests.child import clean_environment

ROOT = Path(__file__).parents[1]
CONNECT_TIMEOUT = 10.0  # seconds
MIGRATE_TIMEOUT = 60.0  # seconds


async def execute(url: str, statement: str) -> None:
    """Run one statement on a connection of its own. Raises asyncpg.PostgresError, OSError."""
    connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def create_database(server: str, *, template: str = "template1") -> str:
    """Create a database on the server of this URL; gives the URL of the new one."""
    name = f"collector_test_{secrets.token_hex(6)}"
    await execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    return urlsplit(server)._replace(path=f"/{name}").geturl()


async def drop_database(server: str, url: str) -> None:
    """Drop the database of `url`, whoever is connected to it."""
    await execute(server, f"DROP DATABASE IF EXISTS {database_name(url)} WITH (FORCE)")


def database_name(url: str) -> str:
    """Give the name of the database that a URL names."""
    return urlsplit(url).path.removeprefix("/")


def migrate(url: str, *, code: Path = ROOT) -> None:
    """Bring the schema in by `python -m app migrate` of this folder. Raises RuntimeError with what it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "migrate"],
        cwd=code,
        env={**clean_environment(), "POSTGRES_CONNECTION_STRING": url},
        capture_output=True,
        text=True,
        timeout=MIGRATE_TIMEOUT,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"`app migrate` ended with exit code {done.returncode}\n{done.stdout}{done.stderr}")
