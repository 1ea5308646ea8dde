"""Wire: HTTP/1.1 by hand on one connection, to see what it does, and to send half a request."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tests.ports import LOOPBACK

JSON = {"Content-Type": "application/json"}


class Cut(ConnectionError):
    """The connection ended before the answer was complete."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object."""
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value

    @property
    def closes(self) -> bool:
        """Whether it says that the connection ends."""
        return self.headers.get("connection") == "close"


class Wire:
    """One connection to a port of loopback."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect. Raises ConnectionRefusedError where nobody listens."""
        return cls(*await asyncio.open_connection(LOOPBACK, port))

    @property
    def ended(self) -> bool:
        """Whether the other side has closed it, as far as this one knows."""
        return self._reader.at_eof() or self._writer.is_closing()

    async def send(self, data: bytes) -> None:
        """Send bytes. Raises Cut."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise Cut from error

    async def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send a request and wait for its answer. Raises Cut."""
        await self.send(request(method, path, body, **headers))
        return await self.answer()

    async def answer(self) -> Answer:
        """Read one answer. Raises Cut."""
        try:
            return await self._answer()
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Cut from error

    async def rest(self) -> bytes:
        """Everything until the other side closes. Raises Cut where it resets."""
        try:
            return await self._reader.read()
        except OSError as error:
            raise Cut from error

    async def until(self, text: bytes) -> bytes:
        """Everything until `text`. Raises Cut."""
        try:
            return await self._reader.readuntil(text)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Cut from error

    def close(self) -> None:
        """Close it, with a FIN."""
        self._writer.close()

    def abort(self) -> None:
        """Let go of it at once, whatever is under way."""
        self._writer.transport.abort()

    async def _answer(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        status = int(first.split()[1])
        if headers.get("transfer-encoding") == "chunked":
            body = await self._chunks()
        else:
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(status, headers, body)

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return body


def request(method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
    """The bytes of a request; `content_type=…` becomes Content-Type."""
    lines = {"Host": "collector", **({} if body is None else JSON | {"Content-Length": str(len(body))})}
    lines |= {name.replace("_", "-").title(): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b"")


async def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """One request on a connection of its own. Raises ConnectionRefusedError, Cut."""
    wire = await Wire.open(port)
    try:
        return await wire.ask(method, path, body, **headers)
    finally:
        wire.close()


def event(source: str, id_: str, **more: object) -> bytes:
    """An event's JSON."""
    return json.dumps({"source": source, "action": "test", "id": id_, **more}).encode()
