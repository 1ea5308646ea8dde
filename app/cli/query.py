"""`collector query`: events as a table, JSON, NDJSON or CSV. Typer, rich."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import IO, Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from app.cli import export
from app.cli.caller import Caller, Waits, stopping
from app.cli.exits import Exit, Stop
from app.cli.options import Where, Which
from app.cli.screen import err, out, progress, safe
from app.events import Stored
from app.formats import write_csv

LIMIT = 100
WIDEST = 32  # characters of a column
AT_ONCE = 500  # events formatted at once
PATIENCE = 60.0  # seconds that the collector may be away in the middle of it
HELP = """Read events: as a table on a terminal, else one JSON object a line.

The newest 100, or with --all every one, oldest first, in constant memory.

`collector query --all | collector send --url http://other:8080` moves a collector, ids kept, however often."""

Write = Callable[[bytes], object]
_decode = msgspec.json.Decoder(Stored).decode


class Format(StrEnum):
    """How events are written."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


def query(
    *,
    all_: Annotated[bool, typer.Option("--all", help="Every event that matches, oldest first.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="At most so many (default: 100).")
    ] = None,
    order: Annotated[str | None, typer.Option(metavar="asc|desc", help="Oldest or newest first.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
    as_ndjson: Annotated[bool, typer.Option("--ndjson", help="One JSON object a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV, safe to open in a spreadsheet.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write here; complete or not at all.")
    ] = None,
    which: Which,
    where: Where,
) -> int:
    """What `collector query` does."""
    chosen = [
        one
        for one, wanted in zip((Format.JSON, Format.NDJSON, Format.CSV), (as_json, as_ndjson, as_csv), strict=True)
        if wanted
    ]
    if len(chosen) > 1 or (all_ and limit is not None):
        raise Stop("query: one of --json, --ndjson, --csv; one of --all, --limit", Exit.WRONG)
    watched = output is None and sys.stdout.isatty()
    how = chosen[0] if chosen else Format.TABLE if watched else Format.NDJSON
    parameters = [*which.parameters, ("order", order or ("asc" if all_ else "desc"))]
    most = None if all_ else limit or LIMIT
    with stopping(), Caller(where.url, where.token, patience=PATIENCE) as caller, _target(output) as file:
        waits = Waits(PATIENCE, lambda line: err().print(safe(line), style="yellow"))
        lines = export.lines(caller, parameters, waits, limit=most)
        if output is not None:
            with progress("reading") as bar:
                _write(file, how, (bar.counted(line) for line in lines))
        else:
            _write(file, how, lines)
    return Exit.DONE


def _write(file: IO[bytes], how: Format, lines: Iterator[bytes]) -> None:
    match how:
        case Format.NDJSON:
            for line in lines:
                file.write(line + b"\n")
        case Format.JSON:
            _array(file, lines)
        case Format.CSV:
            file.write(write_csv((), header=True))
            for some in _some(lines):
                file.write(write_csv(some, header=False))
        case Format.TABLE:
            for some in _some(lines):
                out().print(_table(some))
    file.flush()


def _array(file: IO[bytes], lines: Iterable[bytes]) -> None:
    before = b"["
    for line in lines:
        file.write(before + line)
        before = b",\n"
    file.write(b"]\n" if before != b"[" else b"[]\n")


def _some(lines: Iterator[bytes]) -> Iterator[list[Stored]]:
    while some := [_decode(line) for line in islice(lines, AT_ONCE)]:
        yield some


def _table(events: Iterable[Stored]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name, style in (("TIME", "dim"), ("SOURCE", "cyan"), ("ACTION", "green"), ("SUBJECT", "")):
        table.add_column(name, style=style, no_wrap=True, overflow="ellipsis", max_width=WIDEST)
    table.add_column("DATA", style="dim", no_wrap=True, overflow="ellipsis", ratio=1)  # what is left
    for event in events:
        data = bytes(event.data).decode()
        cells = (
            f"{event.time.astimezone():%Y-%m-%d %H:%M:%S}",
            event.source,
            event.action,
            event.subject or "",
            "" if data == "null" else data,
        )
        table.add_row(*(Text(safe(cell)) for cell in cells))
    return table


@contextmanager
def _target(output: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that gets its name once it is complete. Raises Stop."""
    if output is None:
        yield sys.stdout.buffer
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(output)
    except OSError as error:
        raise Stop(f"cannot write {output}: {error.strerror}", Exit.WRONG) from error
