"""What is seen on a terminal, and what a pipe gets: plain text where nobody looks. rich."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

CONTROL = "�"  # in the place of what would move the cursor, or reorder the text around it


def safe(text: str) -> str:
    """Text of others on one line: what could not be printed is marked."""
    return text if text.isprintable() else "".join(one if one.isprintable() else CONTROL for one in text)


def out() -> Console:
    """Standard output; colours on a terminal alone, and none where NO_COLOR is set."""
    return Console(highlight=False, markup=False, emoji=False)


def err() -> Console:
    """Standard error, likewise."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


Counted = TypeVar("Counted")


class Bar:
    """How far long work is; `say` writes a line above it."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, steps: int) -> None:
        """So many more are done."""
        self._progress.advance(self._task, steps)

    def counted(self, one: Counted) -> Counted:
        """The same; it is done."""
        self.advance(1)
        return one

    def say(self, line: str, style: str = "") -> None:
        """A line on standard error."""
        self._progress.console.print(safe(line), style=style, soft_wrap=True)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Bar]:
    """A bar on standard error while this lasts, if that is a terminal; `total` where it is known."""
    console = err()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn() if total is not None else TextColumn("{task.completed:,.0f}"),
        TextColumn("{task.fields[what]}"),
        TimeElapsedColumn(),
        *([TimeRemainingColumn()] if total is not None else []),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        yield Bar(shown, shown.add_task(what, total=total, what="events"))


def write(line: bytes) -> None:
    """To standard output, as it is."""
    sys.stdout.buffer.write(line)


def hush() -> None:
    """Whoever read standard output has left: let nothing be written there any more."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
