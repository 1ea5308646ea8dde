"""Collectors with one bug each, for drills that have to notice: a verdict that no bug turns red proves nothing.

A bug is planted by `python -m tests.drills.planted BUG …` in that process alone. Each is what a team could have
written in good faith, and nothing besides: without a fault such a collector does all that a sound one does, or
its file says why not. The folder `compose` has the same for Compose's files.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

BUGS = (
    "early_ack",
    "redis_only",
    "no_identity",
    "serial_cursor",
    "early_delete",
    "liveness_on_database",
    "no_drain",
    "swallowed_error",
)

COMPOSE = Path(__file__).parent / "compose"  # what each says on top of deploy/compose takes a guarantee out of it


def swap(owner: object, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(sound)` in the place of `owner.name`. AttributeError where the code has no such thing any more."""
    setattr(owner, name, make(getattr(owner, name)))
