"""`collector token new`: a token and its entry, each shown once. Typer."""

import math
import re
import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from app.cli.exits import Exit, Stop
from app.tokens import Token, TokensError, checked, entry, hash_of, new_secret

_SPAN = re.compile(r"(\d{1,5})([dhm])")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
HELP = """Make a token. The first line on standard output is the token, for who is to have it; nothing keeps it.
The second is its entry, for TOKENS_FILE or TOKENS of the collector, which knows it by its hash."""


class Scope(StrEnum):
    """What a token may do."""

    WRITE = "write"
    READ = "read"
    ADMIN = "admin"


def _positive(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise typer.BadParameter("it is a number above 0")
    return found


def _expiry(text: str) -> datetime:
    try:
        if span := _SPAN.fullmatch(text):
            return (datetime.now(UTC) + int(span[1]) * _UNITS[span[2]]).replace(microsecond=0)
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise typer.BadParameter("it is like 2027-01-31T00:00:00Z, or 90d, 12h, 30m from now")
    return found


app = typer.Typer(no_args_is_help=True)


@app.callback()
def group() -> None:
    """Make tokens."""


@app.command(help=HELP)
def new(
    *,
    name: Annotated[
        str, typer.Option(help="Whose it is; two may have one name, so that a token can be replaced.")
    ],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; may be given several times.")],
    source: Annotated[
        list[str],
        typer.Option(
            metavar="PATTERN",
            help="With events of which sources; * stands for any text; may be given several times.",
        ),
    ],
    expires: Annotated[
        datetime | None,
        typer.Option(
            metavar="WHEN", help="2027-01-31T00:00:00Z, or in 90d, 12h, 30m (default: never).", parser=_expiry
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="Requests, and events, a second that each process takes of it (default: any).",
            parser=_positive,
        ),
    ] = None,
    burst: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="How many at once (default: those of one second).", parser=_positive),
    ] = None,
) -> int:
    """What `collector token new` does. Raises Stop."""
    secret = new_secret()
    try:
        token = checked(
            Token(
                name=name,
                hash=hash_of(secret),
                scopes=tuple(one.value for one in scope),
                sources=tuple(source),
                expires=expires,
                rate=rate,
                burst=burst,
            )
        )
    except TokensError as error:
        raise Stop(f"token new: {error}", Exit.WRONG) from error
    print(secret)
    print(entry(token))
    print(
        "The first line is the token, shown only here; the second is its entry, for TOKENS_FILE.", file=sys.stderr
    )
    return Exit.DONE
