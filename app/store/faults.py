"""PostgreSQL's and the network's errors: which mean that the database is away, and what became of a write."""

import sqlite3

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import Unavailable

# The start of the SQLSTATEs that pass by themselves or with an operator's help, as opposed to a bug of ours:
# connection, resources, in use, operator, system, read-only, serialisation, no schema, no database, no access,
# no right.
_AWAY = ("08", "53", "55", "57", "58", "25006", "40", "42P01", "3D000", "3F000", "28", "42501", "F0", "XX")
_SENTENCES = {
    "25006": "the database is read-only: it may be a standby",
    "42P01": "the schema is not there yet",
    "53100": "the database's disk is full",
    "55P03": "the database is locked",
    "57014": "the database took too long",
    "42501": "the database denies our user a right that it needs",
    "28": "the database refuses our user or password",
}


def away(error: BaseException) -> str | None:
    """Why the database cannot answer now, in a sentence; None if the error is not of that sort."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return away(error.orig.__cause__ or error.orig)
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if not state.startswith(_AWAY):
            return None
        return _SENTENCES.get(state) or _SENTENCES.get(state[:2]) or "the database cannot be reached"
    if isinstance(error, sqlite3.OperationalError):
        if "no such table" in str(error):
            return _SENTENCES["42P01"]
        return f"the database file cannot be used: {error}"
    gone = (OSError, TimeoutError, PoolTimeout, asyncpg.InterfaceError, asyncpg.InternalClientError, EOFError)
    return "the database cannot be reached" if isinstance(error, gone) else None


def certain(error: BaseException) -> bool:
    """Whether the server said itself that the statement failed, so that nothing of it was kept.

    A session that is ended (57P01 to 57P03, 08*) may have been ended after its commit.
    """
    return isinstance(error, asyncpg.PostgresError) and not (error.sqlstate or "").startswith(("08", "57P", "XX"))


def problem(error: Exception, *, sent: bool) -> Exception:
    """What a writer is told; an error that is a bug of ours stays what it is. `sent`: the database has seen it."""
    if isinstance(error, Unavailable):
        return Unavailable(error.detail, outcome="not_kept")
    reason = away(error)
    if reason is None:
        return error
    return Unavailable(reason, outcome="unknown" if sent and not certain(error) else "not_kept")


def explain(error: Exception) -> Unavailable | None:
    """The problem that a reader is told."""
    reason = away(error)
    return None if reason is None else Unavailable(reason)
