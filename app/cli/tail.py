"""`collector tail`: events as they are committed, for as long as one likes. Server-Sent Events, httpx, rich."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import httpx
import msgspec
import typer
from rich.text import Text

from app.cli import screen
from app.cli.caller import Caller, Waits, stopping
from app.cli.exits import Exit, Stop
from app.cli.options import Where, Which
from app.events import Stored

FOR_EVER = float("inf")
SAVE_SECONDS = 1.0  # between two notes of the place
ENOUGH = 200  # characters of data
HELP = """Follow events as they are committed; Ctrl-C ends it.

It comes back by itself when the connection breaks, and goes on where it was. What the collector left out, because
retention had dropped it or this was too slow, is told on standard error.

--since begins there instead of now. --resume FILE keeps its place in FILE, and goes on from there next time."""

Show = Callable[[bytes], None]
_decode = msgspec.json.Decoder(Stored).decode


class _Gap(msgspec.Struct, frozen=True):
    after: int
    through: int


_decode_gap = msgspec.json.Decoder(_Gap).decode
_decode_page = msgspec.json.Decoder(list[Stored]).decode


@dataclass(frozen=True, slots=True)
class Frame:
    """One of Server-Sent Events."""

    cursor: int
    kind: str
    data: bytes


def tail(
    *,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="FILE", help="Keep the place here, and begin there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    which: Which,
    where: Where,
) -> None:
    """What `collector tail` does."""
    parameters = [(name, value) for name, value in which.parameters if name != "since"]
    with stopping(), Caller(where.url, where.token, patience=FOR_EVER, note=_note) as caller:
        place = Place(resume)
        if place.cursor is None and which.since is not None:
            place.move(_beginning(caller, which.parameters))
        try:
            _follow(caller, parameters, place, _json if as_json else _painted())
        finally:
            place.save()


class Place:
    """The last event that was told, kept in a file if there is one. Raises Stop if that is something else."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._saved = time.monotonic()
        self.cursor: int | None = None
        if file is not None and file.exists():
            try:
                self.cursor = int(file.read_text())
            except (OSError, ValueError) as error:
                raise Stop(f"--resume: {file} holds no place in a log: {error}", Exit.WRONG) from error

    def move(self, cursor: int) -> None:
        """This was told."""
        self.cursor = cursor
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Keep it; the file is whole at every moment. Raises Stop."""
        self._saved = time.monotonic()
        if self._file is None or self.cursor is None:
            return
        part = self._file.with_name(f"{self._file.name}.part")
        try:
            part.write_text(f"{self.cursor}\n")
            part.replace(self._file)
        except OSError as error:
            raise Stop(f"--resume: cannot write {self._file}: {error.strerror}", Exit.WRONG) from error


def frames(lines: Iterator[str]) -> Iterator[Frame]:
    """Of the lines of a stream; `from` is where it begins."""
    cursor, kind, data = 0, "message", b""
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                yield Frame(cursor, kind, data)
            kind, data = "message", b""
        elif line.startswith(": from "):
            yield Frame(int(line.removeprefix(": from ")), "from", b"")
        elif name == "id":
            cursor = int(value)
        elif name == "event":
            kind = value
        elif name == "data":
            data += value.encode()


def _follow(caller: Caller, parameters: list[tuple[str, str]], place: Place, show: Show) -> NoReturn:
    waits = Waits(FOR_EVER, _note)
    while True:
        headers = {"Accept": "text/event-stream"}
        if place.cursor is not None:
            headers["Last-Event-ID"] = str(place.cursor)
        try:
            with caller.stream("/events/stream", parameters, headers) as answer:
                for frame in frames(answer.iter_lines()):
                    waits.well()
                    _tell(frame, show)
                    place.move(frame.cursor)
            raise httpx.RemoteProtocolError("the stream has ended")
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            waits.after(error, caller.url)


def _tell(frame: Frame, show: Show) -> None:
    if frame.kind == "gap":
        gap = _decode_gap(frame.data)
        _note(f"gap: what came after {gap.after}, up to {gap.through}, is left out")
    elif frame.kind == "message":
        show(frame.data)


def _json(event: bytes) -> None:
    screen.write(event + b"\n")
    sys.stdout.flush()


def _painted() -> Show:
    console = screen.out()

    def show(line: bytes) -> None:
        event = _decode(line)
        data = bytes(event.data).decode()
        text = Text(f"{event.time.astimezone():%H:%M:%S} ", style="dim")
        text.append(screen.safe(event.source), style="cyan").append(" ").append(
            screen.safe(event.action), style="green"
        )
        text.append(f" {screen.safe(event.subject)}" if event.subject else "", style="bold")
        text.append("" if data == "null" else f" {screen.safe(data[:ENOUGH])}", style="dim")
        console.print(text, soft_wrap=True)

    return show


def _beginning(caller: Caller, parameters: list[tuple[str, str]]) -> int:
    """Just before the first event that matches."""
    answer = caller.get("/events", [*parameters, ("order", "asc"), ("limit", "1")])
    if found := _decode_page(answer.content):
        return found[0].seq - 1
    return int(httpx.URL(answer.links["next"]["url"]).params["cursor"])


def _note(line: str) -> None:
    screen.err().print(screen.safe(line), style="yellow")
