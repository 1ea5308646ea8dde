"""Processes: the rig on this machine: collectors and workers under a supervisor, servers of our own, proxies."""

import asyncio
import sqlite3
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from tests.binaries import valkey_binary
from tests.databases import migrate
from tests.drills.front import Front
from tests.drills.injectors import postgres, processes, redis, surroundings, worker
from tests.drills.injectors.upgrade import Site, upgrade
from tests.drills.rig import Assembled, NotHere, Targets, Verb
from tests.drills.scenario import Processes
from tests.drills.supervisor import Check, Policy, Supervisor
from tests.faults.wire import Cut, ask
from tests.ports import LOOPBACK
from tests.process import CollectorProcess
from tests.proxy import Proxy
from tests.servers import PostgresServer, RedisServer

# Kubernetes' own periods would make a drill last minutes; what counts is that a fault outlasts the checks.
POLICY = Policy(
    startup=Check(path="/healthz", period=0.1, timeout=1.0, failures=300),
    liveness=Check(path="/healthz", period=1.0, timeout=1.0, failures=5),
    readiness=Check(path="/readyz", period=0.25, timeout=1.0, failures=2),
    grace=30.0,
    backoff=1.0,
    backoff_most=10.0,
    steady=2.0,
)
LAG = 0.5  # seconds until the front knows of a change
SETTLES = 0.2  # seconds beyond the lag
ON_DISK = {"appendonly": "yes", "appendfsync": "always"}  # what a spool asks for
SERVES = "collector-1"
PAGES = 200  # different ones that are read
AnyServer = TypeVar("AnyServer", PostgresServer, RedisServer)
SLOW = 0.2  # seconds that a network which delays takes more, each way


_COLLECTOR = frozenset({"kill", "terminate", "freeze"})
_WORKER = frozenset({"kill", "freeze"})
_POSTGRES = frozenset({"crash", "restart", "lock", "lose-standby"})
_REDIS = frozenset({"shutdown", "crash", "stall", "flush", "fill"})


def offers(plan: Processes) -> dict[str, frozenset[str]]:
    """The targets that such a rig has, and their verbs; known without starting it."""
    found = {f"collector-{n + 1}": _COLLECTOR for n in range(plan.collectors)}
    found["collectors"] = frozenset({"roll"} | ({"upgrade"} if plan.store == "postgres" else set()))
    draining = {"kill-draining"} if plan.store == "postgres" and plan.spool else set()
    found |= {f"worker-{n + 1}": _WORKER | draining for n in range(plan.workers)}
    found |= {"postgres": _POSTGRES} if plan.store == "postgres" else {}
    found |= {"disk": frozenset({"fill"})} if plan.disk_mib is not None else {}
    found |= {name: _REDIS for name in ("cache", "spool") if getattr(plan, name)}
    return found | {f"to-{name}": frozenset(surroundings.MODES) for name in plan.through}


