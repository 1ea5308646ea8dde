"""HTTP/1.1 connections: uvicorn's, with a shortcut for what comes most often.

1. A request that came whole in one read, and for whose path there is a shortcut, is answered from here: no task,
   no ASGI messages, one write.
2. A shortcut knows the plain case alone. Whatever else turns up, at its beginning or at its end, the request goes
   the ordinary way with what was begun in its scope, so that nothing is done twice and each answer has one author.
3. A client that takes nothing of its answer for a while is cut off, however slow one may be that takes a little.
   One that sends too little, or comes when too many are here, is told so and let go (`app.guarded`).
"""

import asyncio
import fcntl
import socket
import struct
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.crowd import Crowd
from app.deadlines import BODY, HEAD, LEAVING, WHOLE
from app.edge import ARRIVED, BEGUN, MAX_HEAD
from app.guarded import Guarded
from app.shortcuts import Begun, Reply, Shortcut, Shortcuts
from app.upgrades import plain_head


@dataclass(slots=True)
class _Exchange:
    """A request on its shortcut. It stands where uvicorn keeps its cycle, and has what uvicorn asks of that."""

    method: bytes
    path: bytes
    query: bytes
    lines: list[tuple[bytes, bytes]]
    headers: dict[bytes, bytes]
    body: bytes
    arrived: float
    begun: Begun | None = None
    keep_alive: bool = True
    more_body: bool = False
    response_complete: bool = False
    disconnected: bool = False
    message_event: asyncio.Event = asyncio.Event()  # noqa: RUF009 - nobody waits for it


@dataclass(frozen=True, slots=True)
class Stall:
    """After how long a client that takes nothing is cut off, so that it does not hold what it is to be given."""

    seconds: float
    count: Callable[[], None]


