"""Who may come in, to do what, and how fast: the one place that decides it, for every way in.

1. Closed unless said otherwise: what is not named in OPEN needs a token, also what there is not.
2. What a token may not see is as if it were not there: its reader leaves it out.
3. A token is looked for by a digest under a key that no other process has and nobody knows: what it takes to find
   one, or not to, tells nothing about those that there are.
"""

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from hmac import compare_digest
from typing import Protocol

from app.bucket import Bucket
from app.errors import Forbidden, TooFast, Unauthorized
from app.query import covered
from app.restricted import Restricted
from app.store import Reader
from app.tokens import Scope, Token

GRANT = "collector.grant"  # in the scope: what whoever asks may do
OPEN = frozenset(("/", "/docs", "/openapi.json", "/healthz", "/readyz", "/ready", "/metrics"))
OPEN_BELOW = ("/docs/", "/page/")
ADMIN = frozenset(("/purge",))
SIGNED_BELOW = "/hooks/"  # who sends a webhook proves it by a signature
_SCHEME = b"bearer "
_EVERY_SOURCE = "*"


def _view(sources: tuple[str, ...]) -> bytes:
    # No query of a page begins so, and all who see the same share it.
    return blake2b("\0".join(sorted(sources)).encode(), digest_size=16).hexdigest().encode() + b"?"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Grant:
    """What somebody may do. `sources` None: with those of every name."""

    scopes: frozenset[Scope]
    sources: tuple[str, ...] | None = None
    name: str | None = None  # whose token it is
    expires: float = math.inf  # seconds of the Unix clock
    bucket: Bucket | None = None
    view: bytes = field(init=False)  # before the key of a page that hangs on what may be seen

    def __post_init__(self) -> None:
        object.__setattr__(self, "view", b"" if self.sources is None else _view(self.sources))

    def may_write(self, source: str) -> bool:
        """Whether events of this source are its to send."""
        return self.sources is None or covered(source, self.sources)

    def reader(self, reader: Reader) -> Reader:
        """The reader of what it may see."""
        return reader if self.sources is None else Restricted(reader, self.sources)

    def take(self) -> None:
        """Count a request. Raises TooFast."""
        if self.bucket is not None and (seconds := self.bucket.take()) > 0:
            raise TooFast(seconds=math.ceil(seconds))

    def pay(self, events: int) -> None:
        """Count the events of a request that has been counted as one."""
        if self.bucket is not None and events > 1:
            self.bucket.pay(events - 1)


ANYONE = Grant(scopes=frozenset(("read", "write")))
NOBODY = Grant(scopes=frozenset(), sources=())


class Access(Protocol):
    """Who decides."""

    def grant(self, authorization: bytes | None, scope: Scope) -> Grant:
        """What the bearer of this header may do, if that is in it. Raises Unauthorized, Forbidden."""
        ...

    def holds(self, grant: Grant) -> bool:
        """Whether what was granted is so still."""
        ...


class OpenAccess:
    """Where there are no tokens. What has to be on record under somebody's name is for nobody there, on loopback
    neither: behind a proxy on the same machine that is everybody."""

    def grant(self, authorization: bytes | None, scope: Scope) -> Grant:  # noqa: ARG002 - it is nobody's business
        """Anything else. Raises Forbidden."""
        if scope == "admin":
            raise Forbidden(
                "this takes a token of the scope admin, and this collector has no tokens: see TOKENS_FILE"
            )
        return ANYONE

    def holds(self, grant: Grant) -> bool:  # noqa: ARG002
        """Always."""
        return True


class TokenAccess:
    """Where there are tokens. `now`: seconds of the Unix clock."""

    def __init__(self, tokens: Iterable[Token], *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._key = os.urandom(32)
        self._declared: Mapping[Token, Grant] = {}
        self._found: Mapping[bytes, tuple[bytes, Grant]] = {}
        self.declare(tokens)

    def declare(self, tokens: Iterable[Token]) -> None:
        """These tokens, and no others. One that stays as it was keeps what it has used up."""
        known = self._declared
        self._declared = {token: known.get(token) or _grant_of(token) for token in tokens}
        self._found = {self._keyed(token.digest): (token.digest, one) for token, one in self._declared.items()}

    def grant(self, authorization: bytes | None, scope: Scope) -> Grant:
        """What the bearer of this header may do, if that is in it. Raises Unauthorized, Forbidden."""
        grant = self._of(authorization)
        if scope not in grant.scopes:
            raise Forbidden(f"the token's scopes do not have {scope}")
        return grant

    def holds(self, grant: Grant) -> bool:
        """Whether the token is still declared as it was, and has not expired."""
        return grant in self._declared.values() and grant.expires > self._now()

    def _of(self, authorization: bytes | None) -> Grant:
        if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise Unauthorized
        digest = sha256(authorization[len(_SCHEME) :].strip(b" ")).digest()
        expected, grant = self._found.get(self._keyed(digest), (b"", NOBODY))
        # The same answer, whatever is wrong with it.
        if not compare_digest(expected, digest) or grant.expires <= self._now():
            raise Unauthorized
        return grant

    def _keyed(self, digest: bytes) -> bytes:
        return blake2b(digest, key=self._key).digest()


def _grant_of(token: Token) -> Grant:
    return Grant(
        scopes=frozenset(token.scopes),
        sources=None if _EVERY_SOURCE in token.sources else token.sources,
        name=token.name,
        expires=math.inf if token.expires is None else token.expires.timestamp(),
        bucket=None if token.rate is None else Bucket(token.rate, token.burst or max(1.0, token.rate)),
    )


def needed(method: str, path: str) -> Scope | None:
    """The scope that a request needs; None: no token."""
    if path in OPEN or path.startswith(OPEN_BELOW) or (method == "POST" and path.startswith(SIGNED_BELOW)):
        return None
    if path in ADMIN:
        return "admin"
    return "read" if method in ("GET", "HEAD") else "write"
