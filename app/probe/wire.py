"""One HTTP/1.1 connection of the probe's: asyncio and httptools.

Made for this, since what a request costs the probe is time that the collector seems to take: where both share two
cores, a client library of the usual kind takes ten times as much for a request as the collector does.
"""

import asyncio
import ssl
import time
from typing import NamedTuple, cast

from httptools import HttpParserError, HttpResponseParser


class Cut(Exception):
    """The connection ended before the answer did, or what came was no answer."""


class Answer(NamedTuple):
    """Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire(asyncio.Protocol):
    """A connection, for one request after another. `closed`: it cannot take another one."""

    def __init__(self) -> None:
        self.closed = False
        self.opened = time.monotonic()
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    @classmethod
    async def open(cls, host: str, port: int, context: ssl.SSLContext | None) -> "Wire":
        """Connect. Raises OSError."""
        _, wire = await asyncio.get_running_loop().create_connection(cls, host, port, ssl=context)
        return wire

    async def ask(self, request: bytes) -> Answer:
        """Send a whole request. Raises Cut. Who stops waiting has to close."""
        self._headers, self._body = {}, bytearray()
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None or self.closed:
            raise Cut
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Let go of it."""
        self.closed = True
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """A piece of an answer."""
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self.close()
            self._fail()

    def connection_lost(self, _: Exception | None) -> None:
        """It has ended."""
        self.closed = True
        self._fail()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the answer's head."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        self._body += body

    def on_message_complete(self) -> None:
        """All of it has come."""
        status = self._parser.get_status_code()
        if status < 200:  # the answer itself comes later
            self._headers, self._body = {}, bytearray()
            return
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(status, self._headers, bytes(self._body)))

    def _fail(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Cut())
