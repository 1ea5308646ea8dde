"""Alertmanager: an event for each alert of a notification, once when it fires and once when it is resolved."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.hooks import Delivery, Sender, Told, moment, proof, text_at

_OF_ALL = ("receiver", "groupKey", "externalURL")  # what a notification says of all its alerts


def _signed(delivery: Delivery, keys: Sequence[bytes], _: float) -> bool:
    return proof.plain(delivery, keys, "authorization", "Bearer ")


def _told(_: Mapping[str, str], payload: Any) -> list[Told]:
    alerts = payload.get("alerts") if isinstance(payload, dict) else None
    found = [alert for alert in alerts if isinstance(alert, dict)] if isinstance(alerts, list) else []
    if not found:
        return [Told(action="alert", subject=text_at(payload, "groupLabels", "alertname"), data=payload)]
    of_all = {name: payload[name] for name in _OF_ALL if name in payload}
    return [_alert(alert, of_all) for alert in found]


def _alert(alert: dict[str, Any], of_all: dict[str, Any]) -> Told:
    status, start = text_at(alert, "status"), text_at(alert, "startsAt")
    fingerprint = text_at(alert, "fingerprint")
    return Told(
        action=f"alert.{status}" if status else "alert",
        subject=text_at(alert, "labels", "alertname"),
        time=moment(text_at(alert, "endsAt") if status == "resolved" else start),
        # A notification is repeated for as long as the alert fires: that is one event.
        id=f"{fingerprint}/{start}/{status}" if fingerprint and start else None,
        data=of_all | alert,
    )


SENDER = Sender(signed=_signed, told=_told)
