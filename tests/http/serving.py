"""Serving: a collector that runs for a test, and what tests say to it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx

from tests.process import CollectorProcess

TIMEOUT = 10.0  # seconds for one answer; the promise is 5
DEADLINE = 60.0  # seconds for what has to come true; it takes under one, so this is for a machine under load
POLL = 0.02  # seconds
AGAIN = (408, 429, 503)  # statuses after which the same may be sent again

Json = dict[str, Any]
Answer = TypeVar("Answer")


@contextmanager
def running(env: Mapping[str, str]) -> Iterator[CollectorProcess]:
    """A ready collector of this environment. Not for use inside an event loop."""
    with CollectorProcess(env=env) as process:
        asyncio.run(process.wait_until_ready())
        yield process


def client_of(process: CollectorProcess) -> httpx.Client:
    """A client that goes to this process, whatever proxy the environment names."""
    return httpx.Client(base_url=process.url, timeout=TIMEOUT, trust_env=False)


def async_client_of(process: CollectorProcess) -> httpx.AsyncClient:
    """The same, for event loops."""
    return httpx.AsyncClient(base_url=process.url, timeout=TIMEOUT, trust_env=False)


def event(source: str, **more: Any) -> Json:
    """An event that can be kept."""
    return {"source": source, "action": "deployed", **more}


def post(client: httpx.Client, body: Any, **headers: str) -> httpx.Response:
    """POST /events; `Idempotency_Key="k"` is the header Idempotency-Key."""
    return client.post(
        "/events", json=body, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


def kept(client: httpx.Client, source: str, **parameters: str) -> list[Json]:
    """What can be read of a source, oldest first."""
    answer = client.get("/events", params={"source": source, "order": "asc", "limit": "1000", **parameters})
    assert answer.status_code == 200, answer.text
    events: list[Json] = answer.json()
    return events


def problem(answer: httpx.Response, status: int) -> Json:
    """The problem document of an answer, which must be one, complete and of this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: Json = answer.json()
    assert {"type", "title", "status", "detail", "retryable"} <= document.keys()
    assert document["status"] == status
    assert document["type"].startswith("urn:problem:")
    assert document["title"]
    assert document["detail"]
    assert document["retryable"] is (status in AGAIN)
    assert ("retry-after" in answer.headers) is (status in AGAIN)
    return document


async def eventually(ask: Callable[[], Awaitable[Answer]], right: Callable[[Answer], bool]) -> Answer:
    """Ask until the answer is right; gives it."""
    async with asyncio.timeout(DEADLINE):
        while True:
            if right(answer := await ask()):
                return answer
            await asyncio.sleep(POLL)


def wait_until(true: Callable[[], object], what: str) -> None:
    """Poll until `true` gives something."""
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come true within {DEADLINE} s"
        time.sleep(POLL)
