"""Shortcuts: what answers a request without a task, and what all answers that are made here have in common."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.edge import RequestIds, body_of, note
from app.errors import Problem
from app.health import Readiness
from app.logs import Refusals
from app.metrics import OTHER, Metrics


class Reply(NamedTuple):
    """`lines`: whole lines of headers, each with its end; the length of the body is among them."""

    status: int
    lines: bytes
    body: bytes


class Begun(Protocol):
    """A request under way."""

    @property
    def answer(self) -> "asyncio.Future[Any]":
        """What is waited for."""
        ...

    def reply(self) -> Reply | None:
        """What to say once `answer` is there; None, or whatever it raises: the ordinary way has to say it."""
        ...


# Headers by name, query, body: what was begun, or None where this is not the plain case.
Shortcut = Callable[[Mapping[bytes, bytes], bytes, bytes], Begun | None]


class Shortcuts:
    """The shortcuts of a process, by method and path, and what their answers have in common."""

    def __init__(
        self,
        table: Mapping[tuple[bytes, bytes], Shortcut],
        *,
        ids: RequestIds,
        readiness: Readiness,
        metrics: Metrics,
        refusals: Refusals,
    ) -> None:
        self.table = table
        self._ids = ids
        self._readiness = readiness
        self._metrics = metrics
        self._refusals = refusals
        self._headers: list[tuple[bytes, bytes]] = []
        self._common = b""

    @property
    def leaving(self) -> bool:
        """Whether connections end with their next answer."""
        return self._readiness.draining

    def head(self, status: int, common: list[tuple[bytes, bytes]], request: Mapping[bytes, bytes]) -> bytes:
        """The status line and the headers that every answer bears. `common` is made anew once a second."""
        return self._head(status, common, self._ids.of(request.get(b"x-request-id")))

    def last_word(
        self,
        problem: Problem,
        common: list[tuple[bytes, bytes]],
        request: Mapping[bytes, bytes],
        *,
        asked: bool = True,
    ) -> bytes:
        """A whole answer, after which the connection ends; noted and counted if it was `asked` for."""
        id_ = self._ids.of(request.get(b"x-request-id"))
        if asked:
            note(problem, id_, self._refusals, self._metrics)
            self.count(OTHER, problem.status, None)
        body = body_of(problem)
        lines = problem.header_lines() | {"Content-Length": str(len(body)), "Connection": "close"}
        head = self._head(problem.status, common, id_)
        own = "".join(f"{name.lower()}: {value}\r\n" for name, value in lines.items())
        return b"%b%b\r\n%b" % (head, own.encode(), body)

    def count(self, route: str, status: int, seconds: float | None) -> None:
        """Count an answer."""
        self._metrics.answered(route, status, seconds)

    def _head(self, status: int, common: list[tuple[bytes, bytes]], request_id: str) -> bytes:
        if common is not self._headers:
            self._headers, self._common = common, b"".join(b"%b: %b\r\n" % line for line in common)
        return b"%b%bx-request-id: %b\r\n" % (STATUS_LINE[status], self._common, request_id.encode())
