"""The controller: whom it starts, whom it lets go, and when. Its pods are HTTP servers that obey."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.drills.obedient import Obedient
from tests.drills.supervisor import Check, Policy, Supervisor
from tests.rollouts.controller import Controller, Status, Stuck
from tests.rollouts.manifest import Deployment, Template

DEADLINE = 30.0  # seconds
POLICY = Policy(
    startup=Check(path="/healthz", period=0.02, failures=1000),
    liveness=None,
    readiness=Check(path="/readyz", period=0.02, failures=2),
    grace=5.0,
)
FIRST, SECOND, THIRD = (Template(env={"N": name}, policy=POLICY) for name in ("first", "second", "third"))
ASKED = Deployment(replicas=4, surge=1, unavailable=0, min_ready=0.1, progress_deadline=DEADLINE, template=FIRST)


class Cluster:
    """A controller, and all processes that it has started, in order."""

    def __init__(self, deployment: Deployment, answers: Callable[[Template], int]) -> None:
        self.started: list[tuple[str, Obedient]] = []
        self._answers = answers
        self.most = 0
        self.least: int | None = None  # ready at the same time, from when it is set
        self.supervisor = Supervisor(on_endpoints=lambda ports: self._note(len(ports)))
        self.controller = Controller(deployment, self.supervisor, self._start)

    def of(self, template: Template) -> list[Obedient]:
        """The processes of a version."""
        return [process for version, process in self.started if version == template.env["N"]]

    async def roll(self, template: Template) -> None:
        """Ask for it and wait."""
        self.controller.apply(template)
        await self.done()

    async def done(self) -> None:
        """Wait for what was asked, and for those who leave."""
        async with asyncio.timeout(DEADLINE):
            await self.controller.rolled_out()
            await self.controller.left()

    def _start(self, template: Template) -> Obedient:
        process = Obedient()
        process.answers["/readyz"] = self._answers(template)
        self.started.append((template.env["N"], process))
        self.most = max(self.most, len(self.controller.pods) + 1)
        return process

    def _note(self, ready: int) -> None:
        if self.least is not None:
            self.least = min(self.least, ready)


@asynccontextmanager
async def cluster(
    deployment: Deployment = ASKED, answers: Callable[[Template], int] = lambda _: 200
) -> AsyncIterator[Cluster]:
    """With the first version on it."""
    found = Cluster(deployment, answers)
    async with found.supervisor, found.controller:
        await found.roll(FIRST)
        found.least = deployment.replicas
        yield found


async def test_every_pod_is_replaced_within_the_bounds() -> None:
    async with cluster() as there:
        await there.roll(SECOND)
        assert [process.told for process in there.of(FIRST)] == [["terminate"]] * 4
        assert [process.told for process in there.of(SECOND)] == [[]] * 4
        assert (there.most, there.least) == (5, 4)
        assert sorted(there.supervisor.endpoints) == sorted(process.port for process in there.of(SECOND))


async def test_where_some_may_be_away_they_are_and_none_is_too_many() -> None:
    async with cluster(replace(ASKED, surge=0, unavailable=2)) as there:
        await there.roll(SECOND)
        assert (there.most, there.least) == (4, 2)


async def test_an_undo_brings_back_the_version_before() -> None:
    async with cluster() as there:
        await there.roll(SECOND)
        there.controller.undo()
        await there.done()
        assert len(there.of(FIRST)) == 8
        there.controller.undo()  # which undoes the undo, as it does in a cluster
        await there.done()
        assert len(there.of(SECOND)) == 8
        assert there.least == 4


async def test_there_has_to_be_something_to_undo() -> None:
    async with cluster() as there:
        with pytest.raises(LookupError):
            there.controller.undo()


async def test_a_version_that_is_never_ready_replaces_nobody_and_is_stuck() -> None:
    deployment = replace(ASKED, progress_deadline=0.5)
    async with cluster(deployment, lambda template: 503 if template is SECOND else 200) as there:
        with pytest.raises(Stuck, match="updated=1, old=4"):
            await there.roll(SECOND)
        assert [process.told for process in there.of(FIRST)] == [[]] * 4
        there.controller.undo()
        await there.done()
        assert [process.told for process in there.of(SECOND)] == [["terminate"]]
        assert (len(there.of(FIRST)), there.least) == (4, 4)


async def test_a_version_in_the_place_of_one_that_is_stuck_lets_that_go_first() -> None:
    async with cluster(answers=lambda template: 503 if template is SECOND else 200) as there:
        there.controller.apply(SECOND)
        async with asyncio.timeout(DEADLINE):
            while not there.of(SECOND):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await there.roll(THIRD)
        assert (len(there.of(SECOND)), len(there.of(THIRD)), there.least) == (1, 4, 4)


async def test_who_is_not_ready_for_long_enough_is_not_available() -> None:
    async with cluster(replace(ASKED, min_ready=DEADLINE, progress_deadline=0.3, replicas=0)) as there:
        there.controller.apply(SECOND)
        await there.controller.rolled_out()  # of none, all are available
    waiting = replace(ASKED, min_ready=1000, progress_deadline=1)
    found = Cluster(waiting, lambda _: 200)
    async with found.supervisor, found.controller:
        with pytest.raises(Stuck, match="available=0"):
            await found.roll(FIRST)
        assert found.controller.status.ready == 4


@pytest.mark.parametrize(
    ("now", "further"),
    [
        (Status(updated=1, old=4, ready=4, available=4), False),
        (Status(updated=2, old=4, ready=4, available=4), True),
        (Status(updated=1, old=3, ready=4, available=4), True),
        (Status(updated=1, old=4, ready=5, available=4), True),
        (Status(updated=1, old=4, ready=4, available=5), True),
        (Status(updated=1, old=4, ready=3, available=3), False),
    ],
)
def test_what_counts_as_progress(now: Status, further: bool) -> None:
    assert now.further_than(Status(updated=1, old=4, ready=4, available=4)) is further
