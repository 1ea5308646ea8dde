"""Obedient: a process for the supervisor's tests: an HTTP server that answers, and ends, as it is told to."""

import asyncio
import time

from tests.ports import LOOPBACK, free_port


class Obedient:
    """A process: serves what it is told to, on a port of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answers = {"/healthz": 200, "/readyz": 200}
        self.asked: list[str] = []
        self.starts: list[float] = []
        self.ignores_sigterm = False
        self.told: list[str] = []
        self.exit_code: int | None = 0
        self._server: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.exit_code = None
        self.starts.append(time.monotonic())
        self._server = asyncio.create_task(self._serve())

    def terminate(self) -> None:
        self.told.append("terminate")
        if not self.ignores_sigterm:
            self.end(0)

    def kill(self) -> None:
        self.told.append("kill")
        self.end(-9)

    def end(self, code: int) -> None:
        if self._server is not None:
            self._server.cancel()
        if self.exit_code is None:
            self.exit_code = code

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._answer, LOOPBACK, self.port) as server:
            await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            self.asked.append(path)
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % self.answers[path])
        except asyncio.IncompleteReadError:
            pass  # whoever asked has gone
        finally:
            writer.close()
