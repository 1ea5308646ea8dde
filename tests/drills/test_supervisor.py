"""The supervisor: who is started again, when, and who is an endpoint. Its processes are HTTP servers that obey."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from tests.drills.obedient import Obedient
from tests.drills.supervisor import Check, Pod, Policy, Supervisor

DEADLINE = 15.0  # seconds
STARTUP = Check(path="/healthz", period=0.02, failures=20)
READINESS = Check(path="/readyz", period=0.02, failures=2)
QUICK = Policy(
    startup=STARTUP,
    liveness=Check(path="/healthz", period=0.02, failures=3),
    readiness=READINESS,
    grace=0.3,
    backoff=0.05,
    backoff_most=0.2,
    steady=30.0,
)


class Told:
    """The endpoints that the supervisor has told, as a list of lists."""

    def __init__(self) -> None:
        self.of: list[list[int]] = []

    def __call__(self, ports: Sequence[int]) -> None:
        self.of.append(list(ports))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def supervisor(told: Told) -> AsyncIterator[Supervisor]:
    async with Supervisor(QUICK, on_endpoints=told) as supervisor:
        yield supervisor


async def restarted(pod: Pod, times: int) -> list[str]:
    async with asyncio.timeout(DEADLINE):
        while len(pod.restarts) < times:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return [restart.reason for restart in pod.restarts]


async def until_unready(pod: Pod) -> None:
    async with asyncio.timeout(DEADLINE):
        while pod.ready:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_what_is_ready_is_an_endpoint_until_it_leaves(supervisor: Supervisor, told: Told) -> None:
    one, other, worker = Obedient(), Obedient(), Obedient()
    supervisor.add("one", one)
    supervisor.add("worker", worker, serves=False)
    await supervisor.until_ready()
    supervisor.add("other", other)
    await supervisor.until_ready()
    assert supervisor.endpoints == [one.port, other.port]
    assert await supervisor.remove("one") == 0
    assert (one.told, supervisor.endpoints, told.of[-1]) == (["terminate"], [other.port], [other.port])
    assert supervisor.restarts == {"one": [], "worker": [], "other": []}


async def test_one_that_is_not_ready_is_no_endpoint_and_is_let_live(supervisor: Supervisor) -> None:
    process = Obedient()
    pod = supervisor.add("one", process)
    await supervisor.until_ready()
    process.answers["/readyz"] = 503
    await until_unready(pod)
    assert (supervisor.endpoints, pod.restarts) == ([], [])
    process.answers["/readyz"] = 200
    await supervisor.until_ready()
    assert supervisor.endpoints == [process.port]


async def test_one_that_is_not_alive_is_told_to_leave_and_started_again(supervisor: Supervisor) -> None:
    process = Obedient()
    pod = supervisor.add("one", process)
    await supervisor.until_ready()
    process.answers["/healthz"] = 503
    assert await restarted(pod, 1) == ["liveness check"]
    process.answers["/healthz"] = 200
    await supervisor.until_ready()
    assert process.told == ["terminate"]


async def test_one_that_does_not_leave_is_killed_after_the_grace(supervisor: Supervisor) -> None:
    process = Obedient()
    process.ignores_sigterm = True
    supervisor.add("one", process)
    await supervisor.until_ready()
    began = time.monotonic()
    assert await supervisor.remove("one") == -9
    assert time.monotonic() - began >= QUICK.grace
    assert process.told == ["terminate", "kill"]


async def test_one_that_never_comes_up_is_started_again_and_never_asked_for_readiness(
    supervisor: Supervisor,
) -> None:
    process = Obedient()
    process.answers["/healthz"] = 503
    pod = supervisor.add("one", process)
    assert await restarted(pod, 1) == ["startup check"]
    assert set(process.asked) == {"/healthz"}


async def test_who_ends_is_started_at_once_and_then_ever_later(supervisor: Supervisor) -> None:
    process = Obedient()
    pod = supervisor.add("one", process)
    for number in range(1, 6):
        await supervisor.until_ready()
        ended = time.monotonic()
        process.end(3)
        await restarted(pod, number)
        async with asyncio.timeout(DEADLINE):
            while len(process.starts) == number:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        least = [0, 0.05, 0.1, 0.2, 0.2][number - 1]
        assert process.starts[-1] - ended >= least
    assert {restart.reason for restart in pod.restarts} == {"exit code 3"}


async def test_after_a_steady_run_the_back_off_begins_anew(told: Told) -> None:
    patient = Policy(
        startup=QUICK.startup, liveness=QUICK.liveness, readiness=QUICK.readiness, backoff=1000, steady=0
    )
    process = Obedient()
    async with Supervisor(patient) as supervisor:
        pod = supervisor.add("one", process)
        for number in range(1, 4):
            await supervisor.until_ready()
            process.end(1)
            await restarted(pod, number)
        await supervisor.until_ready()


async def test_a_pre_stop_comes_before_sigterm_and_the_grace_is_for_both(supervisor: Supervisor) -> None:
    process = Obedient()
    process.ignores_sigterm = True
    supervisor.add("one", process, policy=replace(QUICK, pre_stop=0.2))
    await supervisor.until_ready()
    began = time.monotonic()
    leaving = asyncio.create_task(supervisor.remove("one"))
    while not process.told:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    assert (time.monotonic() - began >= 0.2, supervisor.endpoints) == (True, [])
    assert await leaving == -9
    assert process.told[:2] == ["terminate", "kill"]


async def test_a_pre_stop_as_long_as_the_grace_leaves_no_time_for_sigterm(supervisor: Supervisor) -> None:
    process = Obedient()
    supervisor.add("one", process, policy=replace(QUICK, pre_stop=60))
    await supervisor.until_ready()
    assert await supervisor.remove("one") == -9
    assert process.told == ["kill"]


async def test_without_a_readiness_check_whoever_has_started_is_ready(supervisor: Supervisor) -> None:
    process = Obedient()
    process.answers = {"/healthz": 503, "/readyz": 503}
    patient = replace(QUICK, startup=replace(STARTUP, failures=1000), liveness=None, readiness=None)
    pod = supervisor.add("one", process, policy=patient)
    while len(process.asked) < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    assert (pod.started, pod.ready) == (False, False)
    process.answers["/healthz"] = 200
    await supervisor.until_ready()
    assert (pod.started, set(process.asked)) == (True, {"/healthz"})


async def test_without_any_check_whoever_runs_is_ready(supervisor: Supervisor) -> None:
    process = Obedient()
    pod = supervisor.add("one", process, policy=replace(QUICK, startup=None, liveness=None, readiness=None))
    await supervisor.until_ready()
    assert (pod.started, process.asked) == (True, [])


async def test_a_check_that_is_delayed_asks_nothing_before(supervisor: Supervisor) -> None:
    process = Obedient()
    began = time.monotonic()
    supervisor.add("one", process, policy=replace(QUICK, readiness=Check(path="/readyz", period=0.02, delay=0.3)))
    await supervisor.until_ready()
    assert time.monotonic() - began >= 0.3
    assert process.asked.count("/readyz") == 1


async def test_readiness_takes_as_many_answers_in_a_row_as_it_says(supervisor: Supervisor) -> None:
    process = Obedient()
    pod = supervisor.add("one", process, policy=replace(QUICK, readiness=replace(READINESS, successes=3)))
    await supervisor.until_ready()
    assert process.asked.count("/readyz") >= 3
    assert pod.ready_since is not None


async def test_a_successor_is_ready_before_the_old_one_is_told_to_leave(
    supervisor: Supervisor, told: Told
) -> None:
    old, new = Obedient(), Obedient()
    new.answers["/readyz"] = 503
    supervisor.add("old", old)
    await supervisor.until_ready()
    replacing = asyncio.create_task(supervisor.replace("old", "new", new))
    async with asyncio.timeout(DEADLINE):
        while new.asked.count("/readyz") < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert (old.told, supervisor.endpoints) == ([], [old.port])
    new.answers["/readyz"] = 200
    assert await replacing == 0
    assert (old.told, supervisor.endpoints) == (["terminate"], [new.port])
    assert all(told.of), "there was a moment without any endpoint"


async def test_who_is_not_ready_in_time_is_named(supervisor: Supervisor) -> None:
    process = Obedient()
    process.answers["/readyz"] = 503
    supervisor.add("slow", process)
    with pytest.raises(TimeoutError, match="slow"):
        await supervisor.until_ready(timeout=0.05)
