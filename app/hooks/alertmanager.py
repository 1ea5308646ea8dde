"""Alertmanager: an event for each alert of a notification, once when it fires and once when it is resolved.

What one notification becomes is bounded, since the same few bytes could be repeated in each of a million events.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from app.hooks import Delivery, Sender, Told, moment, proof, text_at

MAX_ALERTS = 1000  # of one notification that are kept
MAX_OF_ALL = 4096  # characters of each text that is repeated with every alert
_OF_ALL = ("receiver", "groupKey", "externalURL")  # what a notification says of all its alerts


def _signed(delivery: Delivery, keys: Sequence[bytes], _: float) -> bool:
    return proof.plain(delivery, keys, "authorization", "Bearer ")


def _told(_: Mapping[str, str], payload: Any) -> list[Told]:
    alerts = payload.get("alerts") if isinstance(payload, dict) else None
    found = [alert for alert in alerts if isinstance(alert, dict)] if isinstance(alerts, list) else []
    if not found:
        return [Told(action="alert", subject=text_at(payload, "groupLabels", "alertname"), data=payload)]
    texts = {name: text_at(payload, name) for name in _OF_ALL}
    of_all = {name: text for name, text in texts.items() if text and len(text) <= MAX_OF_ALL}
    told = [_alert(alert, of_all) for alert in found[:MAX_ALERTS]]
    if len(found) > MAX_ALERTS:
        reason = f"there were more than {MAX_ALERTS} alerts"
        told.append(Told(action="alert", data=of_all | {"left_out": {"reason": reason, "alerts": len(found)}}))
    return told


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
