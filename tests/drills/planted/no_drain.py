"""No drain: SIGTERM ends the process at once.

As of every program that does not ask for the signal. What is under way is cut off, and who comes before the load
balancer has noticed is turned away: a drill that restarts replicas one by one must find errors without retry.
"""

import contextlib
from collections.abc import Iterator

from app.server import Server
from tests.drills.planted import swap


def plant() -> None:
    """Plant it: nobody listens to signals, so that the system's own answer to them holds."""
    swap(Server, "capture_signals", lambda _: _deaf)


@contextlib.contextmanager
def _deaf(_: Server) -> Iterator[None]:
    yield
