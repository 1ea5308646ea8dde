"""Proxy: a TCP proxy whose network a test can break, by asyncio.

It runs in the test's event loop, so that a test which goes through it must not block that loop.
"""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Self, get_args
from urllib.parse import urlsplit

from tests.ports import LOOPBACK, free_port

Mode = Literal["pass", "stall", "stall-replies", "drop-replies", "reset", "refuse", "delay"]
Line = asyncio.Queue[tuple[float, bytes]]  # what is on its way, and when it is due by the loop's clock
CHUNK = 65_536  # bytes
CHUNKS_HELD = 16  # of 64 KiB: 1 MiB in flight each way, then the sender is held, as a network would
DIAL_TIMEOUT = 5.0  # seconds
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: close() sends RST, not FIN


class Proxy:
    """A proxy on loopback to one server; as an async context manager it listens inside.

    `mode` can be set at any time, and acts on open connections too:

    - pass: all goes through; what was held goes on
    - stall: nothing goes either way; connections stay open, new ones are accepted and held
    - stall-replies: requests go through, replies are held
    - drop-replies: requests go through, replies are thrown away
    - reset: open connections get an RST, new ones too
    - refuse: open connections are closed, and nothing listens
    - delay: each way takes `delay` seconds more

    A client of a server that is down gets an RST. `bitten` counts what each mode has done to: pieces of data held,
    thrown away or delayed, connections ended.
    """

    def __init__(self, target_host: str, target_port: int, *, delay: float = 0.1) -> None:
        self.port = free_port()
        self.delay = delay
        self.bitten: Counter[Mode] = Counter()
        self._target = (target_host, target_port)
        self._mode: Mode = "pass"
        self._changed = asyncio.Event()
        self._open: dict[asyncio.Task[None], list[socket.socket]] = {}
        self._listener: socket.socket | None = None

    async def __aenter__(self) -> Self:
        self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = list(self._open)
        self.mode = "refuse"
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def mode(self) -> Mode:
        """What the proxy does at present."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"no such mode: {mode}")
        self._mode = mode
        self._changed.set()
        self._changed = asyncio.Event()
        if mode in {"reset", "refuse"}:
            self.bitten[mode] += len(self._open)
            for task in self._open:
                self._cut(task, by_reset=mode == "reset")
        if mode == "refuse":
            self._unlisten()
        else:
            self._listen()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def url_through(self, url: str) -> str:
        """Give the URL with this proxy for its host and port."""
        parts = urlsplit(url)
        account, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{account}{at}{LOOPBACK}:{self.port}").geturl()

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server((LOOPBACK, self.port), backlog=1024)
            self._listener.setblocking(False)
            asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def _unlisten(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        if self._mode == "reset":
            self.bitten["reset"] += 1
            _close(client, by_reset=True)
            return
        _prepare(client)
        sockets = [client]
        task = asyncio.create_task(self._serve(client, sockets))
        self._open[task] = sockets
        task.add_done_callback(self._close)

    def _cut(self, task: asyncio.Task[None], *, by_reset: bool) -> None:
        # The socket may be closed only once nothing waits for it: when the task has ended.
        if by_reset:
            for end in self._open[task]:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        task.cancel()

    def _close(self, task: asyncio.Task[None]) -> None:
        # By a callback, because a task that is cancelled before its first step runs none of its own code.
        for end in self._open.pop(task):
            _close(end)

    async def _serve(self, client: socket.socket, sockets: list[socket.socket]) -> None:
        await self._until_let_through("stall")
        server = socket.socket()
        _prepare(server)
        sockets.append(server)
        with _ended_by_peer(client):
            async with asyncio.timeout(DIAL_TIMEOUT):
                await asyncio.get_running_loop().sock_connect(server, self._target)
            async with asyncio.TaskGroup() as tasks:
                for source, sink in ((client, server), (server, client)):
                    line: Line = asyncio.Queue(CHUNKS_HELD)
                    tasks.create_task(self._receive(source, line))
                    tasks.create_task(self._deliver(line, sink, is_reply=sink is client))

    async def _receive(self, source: socket.socket, line: Line) -> None:
        loop = asyncio.get_running_loop()
        data = b"more"
        while data:
            data = await loop.sock_recv(source, CHUNK)
            delayed = self._mode == "delay"
            self.bitten["delay"] += delayed
            await line.put((loop.time() + (self.delay if delayed else 0), data))

    async def _deliver(self, line: Line, sink: socket.socket, *, is_reply: bool) -> None:
        loop = asyncio.get_running_loop()
        held: tuple[Mode, ...] = ("stall", "stall-replies") if is_reply else ("stall",)
        data = b"more"
        while data:
            due, data = await line.get()
            await asyncio.sleep(max(0, due - loop.time()))
            await self._until_let_through(*held)
            if is_reply and self._mode == "drop-replies":
                self.bitten["drop-replies"] += 1
            else:
                await loop.sock_sendall(sink, data)
        sink.shutdown(socket.SHUT_WR)

    async def _until_let_through(self, *held: Mode) -> None:
        if self._mode in held:
            self.bitten[self._mode] += 1
        while self._mode in held:
            await self._changed.wait()


def _prepare(end: socket.socket) -> None:
    end.setblocking(False)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _close(end: socket.socket, *, by_reset: bool = False) -> None:
    if by_reset:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    end.close()


@contextmanager
def _ended_by_peer(client: socket.socket) -> Iterator[None]:
    # One end is gone or cannot be reached: the other learns it by an RST.
    try:
        yield
    except* OSError:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
