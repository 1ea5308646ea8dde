"""Proofs that a delivery comes from one who knows a secret. Each takes the same time whatever is wrong."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256

from app.hooks import Delivery

TOLERANCE = 5 * 60  # seconds between the sender's clock and ours, either way: an older delivery may be a replay
MIN_KEY = 16  # bytes
PREFIX = "whsec_"


def hexadecimal(delivery: Delivery, keys: Sequence[bytes], header: str, prefix: str) -> bool:
    """HMAC-SHA256 of the body as hexadecimal digits, after `prefix` in one header."""
    right = (f"{prefix}{hmac.new(key, delivery.body, sha256).hexdigest()}".encode() for key in keys)
    return _same((_bytes(delivery, header),), right)


def plain(delivery: Delivery, keys: Sequence[bytes], header: str, prefix: str = "") -> bool:
    """The secret itself, after `prefix` in one header."""
    return _same((_bytes(delivery, header),), (prefix.encode() + key for key in keys))


def standard(delivery: Delivery, keys: Sequence[bytes], now: float) -> bool:
    """Standard Webhooks 1.0 with symmetric keys: `webhook-id`, `webhook-timestamp` and the body are signed."""
    id_, timestamp = (_bytes(delivery, f"webhook-{name}") for name in ("id", "timestamp"))
    signed = b"%b.%b.%b" % (id_, timestamp, delivery.body)
    right = (b"v1," + b64encode(hmac.new(key, signed, sha256).digest()) for key in keys)
    fresh = timestamp.isdigit() and len(timestamp) < 12 and abs(now - int(timestamp)) <= TOLERANCE
    return _same(_bytes(delivery, "webhook-signature").split(b" "), right) and fresh and bool(id_)


def standard_key(secret: str) -> bytes:
    """The key in a secret like `whsec_…`. Raises ValueError."""
    try:
        return b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        raise ValueError(f"a secret must be Base64, after {PREFIX}") from None


def _bytes(delivery: Delivery, header: str) -> bytes:
    return delivery.headers.get(header, "").encode("latin-1")


def _same(given: Sequence[bytes], right: Iterable[bytes]) -> bool:
    # Digests have one length, and all are compared: how long it takes tells nothing of what was nearly right.
    found = False
    for one in right:
        for other in given:
            found |= hmac.compare_digest(sha256(one).digest(), sha256(other).digest())
    return found
