"""`collector token new`: a token and its entry, each shown once. argparse."""

import math
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from app.about import NAME
from app.tokens import Token, TokensError, checked, entry, hash_of, new_secret

_SPAN = re.compile(r"(\d{1,5})([dhm])")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
ABOUT = """Make a token. The first line on standard output is the token, for who is to have it; nothing keeps it.
The second is its entry, for TOKENS_FILE or TOKENS of the collector, which knows it by its hash."""

Say = Callable[[str], None]


def mint(words: Sequence[str], say: Say, note: Say) -> int:
    """Make one. `say` gets the token, then its entry; `note` what they are for. Returns the exit code."""
    asked = _parser().parse_args(words)
    secret = new_secret()
    try:
        token = checked(
            Token(
                name=asked.name,
                hash=hash_of(secret),
                scopes=tuple(asked.scope),
                sources=tuple(asked.source),
                expires=asked.expires,
                rate=asked.rate,
                burst=asked.burst,
            )
        )
    except TokensError as error:
        note(f"{NAME} token new: {error}")
        return 2
    say(secret)
    say(entry(token))
    note("The first line is the token, shown only here; the second is its entry, for TOKENS_FILE.")
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog=f"{NAME} token new", description=ABOUT, allow_abbrev=False)
    add = parser.add_argument
    add("--name", required=True, help="whose it is; two may have one name, so that a token can be replaced")
    add(
        "--scope",
        required=True,
        action="append",
        choices=("write", "read", "admin"),
        help="what it may do; may be given several times",
    )
    add(
        "--source",
        required=True,
        action="append",
        metavar="PATTERN",
        help="with events of which sources; * stands for any text; may be given several times",
    )
    add(
        "--expires",
        type=_expiry,
        metavar="WHEN",
        help="2027-01-31T00:00:00Z, or in 90d, 12h, 30m (default: never)",
    )
    add(
        "--rate",
        type=_positive,
        help="requests, and events, a second that each process takes of it (default: any)",
    )
    add("--burst", type=_positive, help="how many at once (default: those of one second)")
    return parser


def _positive(text: str) -> float:
    found = float(text)
    if not 0 < found < math.inf:
        raise ArgumentTypeError("it is a number above 0")
    return found


def _expiry(text: str) -> datetime:
    try:
        if span := _SPAN.fullmatch(text):
            return (datetime.now(UTC) + int(span[1]) * _UNITS[span[2]]).replace(microsecond=0)
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ArgumentTypeError("it is like 2027-01-31T00:00:00Z, or 90d, 12h, 30m from now")
    return found
