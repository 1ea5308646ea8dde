"""PostgreSQL: connections of one server, or of the one among several hosts that is wanted."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.urls import bears_password

CONNECT_SECONDS = 1.5
PREPARE_SECONDS = 2.0  # for half a dozen questions, which a server in another region takes 0.2 s each to answer
GOODBYE_SECONDS = 0.5  # SQLAlchemy would give a silent server 2 s to close, on top of what an answer may take

READING = {
    "application_name": "collector reader",
    "statement_timeout": "4000",
    "idle_in_transaction_session_timeout": "5000",
    "random_page_cost": "1.1",
    "jit": "off",
}
CHECKING = {"application_name": "collector check", "statement_timeout": "900", "jit": "off"}
# Of the sequence and the database; a server that is a copy of another has the same.
WHICH = "'event_seq'::regclass::oid, (SELECT oid FROM pg_database WHERE datname = current_database())"
IDENTITY = f"concat_ws('.', (pg_control_system()).system_identifier, {WHICH})"

Preparation = Callable[[asyncpg.Connection], Awaitable[None]]


class _Brief(asyncpg.Connection):  # type: ignore[misc]  # it has no types
    """A connection whose close waits no longer than that for the server."""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's own
        await super().close(timeout=min(timeout or GOODBYE_SECONDS, GOODBYE_SECONDS))


class Dial:
    """`password` is for a connection string that bears none. `wanted`: target_session_attrs of libpq."""

    def __init__(self, dsn: str, *, password: str | None, wanted: str) -> None:
        self._dsn = dsn
        self._password = None if bears_password(dsn) else password  # which the driver would take instead
        self._wanted = wanted

    async def connect(self, settings: Mapping[str, str], *preparations: Preparation) -> asyncpg.Connection:
        """A connection of one's own."""
        connection = await asyncpg.connect(
            self._dsn,
            password=self._password,
            timeout=CONNECT_SECONDS,
            target_session_attrs=self._wanted,
            server_settings=dict(settings),
            connection_class=_Brief,
        )
        try:
            async with asyncio.timeout(PREPARE_SECONDS):
                for prepare in preparations:
                    await prepare(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def pool(self, size: int, settings: Mapping[str, str], *preparations: Preparation) -> AsyncEngine:
        """Connections for reading, made as they are needed."""
        return create_async_engine(
            "postgresql+asyncpg://",
            async_creator=lambda: self.connect(settings, *preparations),
            pool_size=size,
            max_overflow=0,
            pool_timeout=2,
            pool_pre_ping=True,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,  # from errors, and so from the log
        )
