"""GitHub: webhooks of repositories, organisations and apps."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from app.hooks import Delivery, Sender, Told, moment, outcome, proof, text_at

FORM = "application/x-www-form-urlencoded"


def _signed(delivery: Delivery, keys: Sequence[bytes], _: float) -> bool:
    return proof.hexadecimal(delivery, keys, "x-hub-signature-256", "sha256=")


def _text(delivery: Delivery) -> bytes:
    """The JSON; where the webhook's content type was left as GitHub suggests it, it is a field of a form."""
    if not delivery.headers.get("content-type", "").startswith(FORM):
        return delivery.body
    try:
        return parse_qs(delivery.body.decode("latin-1"), max_num_fields=8)["payload"][0].encode()
    except (KeyError, ValueError):
        return delivery.body


def _told(headers: Mapping[str, str], payload: Any) -> list[Told]:
    event = headers.get("x-github-event", "event")
    return [
        Told(
            action=_action(event, payload),
            subject=text_at(payload, "repository", "full_name") or text_at(payload, "organization", "login"),
            time=moment(text_at(payload, event, "updated_at")),
            id=headers.get("x-github-delivery"),
            data=payload,
        )
    ]


def _action(event: str, payload: Any) -> str:
    action = text_at(payload, "action")
    match event:
        case "deployment_status":
            return f"deploy.{outcome(text_at(payload, event, 'state'))}"
        case "workflow_run":
            state = text_at(payload, event, "conclusion") or text_at(payload, event, "status")
            return f"build.{outcome(state)}"
        case "pull_request" if action == "closed" and text_at(payload, event, "merged_at"):
            return "pull_request.merged"
    return f"{event}.{action}" if action else event


SENDER = Sender(signed=_signed, told=_told, text=_text)
