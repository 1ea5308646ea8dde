"""Declared webhooks: the text of the setting HOOKS to hooks, and every kind of sender that there is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import msgspec

from app.events import Parser, Refused, Sent
from app.hooks import Sender, alertmanager, argocd, github, gitlab, proof, standard

SENDERS: Mapping[str, Sender] = MappingProxyType(
    {
        "alertmanager": alertmanager.SENDER,
        "argocd": argocd.SENDER,
        "github": github.SENDER,
        "gitlab": gitlab.SENDER,
        "standard": standard.SENDER,
    }
)
_NAME = re.compile("[a-z0-9][a-z0-9-]{0,62}")
_LONG = re.compile(r"(?<=`)[^`]{16,}(?=`)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hook:
    """One webhook: who sends to POST /hooks/{name}, how to tell that it is they, and the source of its events."""

    name: str
    kind: str
    source: str
    keys: tuple[bytes, ...] = field(repr=False)

    @property
    def sender(self) -> Sender:
        """What is known of its kind."""
        return SENDERS[self.kind]


class _Entry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    kind: str
    source: str | None = None
    secrets: list[str] = []
    secrets_file: str | None = None


def declared(text: str) -> list[Hook]:
    """The hooks of `{"name": {"kind", "source", "secrets", "secrets_file"}}`.

    Raises ValueError, whose message never has a secret in it.
    """
    try:
        entries = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ValueError(f"must be a JSON object of webhooks by name: {error}") from None
    return [_hook(name, entry) for name, entry in entries.items()]


def _hook(name: str, raw: msgspec.Raw) -> Hook:
    if not _NAME.fullmatch(name):
        raise ValueError("a webhook's name is of lower-case letters, digits and -, at most 63")
    try:
        entry = msgspec.json.decode(raw, type=_Entry)
        return Hook(name=name, kind=_kind(entry), source=_source(entry.source or name), keys=_keys(entry))
    except (msgspec.DecodeError, Refused, ValueError, OSError) as error:
        # Of a key that there is not the name is repeated, and it may be a secret in the wrong place.
        raise ValueError(f"{name}: {_LONG.sub('...', str(error))}") from None


def _kind(entry: _Entry) -> str:
    if entry.kind not in SENDERS:
        raise ValueError(f"kind must be one of {', '.join(SENDERS)}")
    return entry.kind


def _source(source: str) -> str:
    return Parser().event(Sent(source=source, action="told")).source


def _keys(entry: _Entry) -> tuple[bytes, ...]:
    lines = [] if entry.secrets_file is None else Path(entry.secrets_file).read_text().splitlines()
    secrets = [secret.strip() for secret in (*entry.secrets, *lines) if secret.strip()]
    if not secrets:
        raise ValueError("there is no secret: give secrets, or secrets_file with one a line")
    keys = tuple(SENDERS[_kind(entry)].key(secret) for secret in secrets)
    if any(len(key) < proof.MIN_KEY for key in keys):
        raise ValueError(f"a secret must have at least {proof.MIN_KEY} bytes")
    return keys
