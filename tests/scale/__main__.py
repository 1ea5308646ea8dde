"""The command: `python -m tests.scale`. The same load on one PostgreSQL, and with its sources over two of them.

Both servers have the same cores and the same disk, so that the ratio tells of the lock under which a server
commits and of its wait for the disk, and nothing of the CPU and disk that a second machine would bring.
"""

import argparse
import asyncio
import multiprocessing
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager

from tests.bench.rounds import Cell, Pace, interleave, say
from tests.bench.samples import Results, Sample, Value
from tests.bench.usage import cpu_seconds
from tests.databases import create_database, migrate
from tests.scale.sender import Load, Sent, sent
from tests.servers import PostgresServer

SENDERS = 2  # processes, as replicas are
ONE, TWO = "one server", "two servers"
LOADS = {"one event": Load(clients=64, events=1), "1,000 events": Load(clients=4, events=1000)}
SLOW = "a disk that takes 10 ms"
# Each commit waits so long before it is flushed; a standby in another zone takes about as long to confirm.
SLOW_SETTINGS = {"commit_delay": "10000", "commit_siblings": "0"}


@contextmanager
def served(settings: Mapping[str, str]) -> Iterator[list[tuple[PostgresServer, str]]]:
    """Two servers, and a database with the schema on each."""
    with ExitStack() as stack:
        servers = [stack.enter_context(PostgresServer(settings=settings)) for _ in (ONE, TWO)]
        urls = [asyncio.run(create_database(server.url())) for server in servers]
        for url in urls:
            migrate(url)
        yield list(zip(servers, urls, strict=True))


def cell(
    pool: ProcessPoolExecutor, measure: str, load: Load, name: str, servers: Sequence[tuple[PostgresServer, str]]
) -> Cell:
    """A load on these servers."""
    urls, pids = [url for _, url in servers], [server._running.pid for server, _ in servers]

    def run(seconds: int) -> Sample:
        before = sum(map(cpu_seconds, pids))
        tasks = [pool.submit(sent, urls, load, seconds) for _ in range(SENDERS)]
        told: list[Sent] = [task.result() for task in tasks]
        kept, used = sum(one.events for one in told), sum(map(cpu_seconds, pids)) - before
        return Sample(
            rate=sum(one.events / one.seconds for one in told), kept=kept, database_cpu=used / kept * 1e6
        )

    return Cell(measure=measure, contestant=name, run=run)


def main(words: Sequence[str]) -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of load in a round")
    options = parser.parse_args(words)
    results, pace = Results(), Pace(rounds=options.rounds, seconds=options.seconds)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(SENDERS, mp_context=context) as pool:
        for suffix, settings in (("", {}), (f", {SLOW}", SLOW_SETTINGS)):
            with served(settings) as servers:
                for measure, load in LOADS.items():
                    named = f"{measure} a request{suffix}"
                    cells = [cell(pool, named, load, ONE, servers[:1]), cell(pool, named, load, TWO, servers)]
                    interleave(cells, pace, results)
    say("")
    print(table(results))
    return 0


def table(results: Results) -> str:
    """A line for each load."""
    lines = [
        "| | one server | two servers | two beside one | µs of PostgreSQL an event, one; two |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for measure in results.measures:
        one, two = (Value(measure, name) for name in (ONE, TWO))
        rates = [f"{results.middle(value) or 0:,.0f} a second" for value in (one, two)]
        cpus = [f"{results.middle(Value(measure, name, 'database_cpu')) or 0:.1f}" for name in (ONE, TWO)]
        lines.append(
            f"| {measure} | {' | '.join(rates)} | {results.ratio(two, one) or 0:.2f} × | {'; '.join(cpus)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
