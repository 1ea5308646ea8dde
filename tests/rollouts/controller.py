"""Controller: a Deployment and its ReplicaSets, whose pods are processes under the drills' supervisor.

1. A template that is applied gets a ReplicaSet of its own, or the one that has it already, as when it is undone.
2. At every turn the new one grows and the old ones shrink as far as arithmetic.py lets them. Pods that leave count
   no longer, so that a successor need not wait until they have left.
3. Of a ReplicaSet that shrinks, the pods go first that are not ready, then those that have been so the shortest.
4. A rollout in which nothing has come on for the progress deadline counts as stuck. It goes on all the same, until
   somebody undoes it.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from tests.drills.supervisor import Pod, Process, Supervisor
from tests.rollouts.arithmetic import Bounds, Counts, bounds, grown, shrunk
from tests.rollouts.manifest import Deployment, Template

TURN = 0.02  # seconds

Start = Callable[[Template], Process]


class Stuck(Exception):
    """The progress deadline has been exceeded; the message says how far the rollout came."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """How far a rollout is, in pods."""

    updated: int  # of the new version
    old: int
    ready: int
    available: int

    def further_than(self, before: "Status") -> bool:
        """Whether anything has come on since."""
        more = (self.updated, self.ready, self.available)
        return self.old < before.old or any(
            now > then for now, then in zip(more, (before.updated, before.ready, before.available), strict=True)
        )

    def complete(self, replicas: int) -> bool:
        """Whether there is nothing but the new version, and all of it is available."""
        return (self.updated, self.old) == (replicas, 0) and self.available >= replicas


@dataclass(slots=True)
class ReplicaSet:
    """A version: what it is, how many pods it is to have, and those it has."""

    number: int  # in the order in which they were made
    template: Template
    wanted: int = 0
    pods: dict[str, Pod] = field(default_factory=dict)


class Controller:
    """Plays a Deployment while its context is open. `start` makes the process of a pod."""

    def __init__(self, deployment: Deployment, supervisor: Supervisor, start: Start) -> None:
        self._deployment = deployment
        self._keep: Bounds = bounds(deployment)
        self._supervisor = supervisor
        self._start = start
        self._sets: list[ReplicaSet] = []  # in the order in which they were asked for; the last one is the new one
        self._names = itertools.count(1)
        self._seen = Status(updated=0, old=0, ready=0, available=0)
        self._came_on = time.monotonic()
        self._leaving: set[asyncio.Task[int | None]] = set()
        self._turns: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._turns = asyncio.create_task(self._run(), name="controller")
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [task for task in (self._turns, *self._leaving) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def apply(self, template: Template) -> None:
        """Ask for this version from now on."""
        known = next((one for one in self._sets if one.template == template), None)
        if known is None:
            known = ReplicaSet(number=len(self._sets) + 1, template=template)
        else:
            self._sets.remove(known)
        self._sets.append(known)
        self._seen, self._came_on = self.status, time.monotonic()

    def undo(self) -> None:
        """Ask for the version before this one again. Raises LookupError where there is none."""
        if len(self._sets) < 2:
            raise LookupError("there is no version before this one")
        self.apply(self._sets[-2].template)

    async def rolled_out(self) -> None:
        """Wait until all pods are of the version asked for, and available. Raises Stuck."""
        while not self.status.complete(self._keep.replicas):
            if self._turns is not None and self._turns.done():
                self._turns.result()  # raises what has ended it
            if time.monotonic() - self._came_on > self._deployment.progress_deadline:
                raise Stuck(f"{self.status} of {self._keep.replicas}")
            await asyncio.sleep(TURN)

    async def left(self) -> list[int | None]:
        """Wait until nobody is leaving; the exit codes of those that have left since this was asked last."""
        codes = await asyncio.gather(*self._leaving)
        self._leaving.clear()
        return codes

    @property
    def pods(self) -> list[Pod]:
        """Those that are not leaving."""
        return [pod for one in self._sets for pod in one.pods.values()]

    @property
    def status(self) -> Status:
        """How far it is now."""
        updated = len(self._sets[-1].pods) if self._sets else 0
        return Status(
            updated=updated,
            old=len(self.pods) - updated,
            ready=sum(pod.ready for pod in self.pods),
            available=sum(map(self._is_available, self.pods)),
        )

    async def _run(self) -> None:
        while True:
            if self._sets:
                self._turn()
            await asyncio.sleep(TURN)

    def _turn(self) -> None:
        """One look at everything, and what follows of it."""
        if (now := self.status).further_than(self._seen):
            self._came_on = time.monotonic()
        self._seen = now
        new, old = self._sets[-1], sorted(self._sets[:-1], key=lambda one: one.number)
        counts = [self._counts(one) for one in old]
        before, new.wanted = new.wanted, grown(self._keep, self._counts(new), counts)
        if new.wanted == before:
            for one, wanted in zip(old, shrunk(self._keep, self._counts(new), counts), strict=True):
                one.wanted = wanted
        for one in self._sets:
            self._scale(one)

    def _scale(self, one: ReplicaSet) -> None:
        for _ in range(one.wanted - len(one.pods)):
            name = f"pod-{next(self._names)}"
            one.pods[name] = self._supervisor.add(name, self._start(one.template), policy=one.template.policy)
        for name in sorted(one.pods, key=lambda name: _worth(one.pods[name]))[: len(one.pods) - one.wanted]:
            del one.pods[name]
            self._leaving.add(asyncio.create_task(self._supervisor.remove(name)))

    def _counts(self, one: ReplicaSet) -> Counts:
        return Counts(wanted=one.wanted, available=sum(map(self._is_available, one.pods.values())))

    def _is_available(self, pod: Pod) -> bool:
        return pod.ready_since is not None and time.monotonic() - pod.ready_since >= self._deployment.min_ready


def _worth(pod: Pod) -> float:
    """Who is worth less leaves first: the time for which it has been ready."""
    return -1.0 if pod.ready_since is None else time.monotonic() - pod.ready_since