class ProcessRig(Assembled):
    """A rig of processes, as `plan` says. `module` is what collectors and workers are started by."""

    def __init__(self, plan: Processes, folder: Path, *, module: str = "app") -> None:
        super().__init__()
        self._plan = plan
        self._folder = folder
        self._module = module
        self._env: dict[str, str] = dict(plan.settings)
        self._targets: dict[str, Mapping[str, Verb]] = {}
        self._processes: dict[str, CollectorProcess] = {}
        self._made = 0
        self._pages = 0
        self._urls: list[str] = []
        self._database: PostgresServer | None = None
        self._disk: Path | None = None
        self._spool: RedisServer | None = None
        self._front: Front | None = None
        self._supervisor = Supervisor(POLICY, on_endpoints=self._endpoints)

    @property
    def urls(self) -> Sequence[str]:
        """One URL where there is a front or a proxy before a sole collector, else one a collector."""
        return self._urls

    @property
    def targets(self) -> Targets:
        """As `offers` says."""
        return self._targets

    @property
    def restarts(self) -> Mapping[str, Sequence[str]]:
        """Why each process was started again."""
        return {name: [one.reason for one in all_] for name, all_ in self._supervisor.restarts.items()}

    @property
    def logs(self) -> Mapping[str, str]:
        """What each process has written."""
        return {name: process.output() for name, process in self._processes.items()}

    async def stored(self, source: str) -> Counter[str]:
        """How often each id of this source is in the table."""
        if self._database is None:
            return await asyncio.to_thread(_in_file, self._env["SQLITE_PATH"], source)
        return await postgres.stored(self._database, source)

    async def _start(self) -> None:
        enter = self._exits.enter_async_context
        await self._start_stores()
        if self._plan.front:
            self._front = await enter(Front(lag=LAG))
        await enter(self._supervisor)
        for number in range(self._plan.collectors):
            await self._add_collector(f"collector-{number + 1}")
        self._targets["collectors"] = self._of_all()
        for number in range(self._plan.workers):
            self._add_worker(f"worker-{number + 1}")
        assert offers(self._plan) == {name: frozenset(verbs) for name, verbs in self._targets.items()}
        await self._supervisor.until_ready()
        if self._front is not None:
            self._urls = [self._front.url]
            await self._heard()

    async def _start_stores(self) -> None:
        if self._plan.disk_mib is not None:
            self._disk = self._exits.enter_context(_disk(self._folder / "disk", self._plan.disk_mib))
        if self._plan.store == "sqlite":
            self._env["SQLITE_PATH"] = str((self._disk or self._folder) / "collector.db")
        else:
            settings = {"fsync": "on" if self._plan.fsync else "off"}
            self._database = server = await self._exits.enter_async_context(
                running(PostgresServer(place=self._disk, settings=settings))
            )
            await asyncio.to_thread(migrate, server.url())
            self._targets["postgres"] = postgres.of_postgres(server)
            through = await self._network("postgres", server.port, server.url())
            self._env["POSTGRES_CONNECTION_STRING"] = through
        if self._plan.cache:
            cache = await self._exits.enter_async_context(running(RedisServer(binary=valkey_binary())))
            self._targets["cache"] = redis.of_redis(cache, self._read_pages)
            self._env["REDIS_URL"] = await self._network("cache", cache.port, cache.url())
        if self._plan.spool:
            binary = valkey_binary()
            self._spool = spool = await self._exits.enter_async_context(
                running(RedisServer(settings=ON_DISK, binary=binary))
            )
            self._targets["spool"] = redis.of_redis(spool) | {
                "flush": partial(redis.flush, spool, partial(redis.mark, spool))
            }
            self._env["SPOOL_URL"] = await self._network("spool", spool.port, spool.url())

    async def _network(self, name: str, port: int, url: str) -> str:
        """The URL that leads there, through a proxy where there is to be one."""
        if name not in self._plan.through:
            return url
        proxy = await self._exits.enter_async_context(Proxy(LOOPBACK, port, delay=SLOW))
        self._targets[f"to-{name}"] = surroundings.of_proxy(proxy)
        return proxy.url_through(url)

    async def _add_collector(self, name: str) -> None:
        process = self._make(**await self._way(name))
        pod = self._supervisor.add(name, process)
        self._targets[name] = processes.of_collector(pod, self._supervisor)
        if name == SERVES and self._disk is not None:
            mend = partial(postgres.run_again, self._database) if self._database else surroundings.nobody_has_ended
            self._targets["disk"] = surroundings.of_disk(self._disk, process.port, mend)
        self._urls.append(await self._network(name, process.port, process.url))

    def _of_all(self) -> Mapping[str, Verb]:
        """What can be done to all that serve."""
        verbs: dict[str, Verb] = {"roll": partial(processes.roll, self._supervisor, self._make, self._heard)}
        if self._database is not None:
            site = Site(
                supervisor=self._supervisor,
                server=self._database,
                folder=self._folder,
                make=self._make_of,
                wait=self._heard,
            )
            verbs["upgrade"] = partial(upgrade, site)
        return verbs

    async def _way(self, name: str) -> dict[str, str]:
        """The settings of a collector that has a way to the database of its own."""
        way = f"postgres-of-{name}"
        if self._database is None or way not in self._plan.through:
            return {}
        url = await self._network(way, self._database.port, self._database.url())
        return {"POSTGRES_CONNECTION_STRING": url}

    def _add_worker(self, name: str) -> None:
        process = self._make("worker")
        pod = self._supervisor.add(name, process, serves=False)
        self._targets[name] = worker.of_worker(pod, self._supervisor, self._database, self._spool)

    def _make(self, command: str = "serve", **env: str) -> CollectorProcess:
        process = CollectorProcess(env={**self._env, **env}, command=command, module=self._module)
        return self._add(process, command)

    def _make_of(self, code: Path) -> CollectorProcess:
        """A collector of other code, that of this folder."""
        return self._add(CollectorProcess(env=self._env, cwd=code), "successor")

    def _add(self, process: CollectorProcess, what: str) -> CollectorProcess:
        self._made += 1
        self._processes[f"{self._made}-{what}"] = process
        self._exits.callback(process.close)
        return process

    async def _read_pages(self) -> None:
        """Read some page through every collector, which shares it where the log is at rest."""
        for process in [pod.process for pod in self._supervisor.pods.values() if pod.serves]:
            self._pages += 1
            with suppress(Cut, OSError):
                await ask(process.port, "GET", f"/events?limit={1 + self._pages % PAGES}")

    async def _heard(self) -> None:
        """Wait until the front knows of what is ready now."""
        await asyncio.sleep(LAG + SETTLES if self._front else 0)

    def _endpoints(self, ports: Sequence[int]) -> None:
        if self._front is not None:
            self._front.update(ports)


@asynccontextmanager
async def running(server: AnyServer) -> AsyncIterator[AnyServer]:
    """Its context, entered and left in a thread."""
    await asyncio.to_thread(server.start)
    try:
        yield server
    finally:
        await asyncio.to_thread(server.close)


@contextmanager
def _disk(folder: Path, mib: int) -> Iterator[Path]:
    """A file system in memory."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotHere(f"a file system cannot be mounted here: {error}") from error
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _in_file(path: str, source: str) -> Counter[str]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return Counter(id_ for (id_,) in connection.execute("SELECT id FROM events WHERE source = ?", (source,)))
    finally:
        connection.close()
