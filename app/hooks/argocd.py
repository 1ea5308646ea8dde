"""Argo CD notifications, by the template that the documentation gives: `app` is a part of the Application."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.hooks import Delivery, Sender, Told, moment, outcome, proof, text_at


def _signed(delivery: Delivery, keys: Sequence[bytes], _: float) -> bool:
    return proof.plain(delivery, keys, "authorization", "Bearer ")


def _told(_: Mapping[str, str], payload: Any) -> list[Told]:
    operation = ("app", "status", "operationState")
    time = text_at(payload, *operation, "finishedAt") or text_at(payload, *operation, "startedAt")
    return [
        Told(
            action=_action(payload),
            subject=text_at(payload, "app", "metadata", "name"),
            time=moment(time),
            id=text_at(payload, "id"),
            data=payload,
        )
    ]


def _action(payload: Any) -> str:
    phase = text_at(payload, "app", "status", "operationState", "phase")
    health = text_at(payload, "app", "status", "health", "status")
    if health == "Degraded" and phase in (None, "Succeeded"):
        return "health.degraded"
    if phase is not None:
        return f"deploy.{outcome(phase)}"
    return f"health.{health.lower()}" if health else "app"


SENDER = Sender(signed=_signed, told=_told)
