"""Webhooks of known senders: what a delivery is, and what it tells.

1. A sender is one module here. `signed` says whether a delivery comes from one who knows a secret; it sees the
   bytes as they came, before anything reads them. `told` says what the delivery tells; it is asked only then.
2. Senders decide by the status whether to send again: what is signed is never refused for what it is. An event
   that is not known here gets a name made of the sender's own words.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """A request as it came. `headers`: by their names in lower case."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """An event, in the words of its sender. `id`: the sender's; None: made of the body's digest."""

    action: str
    data: Any
    subject: str | None = None
    time: datetime | None = None
    id: str | None = None


def _as_it_came(delivery: Delivery) -> bytes:
    return delivery.body


@dataclass(frozen=True, kw_only=True, slots=True)
class Sender:
    """One kind of sender."""

    # Delivery, keys, seconds since 1970: whether one of the keys signed it.
    signed: Callable[[Delivery, Sequence[bytes], float], bool]
    # Headers, and what the body's JSON stands for: at least one event.
    told: Callable[[Mapping[str, str], Any], Sequence[Told]]
    # The key that a secret stands for. Raises ValueError, which must not repeat the secret.
    key: Callable[[str], bytes] = str.encode
    # The JSON text in a delivery.
    text: Callable[[Delivery], bytes] = _as_it_came


# What senders call the same thing: one word for each.
_OUTCOMES = {
    "success": "succeeded",
    "completed": "succeeded",
    "failure": "failed",
    "error": "failed",
    "timed_out": "failed",
    "startup_failure": "failed",
    "in_progress": "started",
    "running": "started",
    "canceled": "cancelled",
}


def outcome(word: str | None) -> str:
    """How it went, in one word for all senders: succeeded, failed, started, cancelled, or the sender's own."""
    word = (word or "unknown").lower()
    return _OUTCOMES.get(word, word)


def text_at(value: Any, *path: str) -> str | None:
    """The text at a path into objects; None where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) and value else None


def moment(text: str | None) -> datetime | None:
    """A time with its offset, in RFC 3339 or nearly so; None for all else."""
    try:
        time = datetime.fromisoformat((text or "").replace(" UTC", "Z").replace(" +", "+").replace(" -", "-"))
        return time.astimezone(UTC) if time.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
