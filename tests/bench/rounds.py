"""Rounds: every contestant in turn, again and again, so that what disturbs the machine disturbs all alike."""

import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.bench import wrk
from tests.bench.contestants import Server
from tests.bench.samples import Results, Sample
from tests.bench.usage import Usage, memory

WARM_UP = 1  # seconds: connections are opened, plans are made, just-in-time compilers have seen it


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One contestant of one measure; `run` gives the sample of a round of so many seconds."""

    measure: str
    contestant: str
    run: Callable[[int], Sample]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How long all of it takes."""

    rounds: int
    seconds: int


def interleave(cells: Sequence[Cell], pace: Pace, results: Results) -> None:
    """Warm all up, then run the rounds; the order turns with each, so that nobody always follows the same one."""
    for cell in cells:
        say(f"{cell.measure}: {cell.contestant} warms up")
        results.kept[cell.contestant] += cell.run(WARM_UP).kept
    for number in range(pace.rounds):
        for cell in cells if number % 2 == 0 else reversed(cells):
            sample = cell.run(pace.seconds)
            results.kept[cell.contestant] += sample.kept
            results.add(cell.measure, cell.contestant, sample)
            say(f"{cell.measure} {number + 1}/{pace.rounds}: {cell.contestant} {_figure(sample)}")


def load(
    server: Server,
    request: Callable[[], wrk.Request],
    *,
    connections: int,
    database: int | None = None,
    events: int = 1,
) -> Callable[[int], Sample]:
    """A load by wrk on a server; `events` are in one request, `database` is the process of its PostgreSQL."""

    def run(seconds: int) -> Sample:
        sent = request()
        start, children = Usage.now(server.pid, database), _seconds_of_children()
        told = wrk.run(server.url, sent, connections=connections, seconds=seconds)
        used = Usage.now(server.pid, database).since(start)
        sample = _sample(told, used, _seconds_of_children() - children, events)
        return replace(
            sample,
            kept=(told.requests - told.bad) * events if sent.method == "POST" else 0,
            memory=memory(server.pid),
            database_cpu=None if database is None else sample.database_cpu,
        )

    return run


def say(line: str) -> None:
    """Tell the person who waits."""
    print(line, file=sys.stderr, flush=True)


def _sample(told: wrk.Told, used: Usage, load_seconds: float, events: int) -> Sample:
    done = max(1, (told.requests - told.bad) * events)
    others = used.busy - used.server - used.database - load_seconds
    return Sample(
        rate=told.requests * events / told.seconds,
        p50=told.p50,
        p99=told.p99,
        bad=told.bad,
        server_cpu=used.server / done * 1e6,
        database_cpu=used.database / done * 1e6,
        others=max(0.0, others) / used.total if used.total else None,
    )


def _seconds_of_children() -> float:
    # wrk is the one child that ends while a round is measured.
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _figure(sample: Sample) -> str:
    if sample.rate is None:
        return f"{sample.p50:,.0f} ms"
    wrong = f", {sample.bad} not successful" if sample.bad else ""
    return f"{sample.rate:,.0f}/s{wrong}"
