"""Credentials: tokens for tests, and the entries that declare them."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from app.tokens import Scope, Token, entry, hash_of, new_secret

LONG_AGO = datetime.now(UTC) - timedelta(days=1)
BOTH: tuple[Scope, ...] = ("read", "write")


@dataclass(frozen=True)
class Credential:
    """A token, and what stands in its entry."""

    secret: str
    token: Token

    @cached_property
    def line(self) -> str:
        return entry(self.token)

    @property
    def bearer(self) -> str:
        return f"Bearer {self.secret}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": self.bearer}

    def but(self, **fields: Any) -> "Credential":
        """The same token, declared otherwise."""
        known = {name: getattr(self.token, name) for name in self.token.__struct_fields__}
        return replace(self, token=Token(**known | fields))


def credential(*sources: str, scopes: tuple[Scope, ...] = BOTH, name: str = "test", **more: Any) -> Credential:
    """A new one."""
    secret = new_secret()
    token = Token(name=name, hash=hash_of(secret), scopes=scopes, sources=sources or ("*",), **more)
    return Credential(secret, token)


def lines(*credentials: Credential) -> str:
    """What declares them."""
    return "".join(f"{one.line}\n" for one in credentials)
