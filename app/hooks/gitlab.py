"""GitLab: webhooks of projects, groups and whole instances; with a secret token, or with a signing token."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.hooks import Delivery, Sender, Told, moment, outcome, proof, text_at

# What it calls what was done, as others say it.
_DONE = {
    "open": "opened",
    "close": "closed",
    "reopen": "reopened",
    "update": "updated",
    "merge": "merged",
    "create": "created",
    "delete": "deleted",
}
_TIMES = (
    ("status_changed_at",),
    ("object_attributes", "finished_at"),
    ("object_attributes", "updated_at"),
    ("object_attributes", "created_at"),
    ("released_at",),
)


def _key(secret: str) -> bytes:
    if secret.startswith(proof.PREFIX):
        proof.standard_key(secret)
    return secret.encode()


def _signed(delivery: Delivery, keys: Sequence[bytes], now: float) -> bool:
    # A signing token is never sent, so it is never taken for a secret token either.
    secrets = [key.decode() for key in keys]
    signing = [proof.standard_key(secret) for secret in secrets if secret.startswith(proof.PREFIX)]
    tokens = [secret.encode() for secret in secrets if not secret.startswith(proof.PREFIX)]
    by_token = proof.plain(delivery, tokens, "x-gitlab-token")
    return proof.standard(delivery, signing, now) or by_token


def _told(headers: Mapping[str, str], payload: Any) -> list[Told]:
    return [
        Told(
            action=_action(_kind(headers, payload), payload),
            subject=text_at(payload, "project", "path_with_namespace") or text_at(payload, "group_path"),
            time=next(filter(None, (moment(text_at(payload, *path)) for path in _TIMES)), None),
            # X-Gitlab-Event-UUID would not do: events that one has caused share it.
            id=headers.get("webhook-id") or headers.get("idempotency-key"),
            data=payload,
        )
    ]


def _kind(headers: Mapping[str, str], payload: Any) -> str:
    named = text_at(payload, "object_kind") or text_at(payload, "event_name")
    return named or headers.get("x-gitlab-event", "event").removesuffix(" Hook").lower().replace(" ", "_")


def _action(kind: str, payload: Any) -> str:
    match kind:
        case "deployment":
            return f"deploy.{outcome(text_at(payload, 'status'))}"
        case "pipeline":
            return f"build.{outcome(text_at(payload, 'object_attributes', 'status'))}"
        case "build":
            return f"job.{outcome(text_at(payload, 'build_status'))}"
    done = text_at(payload, "object_attributes", "action") or text_at(payload, "action")
    return f"{kind}.{_DONE.get(done, done)}" if done else kind


SENDER = Sender(signed=_signed, told=_told, key=_key)
