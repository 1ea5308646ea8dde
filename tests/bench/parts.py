"""Parts: which contestants are loaded with what."""

import socket
import time
from collections.abc import Callable
from dataclasses import replace

from tests.bench import wrk
from tests.bench.arena import SQLITE, UNMETERED, Arena
from tests.bench.bodies import BATCH
from tests.bench.contestants import JSON, Server, collector, python_peer
from tests.bench.limits import Copier
from tests.bench.rounds import Cell, Pace, interleave, load
from tests.bench.samples import Sample
from tests.bench.usage import cpu_seconds
from tests.ports import LOOPBACK

MANY = 64  # connections
FEW = 4  # connections, for batches
STARTS = 5  # at least
START_POLL = 0.002  # seconds
START_PATIENCE = 60.0  # seconds


def post(arena: Arena, pace: Pace) -> None:
    """One durable event a request."""
    pgbench = arena.pgbench()
    cells = [_posting(arena, "post", name, "one") for name in arena.servers]
    cells += [_posting(arena, "post ids", name, "one ids") for name in ("collector", SQLITE)]
    cells.append(_limit(arena, "post", "pgbench", pgbench.run))
    interleave(cells, pace, arena.results)


def batch(arena: Arena, pace: Pace) -> None:
    """A thousand events a request."""
    cells = []
    for measure, ids in (("batch", False), ("batch ids", True)):
        cells += [_batches(arena, measure, name) for name in ("collector", SQLITE)]
        cells.append(_limit(arena, measure, "COPY", Copier(arena.migrated(), ids=ids).run))
    interleave(cells, pace, arena.results)


def get(arena: Arena, pace: Pace) -> None:
    """The last 50 events, from whoever has them; and the answer that nothing has changed."""
    cells = [_reading(arena, "get", server) for server in arena.servers.values() if server.name != UNMETERED]
    cells += [_reading(arena, "get 304", arena.servers[name]) for name in ("collector", SQLITE, "no-op")]
    interleave(cells, pace, arena.results)


def start(arena: Arena, pace: Pace) -> None:
    """From exec to the first 200 of /healthz."""
    servers = [
        collector("collector", arena.migrated()),
        collector(SQLITE, None),
        python_peer("no-op", None, module="noop"),
    ]
    cells = [Cell(measure="start", contestant=one.name, run=_starting(one)) for one in servers]
    interleave(cells, replace(pace, rounds=max(STARTS, pace.rounds)), arena.results)


def posting(
    arena: Arena, server: Server, body: str, *, connections: int = MANY, events: int = 1
) -> Callable[[int], Sample]:
    """A load of POSTs of a body of the arena."""
    request = wrk.Request(method="POST", path="/events", body=arena.bodies[body], headers=JSON)
    database = arena.database_of(server)
    return load(server, lambda: request, connections=connections, database=database, events=events)


def _posting(arena: Arena, measure: str, name: str, body: str) -> Cell:
    return Cell(measure=measure, contestant=name, run=posting(arena, arena.servers[name], body))


def _batches(arena: Arena, measure: str, name: str) -> Cell:
    run = posting(arena, arena.servers[name], measure, connections=FEW, events=BATCH)
    return Cell(measure=measure, contestant=name, run=run)


def _reading(arena: Arena, measure: str, server: Server) -> Cell:
    def request() -> wrk.Request:
        if measure == "get":
            return wrk.Request(headers={})
        headers = {"If-None-Match": server.ask("GET", "/events?limit=50")[0].headers["ETag"] or '"any"'}
        if (status := server.ask("GET", "/events?limit=50", headers=headers)[0].status) != 304:
            raise RuntimeError(f"{server.name} answered {status} where nothing has changed")
        return wrk.Request(headers=headers)

    run = load(server, request, connections=MANY, database=arena.database_of(server))
    return Cell(measure=measure, contestant=server.name, run=run)


def _limit(arena: Arena, measure: str, name: str, run: Callable[[int, int], Sample]) -> Cell:
    return Cell(measure=measure, contestant=name, run=lambda seconds: run(seconds, arena.database_process))


def _starting(server: Server) -> Callable[[int], Sample]:
    def run(_: int) -> Sample:
        begin = time.perf_counter()
        server.launch()
        try:
            _wait_for_200(server, begin + START_PATIENCE)
            took = time.perf_counter() - begin
            return Sample(p50=took * 1000, server_cpu=cpu_seconds(server.pid) * 1e6)
        finally:
            server.stop()

    return run


def _wait_for_200(server: Server, deadline: float) -> None:
    while not _says_200(server.port):
        if server.running.exit_code is not None or time.perf_counter() > deadline:
            raise RuntimeError(f"{server.name} did not start\n{server.running.tail()}")
        time.sleep(START_POLL)


def _says_200(port: int) -> bool:
    # By hand: a whole HTTP client would take the processor from the one that starts.
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            return connection.recv(12).endswith(b" 200")
    except OSError:
        return False
