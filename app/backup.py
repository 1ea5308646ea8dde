"""`collector backup FILE` and `collector restore FILE`: the embedded database, as it is at one moment. sqlite3.

A backup is one file without anything beside it, complete once it bears its name, and may be made while the
collector serves. Restoring needs the collector to be away: what it had stays in a file of its own.
"""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from app.durable import sync
from app.settings import Settings
from app.store import CODE

BUSY_SECONDS = 5.0  # for the collector, which lets others in between two commits
POSTGRES = "this is for SQLite alone; PostgreSQL brings its own: pg_dump, pg_basebackup"

Say = Callable[[str], None]


class _NotDone(Exception):
    """Nothing was changed; the message says why."""


def backup(settings: Settings, target: Path, say: Say) -> int:
    """Write the database as it is now to `target`, in place of what bears that name. Returns the exit code."""
    return _told(settings, say, lambda: _backup(settings.sqlite_path, target))


def restore(settings: Settings, source: Path, say: Say) -> int:
    """Put a backup in the place of the database, which stays as `….before`. Returns the exit code."""
    return _told(settings, say, lambda: _restore(source, settings.sqlite_path))


def _told(settings: Settings, say: Say, act: Callable[[], str]) -> int:
    if settings.postgres_connection_string is not None:
        say(POSTGRES)
        return 2
    try:
        say(act())
    except (_NotDone, OSError, sqlite3.Error) as error:
        say(f"not done: {error}")
        return 1
    return 0


def _backup(path: Path, target: Path) -> str:
    if not path.is_file():
        raise _NotDone(f"there is no database {path}")
    with _replacing(target) as new:
        with _opened(path) as source, _opened(new) as copy:
            source.backup(copy)
            # So that nothing beside the file belongs to it.
            copy.execute("PRAGMA journal_mode = DELETE")
        held = _examined(new)
    return f"{target}: {held}"


def _restore(source: Path, path: Path) -> str:
    if not source.is_file():
        raise _NotDone(f"there is no backup {source}")
    held = _examined(source)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as new:
        shutil.copyfile(source, new)
        kept = _put_aside(path)
    return f"{path}: {held}{kept}"


def _put_aside(path: Path) -> str:
    if not path.exists():
        return ""
    before = path.with_name(f"{path.name}.before")
    with _opened(path) as current:
        try:
            # Takes in what lies beside the file, and fails while anybody else has it open.
            current.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            raise _NotDone(f"{path} is in use ({error}): stop the collector first") from error
    path.replace(before)
    return f"; what was there is {before}"


def _examined(file: Path) -> str:
    """What a backup holds. Raises _NotDone where it is none, or broken, or of a newer version."""
    with _opened(file) as database:
        try:
            (broken,) = database.execute("PRAGMA quick_check(1)").fetchone()
            (min_code,) = database.execute("SELECT min_code FROM schema_version").fetchone()
            (count, last) = database.execute("SELECT count(*), max(seq) FROM events").fetchone()
        except sqlite3.DatabaseError as error:
            raise _NotDone(f"{file} is no database of a collector: {error}") from error
    if broken != "ok":
        raise _NotDone(f"{file} is broken: {broken}")
    if min_code > CODE:
        raise _NotDone(f"{file} needs a newer version of the collector")
    return f"{count} events, the last of them {last}" if count else "no events"


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        yield connection


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A new file that takes this name at the end, whole and on disk; nothing is left of it if that fails."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        yield new
        sync(new)
        new.replace(path)
        sync(path.parent)
    finally:
        new.unlink(missing_ok=True)
