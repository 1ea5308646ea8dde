"""Where the CPU goes, by function: `python -m tests.bench.hotspots post|batch|get`.

The collector runs in this process, without HTTP, on a PostgreSQL of its own: what is seen is our own code and the
database driver's. The profiler slows Python's functions down and C's hardly, so read the order, not the figures.
"""

import asyncio
import cProfile
import pstats
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any

import msgspec
import uvloop

from app.logs import configure
from app.main import Collector, create_app
from app.settings import Settings
from tests.servers import PostgresServer

CLIENTS = 64
ROUNDS = 5
ROWS = 25  # functions that are shown
HEADERS = [(b"host", b"collector"), (b"content-type", b"application/json"), (b"accept", b"*/*")]

Message = MutableMapping[str, Any]


def event(n: int) -> dict[str, object]:
    """An event of about 160 bytes."""
    data = {"version": "1.4.2", "ok": True, "seconds": 12.5}
    return {"source": f"ci-{n % 20}", "action": "deploy.finished", "subject": "web", "data": data}


def batch() -> bytes:
    """A thousand events, each with an id of its own."""
    run = time.monotonic_ns()
    return msgspec.json.encode([{**event(n), "id": f"{run}-{n}"} for n in range(1000)])


SCENES: dict[str, tuple[str, bytes, Callable[[], bytes], int, int]] = {
    # method, query, body, clients, requests of each
    "post": ("POST", b"", lambda: msgspec.json.encode(event(0)), CLIENTS, 100),
    "batch": ("POST", b"", batch, 4, 10),
    "get": ("GET", b"limit=50", lambda: b"", CLIENTS, 100),
}


async def call(collector: Collector, method: str, query: bytes, body: bytes) -> None:
    """One request. Raises RuntimeError if it fails."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Message = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": "/events",
        "query_string": query,
        "headers": HEADERS,
    }
    await collector.app(scope, receive, send)
    if sent[0]["status"] not in (200, 201):
        raise RuntimeError(f"{sent[0]['status']}: {sent[-1]['body']!r}")


async def load(collector: Collector, scene: str, profiler: cProfile.Profile | None = None) -> float:
    """Every client's requests; the microseconds of CPU that each took."""
    method, query, body, clients, requests = SCENES[scene]
    bodies = [[body() for _ in range(requests)] for _ in range(clients)]

    async def client(mine: list[bytes]) -> None:
        for one in mine:
            await call(collector, method, query, one)

    begin = time.process_time()
    if profiler is not None:
        profiler.enable()
    await asyncio.gather(*map(client, bodies))
    if profiler is not None:
        profiler.disable()
    return (time.process_time() - begin) / (clients * requests) * 1e6


async def profile(url: str, scene: str) -> None:
    """Warm up, take the CPU time without the profiler, then profile."""
    configure("error", "json")
    collector = create_app(Settings.model_validate({"postgres_connection_string": url}))
    await collector.store.migrate()
    collector.start()
    await load(collector, "post")
    await load(collector, scene)
    rounds = sorted([await load(collector, scene) for _ in range(ROUNDS)])
    print(f"{scene}: {rounds[ROUNDS // 2]:.0f} µs of CPU a request (median of {ROUNDS}), this process alone")
    profiler = cProfile.Profile()
    await load(collector, scene, profiler)
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(ROWS)
    await collector.stop()


def main() -> None:
    """Profile the scene that the command line names."""
    scene = sys.argv[1] if len(sys.argv) == 2 else ""
    if scene not in SCENES:
        sys.exit(f"usage: python -m tests.bench.hotspots {'|'.join(SCENES)}")
    with PostgresServer() as server:
        uvloop.run(profile(server.url(), scene))


if __name__ == "__main__":
    main()
