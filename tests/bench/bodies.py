"""Bodies: the events that every contestant is sent, and the same as rows."""

import json
from typing import Any

MARKER = "@" * 24  # load.lua puts an identity of this length in its place
BATCH = 1000  # events
SOURCES = 20  # in a batch
TIME = "2026-01-15T09:30:00Z"


def event(number: int, **more: str) -> dict[str, Any]:
    """An event of about 180 bytes. Its `time` is sent, as most clients do."""
    return {
        "source": f"web-{number % SOURCES:02}",
        "action": "deploy",
        "subject": "checkout",
        "time": TIME,
        "data": {"version": "1.4.2", "commit": f"9f3c2b{number % 1000:04}", "by": "ci", "seconds": 41.5},
        **more,
    }


def single(*, ids: bool) -> bytes:
    """The body of one event; `ids`: with a place for its identity."""
    return _json(event(0, **({"id": MARKER} if ids else {})))


def batch(*, ids: bool) -> bytes:
    """The body of 1,000 events."""
    return _json([event(n, **({"id": f"{MARKER}-{n:04}"} if ids else {})) for n in range(BATCH)])


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
