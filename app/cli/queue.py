"""A queue of events in a file, for when the collector is away. sqlite3.

1. An append is on the disk when it returns: a synchronous commit, of the folder's entry too.
2. Events leave in the order in which they came, by one process at a time (a lock beside the file); others append.
3. An event leaves after the collector's receipt. Who dies between the two leaves it to be sent again under its id.
4. What the collector rejects is put aside in the table `rejected`, with its reason, and holds up nobody.
"""

import fcntl
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.cli.exits import Exit, Stop
from app.cli.incoming import Item
from app.cli.posting import MAX_BYTES, MAX_EVENTS, Poster, Reject, Tally
from app.durable import sync

KIND = 0x636C6C71  # what SQLite's header says of such a file, so that no other one is taken for it
BUSY_SECONDS = 30.0  # for other processes, whose commits take milliseconds
LOCK_POLL = 0.05  # seconds

_LAST = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'waiting'"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS waiting (n INTEGER PRIMARY KEY AUTOINCREMENT, event BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS rejected (n INTEGER PRIMARY KEY, event BLOB NOT NULL, reason TEXT NOT NULL)",
    f"PRAGMA application_id = {KIND}",
)


class Queue:
    """The queue in this file, which is made if there is none. Raises Stop where it is something else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection = _opened(path)
        except (sqlite3.Error, OSError) as error:
            raise Stop(f"the queue {path} cannot be used: {error}", Exit.WRONG) from error

    def append(self, items: Sequence[Item]) -> range:
        """Add them, durably; gives their numbers."""
        with self._transaction():
            (last,) = self._connection.execute(_LAST).fetchone()
            self._connection.executemany("INSERT INTO waiting (event) VALUES (?)", [(one.text,) for one in items])
        return range(last + 1, last + 1 + len(items))

    def waiting(self, numbers: range | None = None) -> int:
        """How many wait: of these, or of all."""
        first, last = (0, 2**62) if numbers is None else (numbers.start, numbers.stop - 1)
        asked = "SELECT count(*) FROM waiting WHERE n BETWEEN ? AND ?"
        found: int = self._connection.execute(asked, (first, last)).fetchone()[0]
        return found

    def rejected(self, numbers: range) -> list[tuple[Item, str]]:
        """Those of these numbers that the collector did not take, and why."""
        asked = "SELECT n, event, reason FROM rejected WHERE n BETWEEN ? AND ? ORDER BY n"
        rows = self._connection.execute(asked, (numbers.start, numbers.stop - 1))
        return [(Item(f"event {n}", event), reason) for n, event, reason in rows]

    def flush(self, poster: Poster, reject: Reject, done: Callable[[int], None]) -> Tally:
        """Send all that waits, in order; `done` hears how many have left. Raises Away, Refused."""
        tally = Tally()
        while batch := self._next():
            reasons: dict[int, str] = {}

            def refuse(one: Item, reason: str, reasons: dict[int, str] = reasons) -> None:
                reasons[int(one.place)] = reason
                reject(one, reason)

            tally += poster.post([Item(str(n), event) for n, event in batch], refuse)
            self._leave(batch, reasons)
            done(len(batch))
        return tally

    @contextmanager
    def sending(self, patience: float) -> Iterator[bool]:
        """Be the one process that sends; False where another one still does after that many seconds."""
        with self._path.with_name(f"{self._path.name}.lock").open("ab") as file:
            yield _locked(file.fileno(), time.monotonic() + patience)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _next(self) -> list[tuple[int, bytes]]:
        rows = self._connection.execute(
            "SELECT n, event FROM waiting ORDER BY n LIMIT ?", (MAX_EVENTS,)
        ).fetchall()
        size = 0
        for index, (_, event) in enumerate(rows):
            size += len(event) + 1
            if size > MAX_BYTES and index:
                return rows[:index]
        return rows

    def _leave(self, batch: Sequence[tuple[int, bytes]], reasons: dict[int, str]) -> None:
        with self._transaction():
            self._connection.executemany(
                "INSERT INTO rejected (n, event, reason) VALUES (?, ?, ?)",
                [(n, event, reasons[n]) for n, event in batch if n in reasons],
            )
            self._connection.executemany("DELETE FROM waiting WHERE n = ?", [(n,) for n, _ in batch])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                yield
        except sqlite3.Error as error:
            raise Stop(f"the queue {self._path} cannot be written: {error}") from error


def _opened(path: Path) -> sqlite3.Connection:
    fresh = not path.exists()
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    # EXTRA syncs the folder too, after the journal is deleted, which is what commits.
    connection.execute("PRAGMA synchronous = EXTRA")
    kind, tables = _seen(connection)
    if kind != KIND:
        if tables:
            raise OSError("it is a database of something else")
        _make(connection)
    if fresh:
        sync(path.parent)
    return connection


def _seen(connection: sqlite3.Connection) -> tuple[int, int]:
    """Whose it is and how many tables it has, both of one moment: another process may be making it."""
    connection.execute("BEGIN")
    with connection:
        kind: int = connection.execute("PRAGMA application_id").fetchone()[0]
        tables: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return kind, tables


def _make(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        for statement in _TABLES:
            connection.execute(statement)


def _locked(file: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(LOCK_POLL)
        else:
            return True
