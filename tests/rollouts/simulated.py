"""Simulated: the rig on which a Deployment is played: real collectors, a PostgreSQL, and a front before them.

It begins as `kubectl apply` of everything does: pods and the migration Job start together. The Job comes late, and
the front lets clients in as soon as it has an endpoint: a pod that is ready without a schema turns them away.

PostgreSQL does not wait for the disk here. Pods come and go, and no machine fails; on a disk that others use too a
commit may take seconds, and a request that fails of it says nothing about the manifests.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.databases import migrate
from tests.drills.front import Front
from tests.drills.injectors import postgres
from tests.drills.processes import running
from tests.drills.rig import Assembled, Rig, Targets
from tests.drills.scenario import Scenario
from tests.drills.supervisor import Pod, Supervisor
from tests.process import CollectorProcess
from tests.rollouts.controller import Controller, Stuck
from tests.rollouts.drill import verbs
from tests.rollouts.manifest import Deployment, Template
from tests.servers import PostgresServer

VERSION = "VERSION_OF_THE_TEMPLATE"  # no setting: it makes a template another one, and nothing besides
NOWHERE = "postgres://nobody@127.0.0.1:1/none"
LATE = 2.0  # seconds that the Job goes on where clients are let in before it is done
PATIENCE = 120.0  # seconds; a start takes two
POLL = 0.02  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """What is played, with all times already at the pace at which it is."""

    deployment: Deployment
    lag: float  # seconds until the front knows of a change


class SimulatedRig(Assembled):
    """A Deployment in motion; its one target is the Deployment."""

    def __init__(self, stage: Stage, *, module: str = "app") -> None:
        super().__init__()
        self._stage = stage
        self._module = module
        self._processes: list[CollectorProcess] = []
        self._versions = 0
        self._front = Front(lag=stage.lag)
        self._supervisor = Supervisor(on_endpoints=self._front.update)
        self._database: PostgresServer | None = None
        self._controller: Controller | None = None
        self._base: Template | None = None
        self._job: asyncio.Task[None] | None = None

    @property
    def urls(self) -> Sequence[str]:
        """The front's."""
        return [self._front.url]

    @property
    def targets(self) -> Targets:
        """What can be done to a Deployment."""
        return verbs(update=self._update, undo=self._undo, misconfigure=self._misconfigure)

    @property
    def restarts(self) -> Mapping[str, Sequence[str]]:
        """Why each pod was started again."""
        return {name: [one.reason for one in all_] for name, all_ in self._supervisor.restarts.items()}

    @property
    def logs(self) -> Mapping[str, str]:
        """What each pod has written."""
        return {f"pod-{number}": process.output() for number, process in enumerate(self._processes, 1)}

    async def stored(self, source: str) -> Counter[str]:
        """How often each id of this source is in the table."""
        assert self._database is not None
        return await postgres.stored(self._database, source)

    async def _start(self) -> None:
        enter = self._exits.enter_async_context
        self._database = server = await enter(running(PostgresServer(settings={"fsync": "off"})))
        self._base = self._stage.deployment.template.with_env(POSTGRES_CONNECTION_STRING=server.url())
        await enter(self._front)
        await enter(self._supervisor)
        self._controller = await enter(Controller(self._stage.deployment, self._supervisor, self._pod))
        self._controller.apply(self._next())
        await _until(self._have_started)
        self._job = asyncio.create_task(self._migrate(late=await self._lets_in()), name="migration")
        self._exits.callback(self._job.cancel)
        await _until(lambda: bool(self._supervisor.endpoints))
        await asyncio.sleep(self._stage.lag)

    def _have_started(self) -> bool:
        """Whether every pod that there is to be has come up: nobody needs a schema for that."""
        return len(self._pods) >= self._stage.deployment.replicas and all(pod.started for pod in self._pods)

    async def _lets_in(self) -> bool:
        """Whether pods become endpoints though there is no schema."""
        readiness = self._stage.deployment.template.policy.readiness
        period = 0.0 if readiness is None else readiness.delay + readiness.period * (readiness.successes + 1)
        await asyncio.sleep(period)
        return bool(self._supervisor.endpoints)

    async def _migrate(self, *, late: bool) -> None:
        """The Job. Where clients are let in without a schema, it ends a while after the first has come."""
        assert self._database is not None
        if late:
            await _until(lambda: self._front.connections > 0)
            await asyncio.sleep(LATE)
        await asyncio.to_thread(migrate, self._database.url())

    async def _update(self) -> str | None:
        """Another version, in all else the same."""
        await self._installed()
        self._deployed.apply(self._next())
        return await self._rolled()

    async def _undo(self) -> str | None:
        """The version before this one again."""
        await self._installed()
        self._deployed.undo()
        return await self._rolled()

    async def _misconfigure(self) -> str | None:
        """A version that does not reach its database, until the deadline; then it is undone."""
        await self._installed()
        self._deployed.apply(self._next().with_env(POSTGRES_CONNECTION_STRING=NOWHERE))
        began = time.monotonic()
        try:
            await self._deployed.rolled_out()
            end = "went through"
        except Stuck as stuck:
            end = f"was stuck ({stuck})"
        until = time.monotonic() - began
        self._deployed.undo()
        return f"{end} after {until:.1f} s; undone, {await self._rolled()}"

    async def _installed(self) -> None:
        """Wait until the Job is done, and the first rollout."""
        assert self._job is not None
        await self._job
        await self._deployed.rolled_out()

    async def _rolled(self) -> str | None:
        """Wait until it is done, and until those that it has replaced have left."""
        began = time.monotonic()
        await self._deployed.rolled_out()
        took = time.monotonic() - began
        codes = await self._deployed.left()
        return f"done in {took:.1f} s; {len(codes)} left with {_told(codes)}" if codes else None

    @property
    def _deployed(self) -> Controller:
        assert self._controller is not None
        return self._controller

    @property
    def _pods(self) -> list[Pod]:
        return self._deployed.pods

    def _next(self) -> Template:
        assert self._base is not None
        self._versions += 1
        return self._base.with_env(**{VERSION: str(self._versions)})

    def _pod(self, template: Template) -> CollectorProcess:
        process = CollectorProcess(env=template.env, module=self._module)
        self._processes.append(process)
        self._exits.callback(process.close)
        return process


async def _until(true: Callable[[], bool]) -> None:
    """Wait for it. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(POLL)


def simulated(stage: Stage, scenario: Scenario, folder: Path, module: str) -> Rig:
    """The rig, as a runner of drills makes one."""
    return SimulatedRig(stage, module=module)


def _told(codes: Sequence[int | None]) -> str:
    """Exit codes with how often each came."""
    return ", ".join(f"{code} ({times}×)" for code, times in Counter(codes).items())
