"""`collector stats`: counts over time, drawn as sparklines. Typer, rich."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from app.cli import screen
from app.cli.caller import Caller, stopping
from app.cli.exits import Exit
from app.cli.options import Where, Which

PATIENCE = 10.0  # seconds
BARS = "▁▂▃▄▅▆▇█"
WIDEST = 60  # characters of a sparkline
HELP = (
    """Count events over time, by source and action: the last 24 hours unless --since and --until say otherwise."""
)


class _Line(msgspec.Struct, frozen=True):
    total: int
    counts: tuple[int, ...]
    source: str | None = None
    action: str | None = None


class _Stats(msgspec.Struct, frozen=True):
    since: datetime
    until: datetime
    step: float
    series: tuple[_Line, ...]


_decode = msgspec.json.Decoder(_Stats).decode


def stats(
    *,
    by: Annotated[str, typer.Option(metavar="FIELDS", help="source, action, or both: source,action.")] = "source",
    step: Annotated[
        str | None, typer.Option(metavar="TIME", help="Width of a bar: 30s, 5m, 1h (default: a sixtieth).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="What the collector answers.")] = False,
    which: Which,
    where: Where,
) -> int:
    """What `collector stats` does."""
    with stopping(), Caller(where.url, where.token, patience=PATIENCE) as caller:
        more = [("by", by), *([("step", step)] if step is not None else [])]
        answer = caller.get("/events/stats", [*which.parameters, *more])
    if as_json:
        screen.write(answer.content + b"\n")
        return Exit.DONE
    _draw(_decode(answer.content), by.split(","))
    return Exit.DONE


def sparkline(counts: Sequence[int], width: int, highest: int | None = None) -> str:
    """The counts as bars, neighbours summed up where there are more than fit; no bar for none."""
    each = -(-len(counts) // max(width, 1)) or 1
    sums = [sum(counts[start : start + each]) for start in range(0, len(counts), each)]
    top = highest or max(sums, default=0)
    return "".join(BARS[min(7, (count * 8 - 1) // top)] if count else " " for count in sums)


def _draw(found: _Stats, by: Sequence[str]) -> None:
    console = screen.out()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in by:
        table.add_column(name.upper(), style="cyan", no_wrap=True, overflow="ellipsis")
    table.add_column("EVENTS", justify="right")
    table.add_column(f"{_moment(found.since)} to {_moment(found.until)}", style="green", no_wrap=True)
    names = [[getattr(line, name) or "" for name in by] for line in found.series]
    used = sum(max((len(row[n]) for row in names), default=0) + 2 for n in range(len(by))) + 10
    width = max(10, min(WIDEST, console.width - used))
    for row, line in zip(names, found.series, strict=True):
        table.add_row(
            *(Text(screen.safe(name)) for name in row), f"{line.total:,}", Text(sparkline(line.counts, width))
        )
    console.print(table)


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone():%d %b %H:%M}"
