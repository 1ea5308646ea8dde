"""The server: uvicorn's, run from our own code, so that leaving is arriving reversed.

1. SIGTERM: this process says that it is not ready and closes connections after their answer, while it goes on
   accepting for the drain; then it stops accepting, lets requests end, and only then lets go of the database.
2. SIGINT, or a second signal: stop at once. What is not acknowledged is not acknowledged.
"""

import asyncio
import contextlib
import ctypes
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from functools import partial

import uvicorn

from app.connection import Connection, Stall
from app.crowd import Crowd
from app.edge import App
from app.logs import log
from app.shortcuts import Shortcuts

BACKLOG = 2048
SO_ATTACH_FILTER = 26  # of Linux
_DROP = struct.pack("HBBI", 6, 0, 0, 0)  # a BPF program of one instruction: return 0, keep nothing of the packet
LINGER = 0.3  # seconds between closing the listener and closing idle connections: requests are on their way


class Server(uvicorn.Server):
    """Serves `app` on `listener` until it is told to leave; `on_leave` and `on_closed` mark the steps."""

    def __init__(
        self,
        app: App,
        *,
        shortcuts: Shortcuts,
        stall: Stall,
        crowd: Crowd,
        instance: str,
        drain_seconds: float,
        graceful_seconds: float,
        on_leave: Callable[[], None],
        on_closed: Callable[[], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(Connection, shortcuts=shortcuts, stall=stall, crowd=crowd),  # type: ignore[arg-type]  # it makes what is asked for
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # nothing here asks who the client is
                headers=[("Collector-Instance", instance)],
                timeout_graceful_shutdown=max(1, round(graceful_seconds)),
            )
        )
        self._drain_seconds = drain_seconds
        self._on_leave = on_leave
        self._on_closed = on_closed
        self._leaving: asyncio.Task[None] | None = None
        self.hurried = asyncio.Event()  # set once it is told to stop at once

    def leave(self, number: signal.Signals) -> None:
        """A signal has come."""
        if number == signal.SIGINT or self._leaving is not None:
            log.info("stopping at once", signal=number.name)
            self.force_exit = self.should_exit = True
            self.hurried.set()
            return
        log.info("draining", signal=number.name, seconds=self._drain_seconds)
        self._on_leave()
        self._leaving = asyncio.create_task(self._drain(), name="drain")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listener, then what is idle, then wait for what is not."""
        if not self.force_exit:
            await self._stop_listening(sockets or [])
            await asyncio.sleep(LINGER)
            self._on_closed()
            # Once more: a request may have come in just now, whose task has not begun to read.
            asyncio.get_running_loop().call_later(LINGER, self._on_closed)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ours in place of uvicorn's, which raises the signal again once it is done."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.leave, number)
        yield

    async def _stop_listening(self, sockets: list[socket.socket]) -> None:
        # Those whom the kernel has let in and nobody has met yet would be reset. Newcomers are not heard: they
        # try again within a second, and are refused.
        for listener in sockets:
            _deafen(listener)
        waiting = [connection for listener in sockets for connection in _let_in(listener)]
        for server in self.servers:
            server.close()
        for connection in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def _drain(self) -> None:
        await asyncio.sleep(self._drain_seconds)
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.settimeout(0)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _deafen(listener: socket.socket) -> None:
    if sys.platform == "linux":
        program = ctypes.create_string_buffer(_DROP)
        with contextlib.suppress(OSError):  # a kernel that lacks it leaves a gap of microseconds
            listener.setsockopt(
                socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program))
            )


def _let_in(listener: socket.socket) -> Iterator[socket.socket]:
    with contextlib.suppress(OSError):  # of which BlockingIOError says that nobody is left
        while True:
            connection, _ = listener.accept()
            connection.settimeout(0)
            yield connection
