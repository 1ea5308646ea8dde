"""Front: what a Service is to clients: one address, behind which connections go to the ready endpoints in turn.

What a connection has been given to it keeps, whoever is ready later. A change of the endpoints takes effect after
`lag` seconds, as it takes time to reach every node: hence a process that leaves has to go on accepting.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Self

from tests.ports import LOOPBACK, free_port

CHUNK = 65_536  # bytes
DIAL_TIMEOUT = 1.0  # seconds


class Front:
    """A front on loopback; as an async context manager it listens inside. Without endpoints it resets."""

    def __init__(self, *, lag: float = 0.0) -> None:
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._lag = lag
        self._endpoints: list[int] = []
        self.connections = 0  # that clients have opened so far
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port, backlog=1024)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def update(self, ports: Sequence[int]) -> None:
        """Give new connections to these ports, from `lag` seconds on."""
        asyncio.get_running_loop().call_later(self._lag, self._take, list(ports))

    def _take(self, ports: list[int]) -> None:
        self._endpoints = ports

    def _next(self) -> int | None:
        self.connections += 1
        return self._endpoints[self.connections % len(self._endpoints)] if self._endpoints else None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            port = self._next()
            if port is not None:
                await self._join(reader, writer, port)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # the client learns it by an RST
        finally:
            self._serving.discard(task)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        async with asyncio.timeout(DIAL_TIMEOUT):
            server_reader, server_writer = await asyncio.open_connection(LOOPBACK, port)
        try:
            there = asyncio.create_task(_pump(reader, server_writer))
            back = asyncio.create_task(_pump(server_reader, writer))
            try:
                await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
                if there.done():
                    there.result()  # raises where the client is gone; else it only has nothing more to say
                    await back
                else:
                    back.result()  # the server has ended: nobody waits for what the client may still say
            finally:
                there.cancel()
                back.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
            with contextlib.suppress(OSError):
                writer.close()
                await writer.wait_closed()
        finally:
            server_writer.transport.abort()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(CHUNK):
        sink.write(data)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
