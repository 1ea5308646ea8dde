"""The probe's side of HTTP: one request in, what came of it out.

What is asked often goes over wires of our own, what is read once at the end and may be long through httpx.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlencode, urlsplit

import httpx

from app.probe.wire import Cut, Wire

CONNECT_SECONDS = 3.0  # a SYN that was dropped is sent again after one second, and after three
ANSWER_SECONDS = 10.0  # twice what the collector promises
PORTS = {"http": 80, "https": 443}
# Of the run: its tasks inherit it. Not in the plan, which is written into the ledger.
TOKEN: ContextVar[str | None] = ContextVar("TOKEN", default=None)
_POSITION = "collector-position"


class Shown:
    """The highest position that an answer bore, which full reads show: a collector may read from a replica."""

    def __init__(self) -> None:
        self._position = 0

    def note(self, headers: Mapping[str, str]) -> None:
        """What an answer bears."""
        text = headers.get(_POSITION, "")
        if text.isascii() and text.isdigit():
            self._position = max(self._position, int(text))

    def lines(self) -> dict[str, str]:
        """What a read shows."""
        return {_POSITION: str(self._position)} if self._position else {}


SHOWN: ContextVar[Shown | None] = ContextVar("SHOWN", default=None)  # of the run, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, or what came in its stead: then `status` is None, `error` says what, and `sent` whether the
    request may have reached anybody. `age`: seconds that the connection had been open."""

    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str]
    error: str | None = None
    sent: bool = True
    age: float | None = None

    @property
    def retry_after(self) -> float | None:
        """Seconds, where the answer says so."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isascii() and text.isdigit() else None

    @property
    def instance(self) -> str | None:
        """Which process answered."""
        return self.headers.get("collector-instance")


class Caller:
    """Asks one replica. Keeps up to `keep` idle connections: with none, every request opens one of its own."""

    def __init__(self, url: str, *, keep: int = 1, seconds: float = ANSWER_SECONDS) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        self._path = parts.path.rstrip("/")
        lines = {"Host": parts.netloc, "User-Agent": "collector-probe", **_bearer()}
        self._head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._context = _trust() if parts.scheme == "https" else None
        self._keep, self._seconds = keep, seconds
        self._idle: list[Wire] = []

    async def post(self, path: str, body: bytes) -> Reply:
        """POST JSON; never raises for what the network or the collector does."""
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        reply = await self._ask(f"POST {self._path}{path} HTTP/1.1\r\n{self._head}{kind}\r\n".encode() + body)
        if (shown := SHOWN.get()) is not None:
            shown.note(reply.headers)
        return reply

    async def get(self, path: str, **parameters: str) -> Reply:
        """GET, likewise."""
        target = f"{path}?{urlencode(parameters)}" if parameters else path
        return await self._ask(f"GET {self._path}{target} HTTP/1.1\r\n{self._head}\r\n".encode())

    def close(self) -> None:
        """Let go of the connections."""
        while self._idle:
            self._idle.pop().close()

    async def _ask(self, request: bytes) -> Reply:
        try:
            wire = await self._wire()
        except OSError as error:  # TimeoutError is one
            return Reply(headers={}, error=f"connecting: {type(error).__name__}", sent=False)
        age = time.monotonic() - wire.opened
        try:
            async with asyncio.timeout(self._seconds):
                answer = await wire.ask(request)
        except (Cut, TimeoutError) as error:
            wire.close()
            return Reply(headers={}, error=type(error).__name__, age=age)
        except asyncio.CancelledError:
            wire.close()
            raise
        if len(self._idle) < self._keep and not wire.closed:
            self._idle.append(wire)
        else:
            wire.close()
        return Reply(status=answer.status, body=answer.body, headers=answer.headers, age=age)

    async def _wire(self) -> Wire:
        while self._idle:
            if not (wire := self._idle.pop()).closed:
                return wire
        async with asyncio.timeout(min(self._seconds, CONNECT_SECONDS)):
            return await Wire.open(self._host, self._port, self._context)


def reader(url: str, *, seconds: float = ANSWER_SECONDS) -> httpx.AsyncClient:
    """A client for what is long, and silent no longer than this. It goes through no proxy."""
    shown = SHOWN.get()
    return httpx.AsyncClient(
        base_url=url,
        headers=_bearer() | ({} if shown is None else shown.lines()),
        trust_env=False,
        verify=_trust() if url.startswith("https:") else False,
        timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
    )


def _bearer() -> dict[str, str]:
    token = TOKEN.get()
    return {} if token is None else {"Authorization": f"Bearer {token}"}


@cache
def _trust() -> ssl.SSLContext:
    # Made once, since that takes longer than a request.
    return ssl.create_default_context()
