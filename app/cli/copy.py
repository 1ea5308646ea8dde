"""`collector copy FROM TO`: `collector query --all | collector send` in one process, with its end in sight. Typer.

What is sent is what was read, so that a second run finds duplicates where the first one wrote: it may be ended and
begun again at any time, and the last run before the clients move over brings what came since. `seq` and
`received_at` are the target's own.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from app.cli import export
from app.cli.caller import Away, Caller, Refused, Waits, stopping
from app.cli.exits import Exit
from app.cli.incoming import Item
from app.cli.options import address, secret
from app.cli.posting import Poster, Tally, batches
from app.cli.screen import Bar, progress, safe

PATIENCE = 60.0  # seconds for a collector that is away, or answers 503
OFTEN_TOLD = 10  # rejected events that are named
SHOWN = 200  # characters of each
HELP = """Copy every event of the collector at one URL into the one at another, ids kept.

It may be ended and begun again: what is there already is not stored twice."""


class _Source(msgspec.Struct, frozen=True):
    events: int


_decode_sources = msgspec.json.Decoder(list[_Source]).decode


def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="Like http://one:8080.", parser=address)],
    target: Annotated[str, typer.Argument(metavar="TO", help="Like http://other:8080.", parser=address)],
    *,
    from_token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The token for the one, of scope read.")
    ] = None,
    to_token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The token for the other, of scope write.")
    ] = None,
) -> int:
    """What `collector copy` does."""
    reads, writes = secret(from_token_file), secret(to_token_file)
    with (
        stopping(),
        Caller(source, reads, patience=PATIENCE) as one,
        progress("copying", _total(one)) as bar,
        Caller(target, writes, patience=PATIENCE, note=bar.say) as other,
    ):
        tally = _copied(one, Poster(other, committed=True), bar)
    print(_told(tally))
    return Exit.FAILED if tally.rejected else Exit.DONE


def _copied(one: Caller, poster: Poster, bar: Bar) -> Tally:
    tally = Tally()
    lines = export.lines(one, [("order", "asc")], Waits(PATIENCE, bar.say), limit=None)
    try:
        for batch in batches(Item("an event", line) for line in lines):
            tally += poster.post(batch, partial(_reject, bar, tally.rejected))
            bar.advance(len(batch))
    except BaseException:
        bar.say(f"{_told(tally)} so far")
        raise
    return tally


def _told(tally: Tally) -> str:
    return f"{tally.stored} copied, {tally.duplicates} were there, {tally.rejected} rejected"


def _reject(bar: Bar, before: int, event: Item, reason: str) -> None:
    if before < OFTEN_TOLD:
        bar.say(f"rejected: {reason}: {safe(event.text.decode(errors='replace')[:SHOWN])}", "red")


def _total(one: Caller) -> int | None:
    """About as many as there are: those that counts leave out are few. None where nobody can say just now."""
    try:
        return sum(source.events for source in _decode_sources(one.patient(0).get("/sources", []).content))
    except (Away, Refused):
        return None
