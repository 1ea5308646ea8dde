"""Events to send: JSON, NDJSON, CSV and commits in, one line of JSON each out, with an id to send it again under.

The text stays as it was, so that no number changes its spelling. Memory holds one piece of it at a time, except of
a JSON document that spans lines.
"""

import csv
import io
import os
import re
import select
import subprocess
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from app.cli.exits import Exit, Stop
from app.events import MAX_EVENT_BYTES

LINGER = 0.1  # seconds that a pipe may be silent before what came so far is sent
PIECE_BYTES = 256 * 1024
FIELDS = ("source", "action", "id", "subject", "time", "seq", "received_at")
GIT_FIELDS = ("%H", "%h", "%aI", "%an", "%s", "%b")
_BOM = b"\xef\xbb\xbf"
_ESCAPED = re.compile(r"'(?=[=+\-@\t\r\n])")  # how an export keeps a spreadsheet from running a cell


@dataclass(frozen=True, slots=True)
class Item:
    """One event: where it stood, and a JSON object on one line; `fault`: why it is none."""

    place: str
    text: bytes
    fault: str | None = None


class _Head(msgspec.Struct):
    id: Any = msgspec.UNSET


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def read(stream: IO[bytes]) -> Iterator[Item | None]:
    """Events as NDJSON, as an array, or a single one; None where no more came for a moment."""
    lines = _lines(stream)
    number, first = _first(lines)
    if first.startswith(b"[") or not _whole(first):
        yield from _document(b"\n".join([first, *filter(None, lines)]))
        return
    yield item(f"line {number}", first)
    for place, line in enumerate(lines, number + 1):
        if line is None:
            number -= 1
            yield None
        elif line.strip():
            yield item(f"line {place}", line)


def item(place: str, text: bytes) -> Item:
    """The event in this text, with an id."""
    try:
        whole = _with_id(text.strip())
    except msgspec.MsgspecError as error:
        return Item(place, text, f"it is no JSON object: {error}")
    if len(whole) > MAX_EVENT_BYTES:
        return Item(place, text, f"an event may have {MAX_EVENT_BYTES} bytes")
    return Item(place, whole)


def of(place: str, fields: Mapping[str, object]) -> Item:
    """The event of these fields."""
    return item(place, _encode({name: value for name, value in fields.items() if value is not None}))


def rows(stream: IO[bytes]) -> Iterator[Item]:
    """Events as CSV, like an export: the first row names the fields, also `data` or `data.NAME`. Raises Stop."""
    with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        table = csv.reader(text)
        names = next(table, [])
        if unknown := [name for name in names if name not in (*FIELDS, "data") and not name.startswith("data.")]:
            raise Stop(f"CSV: the first row names {unknown[0]!r}, which is no field of an event", Exit.WRONG)
        for row in table:
            yield _of_row(f"line {table.line_num}", names, row)


def commits(span: str | None, source: str | None) -> Iterator[Item]:
    """The commits of the repository in this folder, oldest first. Raises Stop."""
    source = source or Path(git("rev-parse", "--show-toplevel")).name
    log = ("git", "log", "--reverse", "-z", f"--format={'%x1f'.join(GIT_FIELDS)}", *([span] if span else []), "--")
    with subprocess.Popen(log, stdout=subprocess.PIPE) as running:
        for text in _until_nul(running.stdout or io.BytesIO()):
            whole, short, time, author, title, body = text.decode(errors="replace").split("\x1f", 5)
            data = {"author": author, "title": title, **({"body": body.strip()} if body.strip() else {})}
            yield of(
                short,
                {"source": source, "action": "commit", "id": whole, "subject": short, "time": time, "data": data},
            )
    if running.returncode:
        raise Stop(f"git log ended with exit code {running.returncode}")


def git(*words: str) -> str:
    """What git says. Raises Stop."""
    try:
        said = subprocess.run(("git", *words), capture_output=True, text=True, check=False)
    except OSError as error:
        raise Stop(f"git: {error.strerror}", Exit.WRONG) from error
    if said.returncode:
        raise Stop(f"git: {said.stderr.strip() or said.returncode}", Exit.WRONG)
    return said.stdout.strip()


def _with_id(text: bytes) -> bytes:
    given = _decode_head(text).id
    if given is None:
        return _encode({**msgspec.json.decode(text), "id": str(uuid.uuid4())})
    line = text.replace(b"\r", b" ").replace(b"\n", b" ")  # none stands within a string of JSON
    if given is not msgspec.UNSET:
        return line
    rest = line[1:].lstrip()
    return b'{"id":"%b"%b%b' % (str(uuid.uuid4()).encode(), b"" if rest.startswith(b"}") else b",", rest)


def _whole(line: bytes) -> bool:
    try:
        _decode_head(line)
    except msgspec.ValidationError:
        return True
    except msgspec.DecodeError:
        return not line.startswith(b"{")
    return True


def _document(text: bytes) -> Iterator[Item]:
    if not text.strip():
        return
    if not text.startswith(b"["):
        yield item("the event", text)
        return
    try:
        events = _decode_raws(text)
    except msgspec.MsgspecError as error:
        raise Stop(f"it is no JSON array: {error}", Exit.WRONG) from error
    for place, one in enumerate(events):
        yield item(f"item {place}", bytes(one))


def _first(lines: Iterator[bytes | None]) -> tuple[int, bytes]:
    number = 0
    for line in lines:
        number += line is not None
        if line is not None and (text := line.removeprefix(_BOM).strip()):
            return number, text
    return number, b""


def _lines(stream: IO[bytes]) -> Iterator[bytes | None]:
    rest, source = b"", stream.fileno()
    while True:
        if not select.select([source], [], [], LINGER)[0]:
            yield None
        piece = os.read(source, PIECE_BYTES)
        if not piece:
            break
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _until_nul(stream: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while piece := stream.read(PIECE_BYTES):
        *whole, rest = (rest + piece).split(b"\0")
        yield from whole
    if rest:
        yield rest


def _of_row(place: str, names: list[str], row: Iterable[str]) -> Item:
    fields: dict[str, Any] = {}
    values = list(row)
    if len(values) != len(names):
        return Item(
            place, ",".join(values).encode(), f"it has {len(values)} cells, the first row has {len(names)}"
        )
    for name, cell in zip(names, values, strict=True):
        text = _ESCAPED.sub("", cell, count=1) if cell.startswith("'") else cell
        if not text:
            continue
        if name in FIELDS:
            fields[name] = text
        elif name == "data":
            fields["data"] = value(text)
        else:
            fields.setdefault("data", {})[name.removeprefix("data.")] = value(text)
    return of(place, fields)


def value(text: str) -> Any:
    """A cell of data: JSON if it is, else the text itself."""
    try:
        msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return text
    return msgspec.Raw(text.encode())
