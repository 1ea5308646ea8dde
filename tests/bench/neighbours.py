"""Neighbours: a steady load, in a process of its own: `python -m tests.bench.neighbours PORT SECONDS`.

1. Requests are due at fixed moments whatever became of those before, and their time counts from then: nobody who
   had to wait is left out.
2. The probe's time counts from when it was sent, so that only the server's lateness is in it.
3. A thread a connection: what the load costs itself is little, and nobody waits behind another's answer.

It writes `begun`, then what `told` gives, as JSON.
"""

import gc
import json
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bench.bodies import single
from tests.ports import LOOPBACK

RATE = 100  # requests a second, half of them POST
CONNECTIONS = 8
PROBES = 200  # a second
PATIENCE = 60.0  # seconds for an answer
START = 0.05  # seconds until the first is due
CHUNK = 2**16
NO_HEADERS: Mapping[str, str] = {}

SORTS = POST, GET, PROBE = ("post", "get", "probe")


@dataclass(slots=True)
class Line:
    """One connection's requests: `request` goes out every `period` seconds from `first` on, until `end`."""

    sort: str
    request: bytes
    first: float
    period: float
    end: float
    times: list[float] = field(default_factory=list)
    bad: int = 0

    def run(self, port: int) -> None:
        """Send and wait, until the end or until the connection breaks."""
        try:
            with connect(port) as connection:
                self._go(connection)
        except OSError:
            self.bad += 1

    def _go(self, connection: socket.socket) -> None:
        due = self.first
        while due < self.end:
            time.sleep(max(0.0, due - time.perf_counter()))
            begin = time.perf_counter() if self.sort == PROBE else due
            connection.sendall(self.request)
            status, _ = answer(connection)
            self.times.append((time.perf_counter() - begin) * 1000)
            self.bad += status >= 300
            due = self._next(due)

    def _next(self, due: float) -> float:
        # A probe that was missed found out nothing that the one before did not.
        return max(due + self.period, time.perf_counter()) if self.sort == PROBE else due + self.period


def connect(port: int) -> socket.socket:
    """A connection that sends what it is given at once."""
    connection = socket.create_connection((LOOPBACK, port), timeout=PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def answer(connection: socket.socket) -> tuple[int, bool]:
    """Read one answer to its end; its status, and whether the connection stays. Raises OSError."""
    head, _, body = _until_body(connection)
    left = _length(head) - len(body)
    scratch = bytearray(CHUNK)
    while left > 0:
        if not (size := connection.recv_into(scratch, min(left, CHUNK))):
            raise ConnectionResetError
        left -= size
    return int(head.split(b" ", 2)[1]), b"\r\nconnection: close" not in head.lower()


def request(method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = NO_HEADERS) -> bytes:
    """The bytes of a request."""
    named = {"Host": "bench", **headers}
    if method == "POST":
        named |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def _until_body(connection: socket.socket) -> tuple[bytes, bytes, bytes]:
    found = b""
    while b"\r\n\r\n" not in found:
        if not (more := connection.recv(CHUNK)):
            raise ConnectionResetError
        found += more
    return found.partition(b"\r\n\r\n")


def _length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next((int(value) for name, _, value in lines if name == b"content-length"), 0)


def lines(seconds: float, now: float) -> list[Line]:
    """All connections, whose moments are spread evenly."""
    requests = {POST: request("POST", "/events", single(ids=False)), GET: request("GET", "/events?limit=50")}
    first, end = now + START, now + START + seconds
    sorts = [(POST, GET)[n % 2] for n in range(CONNECTIONS)]
    load = [Line(sort, requests[sort], first + n / RATE, CONNECTIONS / RATE, end) for n, sort in enumerate(sorts)]
    return [*load, Line(PROBE, request("GET", "/healthz"), first, 1 / PROBES, end)]


def told(every: Sequence[Line]) -> dict[str, Any]:
    """By sort: `times` in milliseconds, `bad` and `kept`."""
    return {
        sort: {
            "times": [time for line in every if line.sort == sort for time in line.times],
            "bad": sum(line.bad for line in every if line.sort == sort),
            "kept": sum(len(line.times) - line.bad for line in every if line.sort == sort == POST),
        }
        for sort in SORTS
    }


def main() -> None:
    """Load, and tell."""
    gc.disable()  # its pauses would be taken for the server's
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    print("begun", flush=True)
    every = lines(seconds, time.perf_counter())
    threads = [threading.Thread(target=line.run, args=(port,)) for line in every]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(told(every)))


if __name__ == "__main__":
    main()
