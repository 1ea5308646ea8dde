"""Model: what the filters mean, in plain Python, and events that try them."""

import json
import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from app.events import Event
from app.query import Filter
from app.store import Stored
from tests.store.make import event

T0 = datetime(2026, 3, 4, tzinfo=UTC)
SOURCES = (
    "a",
    "A",
    "ab",
    "a%b",
    "a_b",
    "a\\b",
    "a[b]c",
    "a?b",
    "a]b",
    "a^b",
    "*",
    "shop/cart",
    "shöp",
    "%",
    "_",
    "ä",
)
PATTERNS = (
    *SOURCES,
    "a*",
    "*b",
    "a*b",
    "*[*",
    "*?*",
    "*%*",
    "*_*",
    "*\\*",
    "**",
    "shop/*",
    "*]b",
    "a[*",
    "A*",
    "[a]b",
)
LABELS = ("run", "Run", "stop", "ünder", "a%", "a_", "x*y")
NAMES = (
    "a",
    "b",
    "0",
    "1",
    "-1",
    "01",
    "+1",
    " 1",
    "1 ",
    "-0",
    "-3",
    "9",
    "99999999999999999999",
    "\u0661",
    "ä b",
    "A",
)
LEAVES = (
    "run",
    "RUN",
    "",
    "0",
    0,
    1,
    -1,
    1.0,
    1.5,
    1e22,
    1e-7,
    2**53,
    True,
    False,
    None,
    "null",
    "ü",
    '"',
    "%",
    "ÄÖ",
)
TEXTS = ("run", "RUN", "ü", "Ü", "%", "_", "\\", "null", '"', "1e22", "[", "shop/", "S", "nothing has this", "{}")
STRTOL = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]+")


def events(chance: random.Random, count: int) -> list[Event]:
    """Events with ids of their own, told apart by them."""
    return [
        event(
            f"id{n}",
            source=chance.choice(SOURCES),
            action=chance.choice(LABELS),
            subject=chance.choice((None, *LABELS)),
            time=(T0 + timedelta(microseconds=chance.choice((0, 1, n, n * 10**6)))).isoformat(),
            data=_value(chance, 3),
        )
        for n in range(count)
    ]


def filters(chance: random.Random, count: int) -> list[Filter]:
    """Filters of one to three conditions."""
    return [_filter(chance) for _ in range(count)]


def matching(filter_: Filter, stored: list[Stored]) -> list[Stored]:
    """Those that match."""
    return [one for one in stored if _matches(filter_, one)]


def _value(chance: random.Random, levels: int) -> Any:
    kind = chance.randrange(4) if levels else 0
    if kind == 1:
        return [_value(chance, levels - 1) for _ in range(chance.randrange(4))]
    if kind >= 2:
        return {chance.choice(NAMES): _value(chance, levels - 1) for _ in range(chance.randrange(4))}
    return chance.choice(LEAVES)


def _filter(chance: random.Random) -> Filter:
    conditions: dict[str, Any] = {
        "sources": tuple(chance.sample(PATTERNS, chance.choice((1, 1, 2)))),
        "within": tuple(chance.sample(PATTERNS, chance.choice((0, 1, 2, 4)))),
        "id": f"id{chance.randrange(60)}",
        "action": chance.choice(LABELS),
        "subject": chance.choice(LABELS),
        "since": T0 + timedelta(microseconds=chance.choice((0, 1, 2, 50 * 10**6))),
        "until": T0 + timedelta(microseconds=chance.choice((1, 2, 50 * 10**6, 10**12))),
        "text": chance.choice(TEXTS),
        "data": tuple((_path(chance), _text(chance)) for _ in range(chance.choice((1, 1, 1, 2)))),
    }
    chosen = chance.sample(sorted(conditions), chance.choice((1, 1, 2, 3)))
    return Filter(**{name: conditions[name] for name in chosen})


def _path(chance: random.Random) -> tuple[str, ...]:
    return tuple(chance.choices(NAMES, k=chance.choice((1, 1, 2, 3))))


def _text(chance: random.Random) -> str:
    value: Any = chance.choice((*LEAVES, {}, [], "{", "1e+22"))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _matches(filter_: Filter, one: Stored) -> bool:
    return (
        (not filter_.sources or any(like(pattern, one.source) for pattern in filter_.sources))
        and (filter_.within is None or any(like(pattern, one.source) for pattern in filter_.within))
        and all(
            wanted in (None, getattr(one, name))
            for name, wanted in (("id", filter_.id), ("action", filter_.action), ("subject", filter_.subject))
        )
        and (filter_.since is None or one.time >= filter_.since)
        and (filter_.until is None or one.time < filter_.until)
        and (filter_.text is None or any(_lower(filter_.text) in _lower(text) for text in _texts(one)))
        and all(_found(one, path) == value for path, value in filter_.data)
    )


def like(pattern: str, source: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), source, re.DOTALL) is not None


def _lower(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


def _texts(one: Stored) -> list[str]:
    # An event without data shows null, but has no text there.
    data = bytes(one.data).decode()
    return [one.source, one.action, one.id, one.subject or "", "" if data == "null" else data]


def _found(one: Stored, path: tuple[str, ...]) -> str | None:
    """Strings as they are, anything else as the JSON text that was kept."""
    value: Any = _Spelt.decode(bytes(one.data).decode())
    for name in path:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and STRTOL.fullmatch(name) and -len(value) <= int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value if value is None or isinstance(value, str) else _Spelt.encode(value)


class _Spelt:
    """JSON whose numbers keep their spelling."""

    class Number(float):
        """A number, and how it was written."""

        text: str

    @classmethod
    def decode(cls, text: str) -> Any:
        def number(spelt: str) -> "_Spelt.Number":
            one = cls.Number(spelt)
            one.text = spelt
            return one

        return json.loads(text, parse_float=number, parse_int=number)

    @classmethod
    def encode(cls, value: Any) -> str:
        if isinstance(value, cls.Number):
            return value.text
        if isinstance(value, list):
            return "[" + ",".join(map(cls.encode, value)) + "]"
        if isinstance(value, dict):
            return "{" + ",".join(f"{cls.encode(k)}:{cls.encode(v)}" for k, v in value.items()) + "}"
        return json.dumps(value, ensure_ascii=False)
