"""`collector send`: events from flags, a file, a pipe or git to a collector, or into a queue file. Typer."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from app.cli import incoming
from app.cli.caller import Away, Caller, stopping
from app.cli.exits import Exit, Stop
from app.cli.incoming import Item
from app.cli.options import Where
from app.cli.posting import Poster, Tally, batches
from app.cli.queue import Queue
from app.cli.screen import Bar, progress, safe

WAIT = 60.0  # seconds
WAIT_WITH_QUEUE = 5.0
PAUSE = 5.0  # seconds between attempts while a pipe goes on
SHOWN = 200  # characters of a rejected event
FLAGS = "An event by its flags"
HELP = """Send events: one by flags, or many from FILE or standard input, as JSON, NDJSON or CSV.

Each gets an id if it has none, so that sending again stores nothing twice. What is rejected is told line by line.

With --queue they are on disk before anything else happens, and stay there, in order, while the collector is away:
exit code 4. The next `send` with that queue sends them first; so does `send --flush`."""


def _flag(help_: str, **more: Any) -> Any:
    return typer.Option(help=help_, rich_help_panel=FLAGS, **more)


@dataclass(frozen=True, kw_only=True, slots=True)
class Flags:
    """An event by its flags."""

    source: Annotated[str | None, _flag("Who. With --from-git: instead of the repository's name.")] = None
    action: Annotated[str | None, _flag("What.")] = None
    subject: Annotated[str | None, _flag("What it is about.")] = None
    data: Annotated[str | None, _flag("JSON; what is none is kept as text.")] = None
    time: Annotated[str | None, _flag("When it happened, RFC 3339 with an offset (default: now).")] = None
    id: Annotated[str | None, _flag("With the source the event's identity (default: a new one).")] = None

    @property
    def given(self) -> dict[str, Any]:
        """Those that are."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) is not None}


def send(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]", help="What to send; - is standard input. With --from-git: a range of commits."
        ),
    ] = None,
    *,
    csv: Annotated[bool, typer.Option("--csv", help="It is CSV (as a FILE *.csv is anyway).")] = False,
    from_git: Annotated[
        bool, typer.Option("--from-git", help="Send the commits of this repository, or a range like v1..main.")
    ] = False,
    queue: Annotated[
        Path | None, typer.Option("--queue", metavar="FILE", help="Keep the events here until they are stored.")
    ] = None,
    flush: Annotated[bool, typer.Option("--flush", help="Send what waits in the queue, and nothing new.")] = False,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            min=0,
            metavar="SECONDS",
            help="How long the collector may be away (default: 60; with --queue 5).",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Tell of what is wrong alone.")] = False,
    flags: Flags,
    where: Where,
) -> int:
    """What `collector send` does."""
    if flush and queue is None:
        raise Stop("--flush sends what waits in a queue: name it with --queue FILE", Exit.WRONG)
    items = _items(file, flags, csv=csv, from_git=from_git) if not flush else iter(())
    wait = wait if wait is not None else WAIT if queue is None else WAIT_WITH_QUEUE
    with (
        stopping(),
        progress("sending", _total(file, from_git=from_git)) as bar,
        Caller(where.url, where.token, patience=wait, note=partial(bar.say, style="yellow")) as caller,
    ):
        if queue is None:
            code, told = _straight(Poster(caller), items, bar)
        else:
            with closing(Queue(queue)) as waiting:
                code, told = _Through(waiting, caller, bar).run(items, wait)
    if told and not quiet:
        print(told, file=sys.stderr)
    return code


def _straight(poster: Poster, items: Iterable[Item | None], bar: Bar) -> tuple[Exit, str]:
    tally = Tally()
    try:
        for batch in batches(items):
            tally += poster.post(batch, partial(_reject, bar))
            bar.advance(len(batch))
    except BaseException:
        if tally != Tally():
            bar.say(f"{tally}, and not all was sent")
        raise
    return (Exit.FAILED if tally.rejected else Exit.DONE), str(tally)


class _Through:
    """Events by way of a queue: onto the disk first, then to the collector."""

    def __init__(self, queue: Queue, caller: Caller, bar: Bar) -> None:
        self._queue, self._caller, self._bar = queue, caller, bar
        self._sent, self._bad, self._mine, self._again = Tally(), 0, range(0), 0.0

    def run(self, items: Iterable[Item | None], wait: float) -> tuple[Exit, str]:
        """Keep all of them, and send what can be sent."""
        for batch in batches(items):
            self._append(batch)
            # A pipe may go on for days: what it has brought leaves meanwhile, and keeps no next one from the disk.
            if time.monotonic() >= self._again and not self._flush(0):
                self._again = time.monotonic() + PAUSE
        self._flush(wait)
        left = self._queue.waiting()
        if self._queue.waiting(self._mine) if self._mine else left:
            return Exit.QUEUED, f"{left} queued" + (f", {self._sent}" if self._sent != Tally() else "")
        rejected = self._bad + (self._sent.rejected or len(self._queue.rejected(self._mine)))
        return (Exit.FAILED if rejected else Exit.DONE), str(self._sent + Tally(rejected=self._bad))

    def _append(self, batch: Sequence[Item]) -> None:
        good = [one for one in batch if one.fault is None]
        for one in batch:
            if one.fault is not None:
                _reject(self._bar, one, one.fault)
        self._bad += len(batch) - len(good)
        numbers = self._queue.append(good)
        self._mine = range(self._mine.start or numbers.start, numbers.stop)

    def _flush(self, patience: float) -> bool:
        poster = Poster(self._caller.patient(patience))
        with self._queue.sending(patience) as alone:
            try:
                if alone:
                    self._sent += self._queue.flush(poster, partial(_reject, self._bar), self._bar.advance)
            except Away as away:
                if patience:
                    self._bar.say(str(away), "yellow")
                return False
        return alone


def _items(file: str | None, flags: Flags, *, csv: bool, from_git: bool) -> Iterator[Item | None]:
    """What is to be sent. Raises Stop, at the latest while it is read."""
    given = flags.given
    if from_git:
        yield from incoming.commits(file, flags.source)
    elif given:
        if file is not None:
            raise Stop("send: an event by its flags, or those of a FILE; not both", Exit.WRONG)
        if missing := {"source", "action"} - given.keys():
            raise Stop(f"send: which --{min(missing)}? `--help` says more", Exit.WRONG)
        data = {"data": incoming.value(given["data"])} if "data" in given else {}
        yield incoming.of("the event", {**given, **data})
    else:
        if file in (None, "-") and sys.stdin.isatty():
            raise Stop("send: what? Flags, a FILE, or a pipe; `--help` says more", Exit.WRONG)
        with _opened(file) as stream:
            yield from incoming.rows(stream) if csv or (file or "").endswith(".csv") else incoming.read(stream)


@contextmanager
def _opened(file: str | None) -> Iterator[IO[bytes]]:
    if file in (None, "-"):
        yield sys.stdin.buffer
        return
    try:
        stream = Path(file or "").open("rb")  # noqa: SIM115 - what goes wrong later is not about opening
    except OSError as error:
        raise Stop(f"cannot read {file}: {error.strerror}", Exit.WRONG) from error
    with stream:
        yield stream


def _total(file: str | None, *, from_git: bool) -> int | None:
    return int(incoming.git("rev-list", "--count", file or "HEAD", "--")) if from_git else None


def _reject(bar: Bar, one: Item, reason: str) -> None:
    bar.say(f"rejected: {one.place}: {reason}: {safe(one.text.decode(errors='replace')[:SHOWN])}", "red")
