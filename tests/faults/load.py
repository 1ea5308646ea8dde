"""Load: events at a steady rate, what became of each, and an audit that reads everything back.

The schedule is open: the next event is due whether or not the last was answered. Half of the workers keep their
connection, half open one for each request. Every event has an id of its own.
"""

import asyncio
import contextlib
import json
import secrets
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from tests.faults.wire import Answer, Cut, Wire, ask, event

ANSWER_TIMEOUT = 30.0  # seconds; longer than any promise, so that a test sees how long it really took
PATIENCE = 60.0  # seconds for what has to come true
POLL = 0.05  # seconds
RETRY_PAUSE = 0.05  # seconds
KEPT = (200, 201, 202)


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One request. `answer` None: it was sent and not answered, or (`refused`) could not be sent at all."""

    id: str
    fresh: bool
    sent: float  # monotonic, as all times here
    done: float = 0.0
    answer: Answer | None = None
    refused: bool = False

    @property
    def status(self) -> int | None:
        """The answer's status."""
        return None if self.answer is None else self.answer.status

    @property
    def outcome(self) -> str:
        """What is known about the event: kept, not_kept or unknown."""
        if self.refused:
            return "not_kept"
        if self.answer is None:
            return "unknown"
        if self.answer.status in KEPT:
            return "kept"
        return str(self.answer.document.get("outcome", "not_kept" if self.answer.status < 500 else "unknown"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What reading back showed; every field but `read` names ids, and is empty where promises were held."""

    lost: list[str]  # acknowledged and not there
    doubled: list[str]  # there more than once
    phantom: list[str]  # there, and never sent
    denied: list[str]  # there although every answer said that it was not kept
    read: int = field(compare=False)


CLEAN = Audit(lost=[], doubled=[], phantom=[], denied=[], read=0)


class Load:
    """Sends while the context is open; its end waits for what is under way.

    `retry`: the same event is sent again until it is acknowledged. `leaves`: a worker ends when it is refused.
    """

    def __init__(
        self, port: int, *, rate: float = 150, workers: int = 10, retry: bool = False, leaves: bool = False
    ) -> None:
        self.source = f"load-{secrets.token_hex(4)}"
        self.attempts: list[Attempt] = []
        self._port = port
        self._every = workers / rate
        self._workers = workers
        self._retry = retry
        self._leaves = leaves
        self._ending = False
        self._sent = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._work(n)) for n in range(self._workers)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending = True
        await self.ended()

    async def ended(self) -> None:
        """Wait until every worker has ended."""
        await asyncio.gather(*self._tasks)

    def where(self, outcome: str) -> list[Attempt]:
        """The attempts with this outcome."""
        return [attempt for attempt in self.attempts if attempt.outcome == outcome]

    @property
    def statuses(self) -> Counter[int | None]:
        """How often each status was answered; None: none was. What could not be sent does not count."""
        return Counter(attempt.status for attempt in self.attempts if not attempt.refused)

    async def next_sent(self) -> None:
        """Wait for the moment at which a request is sent."""
        self._sent.clear()
        await self._sent.wait()

    def unanswered(self, *, fresh: bool) -> list[Attempt]:
        """What was sent and not answered."""
        return [one for one in self.attempts if one.fresh == fresh and one.answer is None and not one.refused]

    async def until_kept(self, since: float) -> float:
        """Wait until an event sent after `since` is acknowledged; the seconds from then to that. TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while not (kept := [one.done for one in self.where("kept") if one.sent >= since]):  # noqa: ASYNC110
                await asyncio.sleep(POLL)
        return min(kept) - since

    async def until_answered(self, status: int, more: int = 1) -> None:
        """Wait until so many more requests were answered with this status. Raises TimeoutError."""
        wanted = self.statuses[status] + more
        async with asyncio.timeout(PATIENCE):
            while self.statuses[status] < wanted:  # noqa: ASYNC110
                await asyncio.sleep(POLL)

    async def audit(self, port: int) -> Audit:
        """Read everything back, from a collector on `port`."""
        answer = await ask(port, "GET", f"/events?source={self.source}", accept="application/x-ndjson")
        assert answer.status == 200, answer
        return self._judged([json.loads(line)["id"] for line in answer.body.splitlines()])

    def _judged(self, read: Iterable[str]) -> Audit:
        there = Counter(read)
        sent = {one.id for one in self.attempts}
        kept, unknown = ({one.id for one in self.where(outcome)} for outcome in ("kept", "unknown"))
        return Audit(
            lost=sorted(kept - there.keys()),
            doubled=sorted(id_ for id_, times in there.items() if times > 1),
            phantom=sorted(there.keys() - sent),
            denied=sorted((there.keys() & sent) - kept - unknown),
            read=there.total(),
        )

    async def _work(self, worker: int) -> None:
        client = _Client(self._port, fresh=worker % 2 == 0)
        due = time.monotonic() + self._every * worker / self._workers
        number = 0
        while not self._ending:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += self._every
            number += 1
            if await self._send(client, f"{worker}-{number}") and self._leaves:
                break
        client.close()

    async def _send(self, client: "_Client", id_: str) -> bool:
        """Whether the listener refused it."""
        body = event(self.source, id_, data={"sent": id_})
        while True:
            attempt = Attempt(id=id_, fresh=client.fresh, sent=time.monotonic())
            self.attempts.append(attempt)
            self._sent.set()
            await client.post(body, attempt)
            attempt.done = time.monotonic()
            if attempt.refused and self._leaves:
                return True
            if not self._retry or attempt.outcome == "kept":
                return False
            await asyncio.sleep(RETRY_PAUSE)


class _Client:
    """Keeps its connection as an HTTP client does, or opens a fresh one each time."""

    def __init__(self, port: int, *, fresh: bool) -> None:
        self.fresh = fresh
        self._port = port
        self._wire: Wire | None = None

    async def post(self, body: bytes, attempt: Attempt) -> None:
        """Post once, and note in `attempt` what came of it."""
        try:
            wire = await self._connected()
        except (ConnectionError, TimeoutError):
            attempt.refused = True
            return
        with contextlib.suppress(Cut, TimeoutError):
            async with asyncio.timeout(ANSWER_TIMEOUT):
                attempt.answer = await wire.ask("POST", "/events", body)
        if self.fresh or attempt.answer is None or attempt.answer.closes:
            self.close()

    def close(self) -> None:
        """Let go of the connection."""
        if self._wire is not None:
            self._wire.close()
        self._wire = None

    async def _connected(self) -> Wire:
        if self._wire is None or self._wire.ended:
            self.close()
            async with asyncio.timeout(ANSWER_TIMEOUT):
                self._wire = await Wire.open(self._port)
        return self._wire
