"""Arena: one PostgreSQL, a database per contestant, and every contestant that can be had, running."""

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import asyncpg

from tests.bench import bodies
from tests.bench.contestants import Server, collector, go_peer, node_peer, python_peer
from tests.bench.limits import Pgbench
from tests.bench.rounds import say
from tests.bench.samples import Results
from tests.binaries import NotToBeHad
from tests.databases import CONNECT_TIMEOUT, create_database, database_name, migrate
from tests.guardian import guardian
from tests.servers import PostgresServer

CONNECTIONS = "300"  # contestants hold on to their pools, and pgbench has 64
SEGMENT = 16  # MB, PostgreSQL's default
FIRST_EVENTS = 100  # that every contestant has from the start: a page of 50 is full
SQLITE = "collector, SQLite"
UNMETERED = "metrics off"


class Arena:
    """What a run has. `only` are the parts that will be measured: what none of them needs is not started."""

    def __init__(self, postgres: PostgresServer, only: frozenset[str], results: Results) -> None:
        self.postgres = postgres
        self.results = results
        self.servers: dict[str, Server] = {}
        self.databases: dict[str, str] = {}  # of contestants that are asked afterwards what they stored
        self._stack = ExitStack()
        self._template = database_name(self.database())
        migrate(self.postgres.url(self._template))
        self.bodies: dict[str, Path] = {
            f"{kind}{' ids' if ids else ''}": _file(make(ids=ids))
            for kind, make in (("one", bodies.single), ("batch", bodies.batch))
            for ids in (False, True)
        }
        if only & {"post", "batch", "get"}:
            self._enter()

    @property
    def database_process(self) -> int:
        """PostgreSQL's process; its children are its sessions."""
        return self.postgres._running.pid

    def database_of(self, server: Server) -> int | None:
        """PostgreSQL's process where this server works with it."""
        return self.database_process if server.name in self.databases else None

    def database(self, *, template: str = "template1") -> str:
        """The URL of a fresh database."""
        return asyncio.run(create_database(self.postgres.url(), template=template))

    def migrated(self) -> str:
        """The URL of a fresh database that has the collector's schema."""
        return self.database(template=self._template)

    def enter(self, server: Server) -> Server:
        """Start a server, which ends with the arena."""
        say(f"{server.name} starts")
        self._stack.callback(server.stop)
        server.start()
        return server

    def first_events(self, server: Server) -> None:
        """Post what everyone has from the start."""
        for _ in range(FIRST_EVENTS):
            server.ask("POST", "/events", bodies.single(ids=False))

    def pgbench(self) -> Pgbench:
        """The limit of single commits."""
        limit = Pgbench(self.postgres.install.bin / "pgbench", self.migrated())
        asyncio.run(limit.prepare())
        return limit

    def check_stored(self) -> None:
        """Note where fewer events are stored than were answered with success."""
        for name, url in self.databases.items():
            said, stored = FIRST_EVENTS + self.results.kept[name], asyncio.run(_count(url))
            if stored < said:
                self.results.notes.append(f"{name}: {said:,} events answered as kept, {stored:,} stored")

    def leave(self) -> None:
        """End all servers."""
        self._stack.close()

    def _enter(self) -> None:
        self._take("collector", collector, self.migrated())
        self._take(UNMETERED, partial(collector, metrics=False), self.migrated())
        self._take(SQLITE, collector, None)
        self._take("textbook", partial(python_peer, module="textbook"), self.database())
        self._take("orm best", partial(python_peer, module="orm_best"), self.database())
        self._take("fastify", node_peer, self.database())
        self._take("go in memory", go_peer, None)
        page = _file(self.servers["collector"].ask("GET", "/events?limit=50")[1])
        self._take("no-op", partial(python_peer, module="noop", page=page), None)

    def _take(self, name: str, make: Callable[[str, str | None], Server], database: str | None) -> None:
        try:
            server = self.servers[name] = self.enter(make(name, database))
        except NotToBeHad as reason:
            self.results.missing[name] = str(reason)
            return
        if database is not None:
            self.databases[name] = database
        self.first_events(server)


@contextmanager
def arena(only: frozenset[str], results: Results) -> Iterator[Arena]:
    """An arena, while the context is open."""
    server = PostgresServer(settings={"max_connections": CONNECTIONS})
    _use_default_segments(server)
    with server as postgres:
        found = Arena(postgres, only, results)
        try:
            yield found
        finally:
            found.leave()


def _use_default_segments(postgres: PostgresServer) -> None:
    # Tests have WAL segments of 1 MB, which copy faster; COPY is a fifth slower with them than with the default.
    account = postgres._account
    subprocess.run(
        [postgres.install.bin / "pg_resetwal", f"--wal-segsize={SEGMENT}", "-D", postgres._data],
        capture_output=True,
        check=True,
        cwd="/",
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


async def _count(url: str) -> int:
    connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM events"))
    finally:
        await connection.close()


def _file(content: bytes) -> Path:
    path = guardian().new_folder("body") / "body.json"
    path.write_bytes(content)
    return path
