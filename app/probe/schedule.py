"""The schedule: which request is due when, and what it carries. Pure: a seed always makes the same load.

Every event can be checked alone: its id names run, worker and number, and its data hold these and the source
again, with the SHA-256 of everything a client sends. So what is read back needs nothing but itself to be judged.
"""

import math
from datetime import datetime
from hashlib import sha256, shake_256
from typing import Any

import msgspec

from app.query import PROBES

ACTION = "probe"
LETTERS = (
    "abcdefghijklmnopqrstuvwxyz 0123456789äßé€“”‰中文😀\"\\/\u2028\u00a0<>&'{}[]"  # what is often spelt wrongly
)
LONGEST = 120  # of the text that an event carries

_encode = msgspec.json.Encoder(order="sorted").encode


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run sends: `rate` requests a second for `seconds`, each of `batch` events, to replicas at `urls`."""

    run: str
    urls: tuple[str, ...]
    rate: float
    seconds: float
    batch: int = 1
    workers: int = 10
    retry: bool = True
    seed: int = 0

    @property
    def source(self) -> str:
        """The source of all its events."""
        return PROBES.replace("*", self.run)

    @property
    def requests(self) -> int:
        """How many there are."""
        return math.ceil(round(self.rate * self.seconds, 6))  # 100 times 0.28 is more than 28 to a computer

    def due(self, number: int) -> float:
        """Seconds from the start to the request of this number, from 0."""
        return number / self.rate

    def worker(self, number: int) -> int:
        """Who sends it, from 0."""
        return number % self.workers

    def url(self, number: int) -> int:
        """The place in `urls` of the replica that it goes to."""
        return self.worker(number) % len(self.urls)

    def fresh(self, number: int) -> bool:
        """Whether it gets a connection of its own."""
        return self.worker(number) % 2 == 1

    def request(self, number: int) -> str:
        """Its id."""
        return f"{self.run}/{self.worker(number)}/{number // self.workers}"

    def events(self, request: str) -> tuple[str, ...]:
        """The ids of the events in a request."""
        return (request,) if self.batch == 1 else tuple(f"{request}/{place}" for place in range(self.batch))

    def body(self, request: str, now: datetime) -> bytes:
        """What is posted, however often it is sent."""
        events = [self._event(id_, now) for id_ in self.events(request)]
        return _encode(events[0] if self.batch == 1 else events)

    def _event(self, id_: str, now: datetime) -> dict[str, Any]:
        worker, seq = id_.split("/")[1:3]
        data: dict[str, Any] = {
            "source": self.source,
            "worker": int(worker),
            "seq": int(seq),
            "text": _text(f"{self.seed} {id_}"),
        }
        subject = f"worker-{worker}"
        seal = digest(id=id_, source=self.source, action=ACTION, subject=subject, time=now, data=data)
        return {
            "id": id_,
            "source": self.source,
            "action": ACTION,
            "subject": subject,
            "time": now,
            "data": data | {"sha256": seal},
        }


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is read back, as far as the probe looks at it."""

    seq: int
    id: str
    source: str = ""
    action: str = ""
    subject: str | None = None
    time: datetime | None = None
    data: Any = None

    def intact(self, source: str) -> bool:
        """Whether it is what was sent under its id, to the letter, by the run with this source."""
        if self.source != source or not isinstance(self.data, dict) or self.time is None:
            return False
        data = {name: value for name, value in self.data.items() if name != "sha256"}
        if data.get("source") != source or _number(data) != self.id.split("/")[1:3]:
            return False
        return self.data.get("sha256") == digest(
            id=self.id, source=self.source, action=self.action, subject=self.subject, time=self.time, data=data
        )


def digest(*, id: str, source: str, action: str, subject: str | None, time: datetime, data: Any) -> str:  # noqa: A002
    """The SHA-256 of what a client sends, however it is spelt."""
    return sha256(_encode([id, source, action, subject, round(time.timestamp() * 1e6), data])).hexdigest()


def _text(about: str) -> str:
    """Some text, always the same for the same."""
    length, *chances = shake_256(about.encode()).digest(LONGEST + 1)
    return "".join([LETTERS[chance % len(LETTERS)] for chance in chances[: length % LONGEST]])


def _number(data: dict[str, Any]) -> list[str]:
    return [str(data.get("worker")), str(data.get("seq"))]
