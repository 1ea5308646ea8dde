"""Canaries: texts that stand for secrets, and must not come up in any form that a text takes on its way."""

import base64
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Canary:
    """`name` says whose secret it is. Its text has signs that every encoding writes in another way, and a core of
    letters and digits, which percent-encoding, JSON and `repr` leave as it is."""

    name: str
    core: str = field(default_factory=lambda: f"canary{secrets.token_hex(16)}")

    @property
    def text(self) -> str:
        """What is given away as the secret."""
        return f"{self.core}/+%"

    @cached_property
    def forms(self) -> Mapping[str, bytes]:
        """What to look for, in small letters; of Base64 the part that its neighbours leave alone."""
        core = self.core.encode()
        packed = {
            f"Base64, {shift} bytes in": base64.b64encode(bytes(shift) + core)[-(-shift * 8 // 6) :].rstrip(b"=")[
                :-1
            ]
            for shift in range(3)
        }
        plain = {"plain": core, "hexadecimal": core.hex().encode(), "reversed": core[::-1]}
        return {form: text.lower() for form, text in (plain | packed).items()}

    def found_in(self, text: bytes) -> list[str]:
        """The forms in which it is there."""
        lower = text.lower()
        return [form for form, needle in self.forms.items() if needle in lower]


def leaks(canaries: Iterable[Canary], said: Mapping[str, bytes]) -> list[str]:
    """Which secret is where, in which form."""
    return [
        f"{canary.name} in {where}: {form}"
        for canary in canaries
        for where, text in said.items()
        for form in canary.found_in(text)
    ]
