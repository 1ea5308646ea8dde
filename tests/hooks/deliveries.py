"""Deliveries: the fixtures of each sender, signed as that sender signs.

A fixture is one file, <sender>/<name>.json: `headers` and `body` as the sender has them, and what it `gives`.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
NOW = 1_700_000_000.0
SECRETS = {
    "alertmanager": "alertmanagers-own-secret",
    "argocd": "argo-cds-very-own-secret",
    "github": "its-a-secret-to-everybody",
    "gitlab": "gitlabs-secret-token",
    "standard": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}
Headers = dict[str, str]


class Fixture(NamedTuple):
    sender: str
    name: str
    headers: Headers  # names in lower case
    body: bytes
    gives: list[Mapping[str, Any]]


def fixtures() -> list[Fixture]:
    return [_fixture(path) for path in sorted(HERE.glob("*/*.json"))]


def fixture(sender: str, name: str) -> Fixture:
    return _fixture(HERE / sender / f"{name}.json")


def _fixture(path: Path) -> Fixture:
    document = json.loads(path.read_text(encoding="utf-8"))
    headers = {name.lower(): value for name, value in document["headers"].items()}
    body = json.dumps(document["body"], separators=(",", ":"), ensure_ascii=False).encode()
    return Fixture(path.parent.name, path.stem, headers, body, document["gives"])


def signed(sender: str, headers: Headers, body: bytes, secret: str | None = None, now: float = NOW) -> Headers:
    """The headers, with those that prove that it comes from one who knows the secret."""
    return headers | SIGN[sender](secret or SECRETS[sender], headers, body, now)


def _github(secret: str, _: Headers, body: bytes, __: float) -> Headers:
    return {"x-hub-signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def _gitlab(secret: str, headers: Headers, body: bytes, now: float) -> Headers:
    if secret.startswith("whsec_"):
        return standard(secret, {"webhook-id": headers.get("idempotency-key", "1")}, body, now)
    return {"x-gitlab-token": secret}


def _bearer(secret: str, _: Headers, __: bytes, ___: float) -> Headers:
    return {"authorization": f"Bearer {secret}"}


def standard(secret: str, headers: Headers, body: bytes, now: float) -> Headers:
    id_, key = headers.get("webhook-id", "1"), base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id_}.{int(now)}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


SIGN: Mapping[str, Callable[[str, Headers, bytes, float], Headers]] = {
    "alertmanager": _bearer,
    "argocd": _bearer,
    "github": _github,
    "gitlab": _gitlab,
    "standard": standard,
}