class Connection(Guarded):
    """One client's connection."""

    def __init__(self, *arguments: Any, shortcuts: Shortcuts, stall: Stall, crowd: Crowd, **named: Any) -> None:
        super().__init__(*arguments, shortcuts=shortcuts, crowd=crowd, **named)
        self._stall = stall
        self._stalling: asyncio.TimerHandle | None = None
        self._short = False  # whether what is being read is small enough for a shortcut
        self._whole = False  # whether the request being read began in this read
        self._taken: Shortcut | None = None  # the shortcut of a request whose end has not been read
        self._method = self._path = self._query = self._body = b""
        self._wished = False  # whether what is being read began with a wish for another protocol
        self._serving: RequestResponseCycle | None = None  # the one under way on the ordinary way

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended. Its timer would hold on to it where a client has reset it."""
        super().connection_lost(exc)
        self._let_go()
        if self._stalling is not None:
            self._stalling.cancel()
            self._stalling = None

    def eof_received(self) -> None:
        """The client has hung up, and what is answered now would be written to nobody."""
        self._let_go()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        pace = self.pace
        if (before := pace.stage) == LEAVING:
            return
        pace.begun = 0
        self._short = len(data) <= MAX_HEAD
        self._parse(data)
        self._whole = False
        if self._taken is not None:
            self._taken = None
            self._begin_ordinary()
        if pace.stage in (HEAD, BODY):
            self._note_read(before, len(data))

    def pause_writing(self) -> None:
        """The client takes less than it is given: it is watched."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """It has taken nearly all."""
        super().resume_writing()
        if self._stalling is not None:
            self._stalling.cancel()

    def on_message_begin(self) -> None:
        """A request begins: what it needs for the ordinary way waits until it goes there."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._whole = self._short
        self.pace.begin()

    def on_headers_complete(self) -> None:
        """A request's head is there. Lines that come after a body are no part of it: they would bypass a proxy."""
        self._wished = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if self._wished:
            return
        self.pace.body()
        self._lines, self.headers = self.headers, []
        if self._guest:
            self._greet()
        self._taken, self._body = self._shortcut(), b""
        if self._taken is None:
            self._begin_ordinary()
        if self._guest:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of its body is there."""
        if self._taken is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """All of it is there."""
        if self._wished:
            return
        if self._taken is None:
            super().on_message_complete()
            if self.cycle.response_complete:
                self._be_idle()
            else:
                self.pace.stage = WHOLE
            return
        self.pace.stage = WHOLE
        shortcut, self._taken = self._taken, None
        headers = dict(self._lines)
        self.cycle = exchange = _Exchange(  # type: ignore[assignment]
            self._method, self._path, self._query, self._lines, headers, self._body, time.perf_counter()
        )
        if len(headers) == len(self._lines) and b"host" in headers:
            try:
                exchange.begun = shortcut(headers, exchange.query, self._body)
            except Exception:  # noqa: BLE001 - it comes up again on the ordinary way, which knows how to tell it
                exchange.begun = None
        if exchange.begun is None:
            self._go_ordinary(exchange)
        else:
            exchange.begun.answer.add_done_callback(partial(self._done, exchange))

    def on_response_complete(self) -> None:
        """An answer has gone: the next request, or idleness."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.pace.stage == WHOLE:
            self._be_idle()

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as upgrade:
                data = self._declined(data[upgrade.args[0] :])
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
                data = b""

    def _declined(self, rest: bytes) -> bytes:
        """What to read in place of a request for another protocol and of what came after its head."""
        if not self._wished:  # a CONNECT, which there is none here either
            self.transport.close()
            return b""
        head = plain_head(self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers)
        self.parser = httptools.HttpRequestParser(self)
        self.pace.begun = 0
        return head + rest

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._serving = cycle
        super()._start_asgi_task(cycle, app)

    def _let_go(self) -> None:
        # The one under way is not the last that was read, where requests come before their answers.
        if self._serving is not None:
            self._serving.disconnected = True
            self._serving.message_event.set()

    def _unset_keepalive_if_required(self) -> None:
        pass  # there is no timer to take back

    def _watch(self) -> None:
        self._stalling = self.loop.call_later(self._stall.seconds, self._judge, _untaken(self.transport))

    def _judge(self, before: int) -> None:
        if _untaken(self.transport) < before:
            self._watch()  # slow is no fault
        else:
            self._stall.count()
            self.transport.abort()  # a close would wait for it

    def _shortcut(self) -> Shortcut | None:
        if not self._whole or self.expect_100_continue or self.flow.write_paused or self._shortcuts.leaving:
            return None
        if self.cycle is not None and not self.cycle.response_complete:
            return None  # it has to wait for the one before it
        self._method = self.parser.get_method()
        self._path, _, self._query = self.url.partition(b"?")
        shortcut = self._shortcuts.table.get((self._method, self._path))
        plain = (
            shortcut is not None
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and b"#" not in self.url
        )
        return shortcut if plain else None

    def _done(self, exchange: _Exchange, _: "asyncio.Future[Any]") -> None:
        try:
            reply = exchange.begun.reply() if exchange.begun else None
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - likewise
            reply = None
        if reply is None:
            self._go_ordinary(exchange)
            return
        if not self.transport.is_closing():
            self._write(exchange, reply)
        exchange.response_complete = True
        route = f"{exchange.method.decode()} {exchange.path.decode()}"
        self._shortcuts.count(route, reply.status, time.perf_counter() - exchange.arrived)
        self.on_response_complete()

    def _write(self, exchange: _Exchange, reply: Reply) -> None:
        stays = exchange.keep_alive and not self._shortcuts.leaving
        head = self._shortcuts.head(reply.status, self.server_state.default_headers, exchange.headers)
        end = b"\r\n" if stays else b"connection: close\r\n\r\n"
        self.transport.write(head + reply.lines + end + reply.body)
        if not stays:
            self.transport.close()

    def _begin_ordinary(self) -> None:
        """Go on as uvicorn does from a request's head, with what has been read of its body."""
        url, headers, expects = self.url, self._lines, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()
        self.headers = []
        if self._body:
            super().on_body(self._body)

    def _go_ordinary(self, exchange: _Exchange) -> None:
        """Give a whole request to the application; the parser may be at the next one already."""
        cycle = RequestResponseCycle(
            scope=self._scope(exchange),  # type: ignore[arg-type]  # with keys of our own
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=exchange.keep_alive,
            on_response=self.on_response_complete,
        )
        cycle.body, cycle.more_body = bytearray(exchange.body), False
        cycle.message_event.set()
        cycle.disconnected = self.transport.is_closing()
        if cast(object, self.cycle) is exchange:
            self.cycle = cycle
        self._start_asgi_task(cycle, self.app)

    def _scope(self, exchange: _Exchange) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "headers": exchange.lines,
            "state": self.app_state.copy(),
            "method": exchange.method.decode(),
            "path": exchange.path.decode(),
            "raw_path": exchange.path,
            "query_string": exchange.query,
            ARRIVED: exchange.arrived,
            BEGUN: exchange.begun,
        }


def _untaken(transport: asyncio.Transport) -> int:
    """Bytes that the client has not taken: those here, and those in the kernel, which holds megabytes."""
    sock: socket.socket = transport.get_extra_info("socket")
    try:
        (queued,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
    except (OSError, ValueError):
        queued = 0
    return transport.get_write_buffer_size() + int(queued)
