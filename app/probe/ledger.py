"""The ledger: JSON lines of what was sent and what was answered, written before the one and after the other.

1. A line is handed to the kernel before the request is, by one write without a buffer: whatever becomes of this
   process, no event can be in the collector that the ledger does not know of.
2. An answer's line comes before anything is made of it.
3. Reading back takes the history as far as it goes: a last line that was cut off is no line. A request without an
   answer is unknown.

What a crash of the machine takes from the ledger is not covered: it is not synced.
"""

import os
from pathlib import Path
from typing import Literal, Self

import msgspec

from app.probe.schedule import Plan

Outcome = Literal["ok", "refused", "unknown", "not-sent"]
Odd = Literal["duplicate", "spooled", "refused"]


class LedgerError(Exception):
    """A ledger that cannot be read, or not be begun."""


class Began(msgspec.Struct, frozen=True, kw_only=True, tag="run", tag_field="event"):
    """The first line. `at`: monotonic nanoseconds, as in all lines; `wall`: Unix time in seconds, likewise."""

    plan: Plan
    at: int
    wall: float
    version: str | None = None  # of the collector, as it says


class Sent(msgspec.Struct, frozen=True, kw_only=True, tag="sent", tag_field="event"):
    """A request is about to be sent. `due`: when it should have been; `url`: the place in the plan's list."""

    id: str
    attempt: int
    url: int
    fresh: bool
    due: int
    at: int
    wall: float


class Answered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="answered", tag_field="event"):
    """What came of it. `odd`: the events of a batch, by place, that fared otherwise than the request."""

    id: str
    attempt: int
    at: int
    wall: float
    outcome: Outcome
    status: int | None = None
    retry_after: float | None = None  # seconds
    error: str | None = None  # the class, where there was no answer, or what is wrong with it
    instance: str | None = None
    age: float | None = None  # seconds that the connection had been open, where that is known
    seq: int | None = None
    odd: dict[int, Odd] = {}


class Polled(msgspec.Struct, frozen=True, kw_only=True, tag="ready", tag_field="event"):
    """What /readyz said: `status` None where there was no answer. `since`: when it was asked."""

    url: int
    since: int
    at: int
    status: int | None


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="end", tag_field="event"):
    """The load has ended; nothing new is sent from here on, but what was not acknowledged may be again."""

    at: int
    wall: float


Record = Began | Sent | Answered | Polled | Ended
_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


class Ledger:
    """A history that grows, in memory, and in a new file where there is to be one. Raises LedgerError."""

    def __init__(self, path: Path | None = None) -> None:
        self.records: list[Record] = []
        self._file = None if path is None else _new(path)

    def append(self, record: Record) -> None:
        """Add a line. Raises OSError: a run whose history cannot be written proves nothing."""
        if self._file is not None:
            line = _encode(record) + b"\n"
            while line:
                line = line[os.write(self._file, line) :]
        self.records.append(record)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)


def read(path: Path) -> list[Record]:
    """The lines of a ledger. Raises LedgerError."""
    try:
        *lines, _ = path.read_bytes().split(b"\n")  # what stands after the last line's end was cut off
        records = [_line(text, number) for number, text in enumerate(lines, 1)]
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise LedgerError(f"{path} is no ledger: {error}") from None
    if not records or not isinstance(records[0], Began):
        raise LedgerError(f"{path} is no ledger: it does not begin with a run")
    return records


def _line(text: bytes, number: int) -> Record:
    try:
        return _decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"line {number}: {error}") from None


def _new(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
    except FileExistsError:
        raise LedgerError(f"{path} exists already, and a history is not written over") from None
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}") from None
