"""A delivery's bytes to events: whether it is signed, then what it tells. Pure: no await, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from app.errors import BadSignature
from app.events import MAX_EVENT_BYTES, MAX_TEXT, Event, NotJson, Parser, Refused, Sent, decoded
from app.formats import Batch
from app.hooks import Delivery, Told
from app.hooks.declared import Hook

MAX_DATA = MAX_EVENT_BYTES - 8 * 1024  # bytes: what was read can be sent again, with all other fields about it


def read(hook: Hook, headers: Mapping[str, str], now: float, body: bytes) -> Batch:
    """The events that a delivery tells of. Raises BadSignature, and nothing else.

    `headers`: by their names in lower case; `now`: seconds since 1970.
    """
    delivery, whole = Delivery(headers=headers, body=body), _Bytes(body)
    if not hook.sender.signed(delivery, hook.keys, now):
        raise BadSignature(f"no secret of the webhook {hook.name} has signed this body, or not in time")
    told = hook.sender.told(headers, _payload(_Bytes(hook.sender.text(delivery))))
    events = [_event(hook.source, one, whole, place) for place, one in enumerate(told)]
    return Batch(events, range(len(events)), (), single=len(events) == 1)


@dataclass(frozen=True)
class _Bytes:
    """Up to 5 MiB, whose digest is made once, for however many events."""

    text: bytes

    @cached_property
    def digest(self) -> str:
        return sha256(self.text).hexdigest()


def _payload(given: _Bytes) -> Any:
    try:
        return decoded(given.text)
    except Refused as refused:
        return _left_out(given, refused.detail)
    except NotJson:
        return _left_out(given, "it is not JSON")


def _event(source: str, told: Told, body: _Bytes, place: int) -> Event:
    sent = Sent(
        source=source,
        action=_shown(told.action) or "event",
        id=_id(told.id, body, place),
        subject=_shown(told.subject or "") or None,
        time=told.time,
        data=told.data,
    )
    try:
        event = Parser().event(sent)
        if len((event.data or "").encode()) <= MAX_DATA:
            return replace(event, by_id=True)
        why = f"an event may have {MAX_EVENT_BYTES} bytes"
    except Refused as refused:
        why = refused.detail
    # All else was made to fit: only the data can be what is wrong.
    return replace(Parser().event(replace(sent, data=_left_out(body, why))), by_id=True)


def _shown(text: str) -> str:
    """Text that every field takes."""
    return "".join(one for one in text if one.isprintable()).strip()[:MAX_TEXT].strip()


def _id(given: str | None, body: _Bytes, place: int) -> str:
    if given and _shown(given) == given:
        return given
    return f"{body.digest if given is None else sha256(given.encode()).hexdigest()}/{place}"


def _left_out(given: _Bytes, why: str) -> dict[str, Any]:
    """What stands in the place of data that cannot be kept: what it was, and why."""
    return {"left_out": {"reason": why, "bytes": len(given.text), "sha256": given.digest}}
