"""What an answer to POST /events says of the events in it. Pure.

The status is the promise (see docs/api.md); what is no answer of a collector promises nothing.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from app.probe.ledger import Odd, Outcome

KEPT = (200, 201, 202)
IN_DOUBT = (408, 499)  # of proxies, which do not know how far the request came; a 408 of ours says so
TRY_AGAIN = (429,)  # refused, but not for good


class Said(NamedTuple):
    """What is known after an answer."""

    outcome: Outcome
    error: str | None = None
    seq: int | None = None
    odd: Mapping[int, Odd] = {}
    again: bool = False  # whether the same again may fare better


def said(status: int, body: bytes, events: tuple[str, ...], *, batch: bool) -> Said:
    """What `status` and `body` say of the events with these ids."""
    document = _object(body)
    if status in KEPT:
        return _receipt(status, document, len(events)) if batch else _event(status, document, events[0])
    if status >= 500 or status in IN_DOUBT or status < 400:
        # A promise as good as a 4xx: if the event is there nevertheless, it was a lie.
        kept_nothing = status in (408, 503) and document is not None and document.get("outcome") == "not_kept"
        return Said("refused" if kept_nothing else "unknown", again=True)
    return Said("refused", again=status in TRY_AGAIN)


def _event(status: int, document: dict[str, Any] | None, id_: str) -> Said:
    seq = None if document is None else document.get("seq")
    if document is None or document.get("id", id_) != id_ or (status != 202 and not isinstance(seq, int)):
        return Said("unknown", error="NotAReceipt", again=True)
    return Said("ok", seq=seq)


def _receipt(status: int, document: dict[str, Any] | None, events: int) -> Said:
    try:
        receipt = msgspec.convert(document, _Receipt)
    except msgspec.ValidationError:
        return Said("unknown", error="NotAReceipt", again=True)
    if receipt.accepted + receipt.spooled + receipt.duplicates + receipt.rejected != events:
        return Said("unknown", error="NotAReceipt", again=True)
    odd: dict[int, Odd] = {}
    for one in receipt.results:
        odd[one.index] = "refused" if one.status == "rejected" else one.status
    if len(odd) == receipt.rejected == events:
        return Said("refused", odd=odd)
    if status == 202 and receipt.accepted and "spooled" not in odd.values():
        return Said("unknown", error="NotAReceipt", again=True)  # it does not say which
    return Said("ok", odd=odd)


class _Result(msgspec.Struct):
    index: int
    status: Literal["duplicate", "spooled", "rejected"]


class _Receipt(msgspec.Struct):
    accepted: int
    spooled: int
    duplicates: int
    rejected: int
    results: list[_Result]


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None
