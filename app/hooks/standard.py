"""Any sender that keeps to Standard Webhooks 1.0, with symmetric secrets (`whsec_…`)."""

from collections.abc import Mapping
from typing import Any

from app.hooks import Sender, Told, moment, proof, text_at


def _told(headers: Mapping[str, str], payload: Any) -> list[Told]:
    return [
        Told(
            action=text_at(payload, "type") or "event",
            time=moment(text_at(payload, "timestamp")),
            id=headers.get("webhook-id"),
            data=payload,
        )
    ]


SENDER = Sender(signed=proof.standard, told=_told, key=proof.standard_key)
