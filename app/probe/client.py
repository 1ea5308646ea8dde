"""The probe's side of HTTP: one request in, what came of it out. httpx.

A client for each worker: either it keeps its connection, or it opens one for every request.
"""

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import httpx

CONNECT_SECONDS = 3.0  # a SYN that was dropped is sent again after one second, and after three
ANSWER_SECONDS = 10.0  # twice what the collector promises
_JSON = {"content-type": "application/json"}
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, or the class of what came in its stead: then `status` is None and `sent` tells whether the
    request may have reached anybody. `age`: seconds that the connection had been open, where that is known."""

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


class Poster:
    """Posts events to one replica."""

    def __init__(self, url: str, *, fresh: bool) -> None:
        self._client = client(url, keep=0 if fresh else 1)
        self._born: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    async def post(self, body: bytes) -> Reply:
        """POST /events once; never raises for what the network or the collector does."""
        opened: list[Any] = []

        async def trace(name: str, info: Mapping[str, Any]) -> None:
            if name in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
                opened.append(info["return_value"])
                self._born[opened[-1]] = time.monotonic()

        try:
            answer = await self._client.post("/events", content=body, headers=_JSON, extensions={"trace": trace})
        except httpx.HTTPError as error:
            age = 0.0 if opened else None
            return Reply(headers={}, error=type(error).__name__, sent=not isinstance(error, _UNSENT), age=age)
        born = self._born.get(answer.extensions.get("network_stream"), None)
        age = 0.0 if opened or born is None else time.monotonic() - born
        return Reply(status=answer.status_code, body=answer.content, headers=answer.headers, age=age)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()


def client(url: str, *, keep: int = 5, timeout: float = ANSWER_SECONDS) -> httpx.AsyncClient:
    """A client of one replica that keeps up to so many idle connections, and goes through no proxy."""
    return httpx.AsyncClient(
        base_url=url,
        trust_env=False,
        verify=_trust(url),
        timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS), pool=None),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=keep, keepalive_expiry=60),
    )


_CONTEXTS: dict[str, ssl.SSLContext] = {}


def _trust(url: str) -> ssl.SSLContext | bool:
    # Made once, since that takes longer than a request; and not at all where it is not needed.
    if not url.startswith("https:"):
        return False
    return _CONTEXTS.setdefault("default", ssl.create_default_context())
