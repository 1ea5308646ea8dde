"""Progress: one line on standard error that is written over where somebody watches, else a line now and then."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

QUIET_EVERY = 10  # seconds between two lines where nobody watches
WIDTH = 79


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Gives what tells how it goes."""
    watched, last = sys.stderr.isatty(), 0.0

    def say(text: str) -> None:
        nonlocal last
        if watched:
            print(f"\r\033[K{text[:WIDTH]}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - last > QUIET_EVERY:
            last = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    try:
        yield say
    finally:
        if watched:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
