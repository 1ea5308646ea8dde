"""Tokens as they are declared: a name, a digest, scopes, patterns of sources, an expiry, a rate. msgspec.

1. What is declared does not let anybody in: of a token only its SHA-256 is known, and the token itself is 256 bits
   of chance, so that there is nothing to guess it by.
2. An entry is a line of JSON, so that `>>` adds one, and a list of them fits in one variable.
3. What is wrong is told by the place of the entry and never by what stands in it: it may be the token itself.
"""

import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

import msgspec

Scope = Literal["write", "read", "admin"]

SECRET_BYTES = 32
PREFIX = "collector_"  # by which scanners for secrets that have leaked can know one
MAX_NAME = 200  # characters; as many as a source has
MAX_SOURCES = 100  # patterns of one token
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_LONG = re.compile(r"[\w-]{33,}")


class TokensError(Exception):
    """The tokens cannot be used; the message is one line that says why."""


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An entry. `hash` is `sha256:` and 64 hexadecimal digits; in `sources`, `*` stands for any text.

    `expires` has an offset; None: never. `rate`: requests and events a second that it may come to, None: no bound,
    and `burst`: how many at once, `rate` of them where it is None.
    """

    name: str
    hash: str
    scopes: tuple[Scope, ...]
    sources: tuple[str, ...]
    expires: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    rate: Annotated[float, msgspec.Meta(gt=0)] | None = None
    burst: float | None = None

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the token."""
        return bytes.fromhex(self.hash.removeprefix("sha256:"))


_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode = msgspec.json.Decoder(Token).decode
_encode = msgspec.json.Encoder().encode


def read_tokens(text: str) -> tuple[Token, ...]:
    """Entries from JSON: one a line, or a list. Raises TokensError, also where there is none but in `[]`."""
    if not text.strip():
        raise TokensError("there is no token in it; [] means that nobody may come in")
    parts = _parts(text.strip().encode(errors="surrogateescape"))
    tokens = tuple(_entry(part, place) for place, part in enumerate(parts, start=1))
    known: dict[str, int] = {}
    for place, token in enumerate(tokens, start=1):
        if (first := known.setdefault(token.hash, place)) != place:
            raise TokensError(f"entry {place} has the hash of entry {first}")
    return tokens


def read_file(file: Path) -> Sequence[Token]:
    """The tokens that a file declares. Raises TokensError."""
    try:
        return read_tokens(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise TokensError(f"cannot read {file}: {reason}") from None


def entry(token: Token) -> str:
    """The line that declares it."""
    return _encode(token).decode()


def new_secret() -> str:
    """A token's text, of which only the digest is ever kept."""
    return PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def hash_of(secret: str) -> str:
    """What stands for it in its entry."""
    return f"sha256:{sha256(secret.encode()).hexdigest()}"


def checked(token: Token) -> Token:
    """The same. Raises TokensError where it could not be right."""
    wrong = _wrong(token)
    if wrong is not None:
        raise TokensError(wrong)
    return token


def _parts(text: bytes) -> Sequence[bytes]:
    if not text.startswith(b"["):
        return [line for line in text.split(b"\n") if line.strip()]
    try:
        return [bytes(raw) for raw in _decode_list(text)]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TokensError(f"it is no list of entries: {_told(error)}") from None


def _entry(text: bytes, place: int) -> Token:
    try:
        return checked(_decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, TokensError) as error:
        raise TokensError(f"entry {place}: {_told(error)}") from None


def _told(error: Exception) -> str:
    # It repeats the name of a field that there is not, which may be a token in the wrong place.
    return _LONG.sub("...", " ".join(str(error).split()))


def _wrong(token: Token) -> str | None:
    texts = (token.name, *token.sources)
    if not all(text.strip() == text and 0 < len(text) <= MAX_NAME and text.isprintable() for text in texts):
        return f"name and sources have 1 to {MAX_NAME} printable characters, none of them a space at either end"
    if not _HASH.fullmatch(token.hash):
        return "hash is sha256: and 64 hexadecimal digits, as `collector token new` prints it"
    if not token.scopes or len(set(token.scopes)) != len(token.scopes):
        return "scopes are some of write, read and admin"
    if not 0 < len(token.sources) <= MAX_SOURCES:
        return f"sources are 1 to {MAX_SOURCES} patterns; * alone stands for every source"
    if token.burst is not None and (token.rate is None or token.burst < 1):
        return "burst is at least 1, and needs a rate"
    return None
