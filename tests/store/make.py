"""Make: events as clients send them."""

from typing import Any

import msgspec

from app.events import Event, Parser
from app.store import Stored


def event(id_: str | None = None, **fields: Any) -> Event:
    """An event of the source `s` and the action `a`, unless `fields` say otherwise."""
    members = {"source": "s", "action": "a", **fields}
    return Parser().one(msgspec.json.encode(members if id_ is None else {**members, "id": id_}))


def sent_again(stored: Stored, **changes: Any) -> Event:
    """The event that a reader was shown, as it comes back from an export."""
    return Parser().one(msgspec.json.encode(msgspec.json.decode(msgspec.json.encode(stored)) | changes))


def plain(id_: str, *, source: str = "s", subject: str | None = None, data: str | None = None) -> Event:
    """An event without identity that went through no checks."""
    return Event(source=source, action="a", id=id_, subject=subject, time=None, data=data, identity=None)
