"""Worst: what one client's dear bodies cost its neighbours, and how soon a body that is refused is answered."""

import json
import resource
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.bench import bodies
from tests.bench.arena import SQLITE, Arena
from tests.bench.bodies import BATCH
from tests.bench.contestants import ROOT, Server, collector
from tests.bench.hostile import Kind, kinds
from tests.bench.neighbours import POST, PROBE, SORTS, START, answer, connect, request
from tests.bench.rounds import WARM_UP, Pace, say
from tests.bench.samples import Results, Sample, Value, spread
from tests.bench.usage import Usage
from tests.child import clean_environment

NOBODY = "nobody"
ANY_LEGAL = "any legal"
STORED = "worst"  # the collector whose events are counted afterwards
BODY = "body"
ANSWERED = 1.0  # seconds to read the answer of who hung up before the body was complete


@dataclass(slots=True)
class Sent:
    """What a client's bodies took, in milliseconds, and how many were not answered as they deserve."""

    times: list[float] = field(default_factory=list)
    kept: int = 0
    bad: int = 0


class Client:
    """Posts one body after the other, on one connection as long as it holds."""

    def __init__(self, port: int, kind: Kind, body: bytes) -> None:
        self._port = port
        self._kind = kind
        self._body = body
        self._events = body.count(b'"source"') if kind.legal else 0
        self._connection: socket.socket | None = None

    def send_until(self, end: float) -> Sent:
        """Send until this moment of `time.perf_counter`. What is under way then is waited for."""
        sent = Sent()
        try:
            while time.perf_counter() < end:
                begin = time.perf_counter()
                kept = self._send() == self._kind.status
                sent.times.append((time.perf_counter() - begin) * 1000)
                sent.kept += self._events if kept else 0
                sent.bad += not kept
        finally:
            self._hang_up()
        return sent

    def _send(self) -> int | None:
        """The answer's status, None where there was none."""
        # A key of its own, as clients do that may have to send again: no body repeats the one before.
        headers = {"Idempotency-Key": secrets.token_hex(8)}
        if self._kind.encoding:
            headers["Content-Encoding"] = self._kind.encoding
        try:
            self._connection = self._connection or connect(self._port)
            try:
                self._connection.sendall(request("POST", "/events", self._body, headers))
            except ConnectionError:
                self._connection.settimeout(ANSWERED)
            status, stays = answer(self._connection)
        except OSError:
            self._hang_up()
            return None
        if not stays:
            self._hang_up()
        return status

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def measure(arena: Arena, pace: Pace) -> None:
    """All kinds on PostgreSQL, the good and legal ones on SQLite; shorter rounds than elsewhere, and fewer."""
    pace = Pace(rounds=max(2, pace.rounds // 2), seconds=max(1, pace.seconds // 3))
    every = {kind: kind.make() for kind in kinds()}
    url = arena.migrated()
    server = arena.enter(collector(STORED, url))
    arena.first_events(server)
    arena.databases[STORED] = url
    _rounds(arena, server, every, pace)
    _rounds(arena, arena.enter(collector(SQLITE, None)), {kind: every[kind] for kind in every if kind.legal}, pace)


def name_of(sort: str, server: Server) -> str:
    """The measure of a sort of requests."""
    return f"worst {sort}{', SQLite' if server.name == SQLITE else ''}"


def summarise(results: Results, measure: str, names: Collection[str]) -> None:
    """Put the longest that any of these had in a round beside them."""
    rounds = zip(*(results.rounds(Value(measure, name, "most")) for name in names), strict=True)
    for longest in map(max, rounds):
        results.add(measure, ANY_LEGAL, Sample(most=longest))


def _rounds(arena: Arena, server: Server, every: Mapping[Kind, bytes], pace: Pace) -> None:
    """Each kind in turn, and nobody; the order turns with each round."""
    clients: dict[str, Client | None] = {NOBODY: None}
    clients |= {kind.name: Client(server.port, kind, body) for kind, body in every.items()}
    _round(arena, server, None, WARM_UP)
    for number in range(pace.rounds):
        for name, client in list(clients.items())[:: 1 if number % 2 == 0 else -1]:
            samples = _round(arena, server, client, pace.seconds)
            for sort, sample in samples.items():
                arena.results.add(name_of(sort, server), name, sample)
            longest = ", ".join(f"{sort} {sample.most or 0:,.0f}" for sort, sample in samples.items())
            say(f"worst {number + 1}/{pace.rounds}: {server.name}, {name}: the longest in ms: {longest}")
    summarise(arena.results, name_of(PROBE, server), [kind.name for kind in every if kind.worst])


def _round(arena: Arena, server: Server, client: Client | None, seconds: int) -> dict[str, Sample]:
    """What neighbours and client met, by sort of request."""
    # The page of the last 50 is the same for all at first.
    server.ask("POST", "/events", bodies.batch(ids=False))
    database = arena.database_of(server)
    start, own = Usage.now(server.pid, database), _own_seconds()
    told, sent = _loaded(server.port, client, seconds)
    used = Usage.now(server.pid, database).since(start)
    others = (used.busy - used.server - used.database - (_own_seconds() - own)) / used.total
    arena.results.kept[server.name] += BATCH + told[POST]["kept"] + sent.kept
    samples = {sort: _sample(told[sort]["times"], told[sort]["bad"], others) for sort in SORTS}
    return samples | ({BODY: _sample(sent.times, sent.bad, others)} if client else {})


def _loaded(port: int, client: Client | None, seconds: int) -> tuple[Mapping[str, Any], Sent]:
    command = [sys.executable, "-m", "tests.bench.neighbours", str(port), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE) as load:
        assert load.stdout is not None
        try:
            load.stdout.readline()
            end = time.perf_counter() + START + seconds
            sent = client.send_until(end) if client else Sent()
            return json.loads(load.stdout.read()), sent
        finally:
            load.kill()


def _sample(times: Sequence[float], bad: int, others: float) -> Sample:
    return replace(spread(times), bad=bad, others=max(0.0, others))


def _own_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
