"""Ways: a server of connections in this process, whose shortcut and application note what reaches them.

What the shortcut does is said by the request's header X-Do, and X-N is the body of either's answer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.connection import Connection, Stall
from app.crowd import Crowd
from app.deadlines import Deadlines
from app.edge import ARRIVED, BEGUN, Receive, RequestIds, Scope, Send, header, respond
from app.health import Readiness
from app.logs import Refusals
from app.metrics import Metrics
from app.server import listen
from app.shortcuts import Reply, Shortcuts
from app.store import Store
from tests.faults.wire import Wire, request

DEADLINE = 20.0  # seconds for what has to come true; it takes milliseconds
POLL = 0.005  # seconds
UNHURRIED = Deadlines(head=60, body=60)
GRACE = 10  # seconds that a server waits for what is under way
OF_THE_CONNECTION = {
    "client",
    "server",
    "state",
    ARRIVED,
    BEGUN,
}  # keys of a scope that differ from one to the next


class Pending:
    """What the shortcut has begun. `do`: how it ends."""

    def __init__(self, do: bytes, said: bytes) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._do = do
        self.said = said
        match do:
            case b"fail":
                self.answer.set_exception(RuntimeError("it failed"))
            case b"cancel":
                self.answer.cancel()
            case b"wait" | b"wait, then none":
                pass
            case _:
                self.answer.set_result(said)

    def end(self) -> None:
        """Have the answer come."""
        self.answer.set_result(self.said)

    def reply(self) -> Reply | None:
        said = self.answer.result()
        if self._do == b"raise at the end":
            raise RuntimeError("it cannot be said")
        if self._do.endswith(b"none"):
            return None
        return Reply(200, b"x-way: short\r\ncontent-length: %d\r\n" % len(said), said)


class Ways:
    """What has come to each of the two ways, by request, in order. `size`: of an answer, at least; `limit`: of
    connections."""

    def __init__(self, *, short: bool, size: int, deadlines: Deadlines, limit: int) -> None:
        self.readiness = Readiness(cast("Store", None), Metrics(1))
        self.metrics = Metrics(1)
        self.begun: list[tuple[Mapping[bytes, bytes], bytes, bytes]] = []  # headers, query, body
        self.pending: list[Pending] = []
        self.scopes: list[Scope] = []
        self.bodies: list[bytes] = []
        self.released = asyncio.Event()  # what the application waits for where X-Hold is said
        self._size = size
        table = {(b"POST", b"/events"): self._begin, (b"GET", b"/events"): self._begin}
        shortcuts = Shortcuts(
            table, ids=RequestIds("id"), readiness=self.readiness, metrics=self.metrics, refusals=Refusals()
        )
        crowd = Crowd(limit, deadlines, self.metrics.cut)
        protocol: Any = (
            partial(Connection, shortcuts=shortcuts, stall=Stall(60.0, lambda: None), crowd=crowd)
            if short
            else HttpToolsProtocol
        )
        self.server = uvicorn.Server(
            uvicorn.Config(
                self._application,
                interface="asgi3",
                http=protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                headers=[("Collector-Instance", "here")],
                timeout_graceful_shutdown=GRACE,
            )
        )
        self._listener = listen("127.0.0.1", 0)
        self.port: int = self._listener.getsockname()[1]

    @property
    def connections(self) -> list[HttpToolsProtocol]:
        """Those that are open, on the server's side."""
        return cast("list[HttpToolsProtocol]", list(self.server.server_state.connections))

    def came(self) -> list[tuple[dict[str, Any], bytes]]:
        """What the application was given, but for what differs from one connection to the next."""
        scopes = [{k: v for k, v in scope.items() if k not in OF_THE_CONNECTION} for scope in self.scopes]
        return list(zip(scopes, self.bodies, strict=True))

    async def serve(self) -> None:
        await self.server.serve(sockets=[self._listener])

    def _begin(self, headers: Mapping[bytes, bytes], query: bytes, body: bytes) -> Pending | None:
        self.begun.append((headers, query, body))
        do = headers.get(b"x-do", b"")
        if do == b"raise":
            raise RuntimeError("it cannot begin")
        if do == b"none":
            return None
        self.pending.append(Pending(do, self._said(headers.get(b"x-n"))))
        return self.pending[-1]

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            body, more = body + message["body"], message["more_body"]
        self.scopes.append(scope)
        self.bodies.append(body)
        if header(scope, b"x-hold") is not None:
            await self.released.wait()
        await respond(send, 200, ((b"x-way", b"ordinary"),), self._said(header(scope, b"x-n")))

    def _said(self, n: bytes | None) -> bytes:
        return (n or b"").ljust(self._size)


@asynccontextmanager
async def serving(
    *, short: bool = True, size: int = 0, deadlines: Deadlines = UNHURRIED, limit: int = 1000
) -> AsyncIterator[Ways]:
    """A server that runs inside; what is still under way at the end is let go of."""
    ways = Ways(short=short, size=size, deadlines=deadlines, limit=limit)
    task = asyncio.create_task(ways.serve())
    try:
        await until(lambda: ways.server.started)
        yield ways
    finally:
        ways.released.set()
        for connection in ways.connections:
            connection.transport.abort()
        ways.server.should_exit = True
        await task


@asynccontextmanager
async def opened(ways: Ways) -> AsyncIterator[Wire]:
    """A client's connection."""
    wire = await Wire.open(ways.port)
    try:
        yield wire
    finally:
        wire.abort()


async def until(true: Callable[[], object]) -> None:
    """Poll until `true()` gives something."""
    async with asyncio.timeout(DEADLINE):
        while True:
            if true():
                return
            await asyncio.sleep(POLL)


def short(n: int, body: bytes | None = b"{}", **headers: str) -> bytes:
    """A request that takes the shortcut."""
    return request("POST", "/events", body, x_n=str(n), **headers)


def ordinary(n: int, **headers: str) -> bytes:
    """One for which there is none."""
    return request("POST", "/other", b"body", x_n=str(n), **headers)
