"""The edge: what every request passes, as plain ASGI: its id, the fast lane, problems, metrics, leaving."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec

from app.auth import GRANT, NOBODY, Access, Grant, needed
from app.body import ClientGone
from app.errors import BadParameter, Draining, HeadersTooLarge, Internal, Problem, Unavailable
from app.health import Readiness
from app.logs import Refusals, log
from app.metrics import Metrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_OF_A_LINE = len("  HTTP/1.1\r\n\r\n")  # what a head has beside method, target and headers
_BETWEEN = len(": \r\n")  # what a header has beside its name and value
_ID = re.compile(rb"[A-Za-z0-9-]{1,64}")
_TRACE = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
STREAM = "/events/stream"
MAX_HEAD = 16 * 1024  # bytes of a request's line and headers
PROBLEM = "collector.problem"  # where a route's problem stands in the scope, for the edge to count and log
ARRIVED = "collector.arrived"  # in the scope: when the request came, where that was before its task began
BEGUN = "collector.begun"  # in the scope: what a shortcut has begun and its lane has to end


@dataclass(slots=True)
class _Exchange:
    """One request and what has been said to it."""

    request_id: str
    scope: Scope
    send: Send
    readiness: Readiness
    status: int = 0

    async def pass_on(self, message: Message) -> None:
        """`send`, with the headers that every answer bears."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message["headers"] = [*message["headers"], (b"x-request-id", self.request_id.encode())]
            if self.readiness.draining:
                headers.append((b"connection", b"close"))
        await self.send(message)


class RequestIds:
    """The id of each request: the client's, where it gave one that can be logged, or one of ours."""

    def __init__(self, prefix: str) -> None:
        self._ids = (f"{prefix}-{n:x}" for n in count(1))

    def of(self, given: bytes | None) -> str:
        """The id of a request with this `X-Request-Id`."""
        return given.decode() if given and _ID.fullmatch(given) else next(self._ids)


class Edge:
    """Asks `access` who may come in; gives what has a lane of its own, by method and path, to that lane, and all
    else to `app`; turns what they raise into problems. `verbose`: a line of debug for every request."""

    def __init__(
        self,
        *,
        lanes: Mapping[tuple[str, str], App],
        app: App,
        access: Access,
        readiness: Readiness,
        metrics: Metrics,
        refusals: Refusals,
        ids: RequestIds,
        verbose: bool,
    ) -> None:
        self._lanes = lanes
        self._app = app
        self._access = access
        self._readiness = readiness
        self._metrics = metrics
        self._refusals = refusals
        self._verbose = verbose
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        start = scope.get(ARRIVED) or time.perf_counter()
        exchange = _Exchange(self._ids.of(header(scope, b"x-request-id")), scope, send, self._readiness)
        lane = self._lanes.get((scope["method"], scope["path"]), self._app)
        try:
            _refuse_odd(scope)
            scope[GRANT] = self._granted(scope)
            await lane(scope, receive, exchange.pass_on)
            if problem := scope.get(PROBLEM):
                self._note(exchange, problem)
        except ClientGone:
            return
        except asyncio.CancelledError:
            # The time to end has run out: what was submitted may still be committed.
            await self._answer(exchange, Draining("this process left before the answer", outcome="unknown"))
        except Problem as problem:
            await self._answer(exchange, problem)
        except Exception as error:  # noqa: BLE001 - the last place that can say which request it was
            self._note_bug(exchange, error)
            await self._answer(exchange, Internal())
        self._count(exchange, time.perf_counter() - start, scope["path"] if lane is not self._app else None)

    def _granted(self, scope: Scope) -> Grant:
        wanted = needed(scope["method"], scope["path"])
        if wanted is None:
            return NOBODY
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        grant = self._access.grant(given[0] if len(given) == 1 else None, wanted)
        if scope.get(BEGUN) is None:  # else its shortcut has counted it
            grant.take()
        return grant

    def _note(self, exchange: _Exchange, problem: Problem) -> None:
        note(problem, exchange.request_id, self._refusals, self._metrics)

    async def _answer(self, exchange: _Exchange, problem: Problem) -> None:
        self._note(exchange, problem)
        # Half an answer cannot be mended: returning without its end makes uvicorn cut the connection.
        if not exchange.status:
            lines = [(name.lower().encode(), value.encode()) for name, value in problem.header_lines().items()]
            await respond(exchange.pass_on, problem.status, lines, body_of(problem))

    def _note_bug(self, exchange: _Exchange, error: Exception) -> None:
        trace = _TRACE.fullmatch(header(exchange.scope, b"traceparent") or b"")
        log.error(
            "bug",
            request_id=exchange.request_id,
            trace_id=trace[1].decode() if trace else None,
            method=exchange.scope["method"],
            path=exchange.scope["path"][:200],
            exc_info=error,
        )

    def _count(self, exchange: _Exchange, seconds: float, route: str | None) -> None:
        path = route or getattr(exchange.scope.get("route"), "path", None)
        name = f"{exchange.scope['method']} {path}" if path else "_other"
        self._metrics.answered(name, exchange.status, None if path == STREAM else seconds)
        if self._verbose:
            ms = round(seconds * 1000, 3)
            log.debug("answered", request_id=exchange.request_id, route=name, status=exchange.status, ms=ms)


def note(problem: Problem, request_id: str, refusals: Refusals, metrics: Metrics) -> None:
    """Have the log and the metrics know of a request that was answered with a problem."""
    if isinstance(problem, Unavailable):
        refusals.add(problem.detail or problem.title(), request_id)
    if problem.status >= 500:
        metrics.failed(problem.kind().removeprefix("urn:problem:"))


def _refuse_odd(scope: Scope) -> None:
    """What the HTTP parser lets pass, and a proxy before us might read in another way."""
    version, hosts = scope["http_version"], 0
    size = len(scope["method"]) + len(scope["raw_path"]) + len(scope["query_string"]) + _OF_A_LINE
    for name, value in scope["headers"]:
        hosts += name == b"host"
        size += len(name) + len(value) + _BETWEEN
    if version not in ("1.0", "1.1") or hosts > 1 or (hosts == 0 and version == "1.1"):
        raise BadParameter("HTTP must be 1.0 or 1.1, with one Host header")
    if size > MAX_HEAD:
        raise head_too_large()


def head_too_large() -> HeadersTooLarge:
    """What is said to a head that is larger than it may be."""
    return HeadersTooLarge(f"a request's line and headers may have {MAX_HEAD} bytes")


def body_of(problem: Problem) -> bytes:
    """The document that tells of a problem."""
    return msgspec.json.encode(problem.document())


async def respond(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
    """A whole answer at once; names of headers in lower case."""
    lines = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first line of a header, whose name is in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None
