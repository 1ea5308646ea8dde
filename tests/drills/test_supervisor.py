"""The supervisor: who is started again, when, and who is an endpoint. Its processes are HTTP servers that obey."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.drills.supervisor import Check, Pod, Policy, Supervisor
from tests.ports import LOOPBACK, free_port

DEADLINE = 15.0  # seconds
QUICK = Policy(
    startup=Check(path="/healthz", period=0.02, failures=20),
    liveness=Check(path="/healthz", period=0.02, failures=3),
    readiness=Check(path="/readyz", period=0.02, failures=2),
    grace=0.3,
    backoff=0.05,
    backoff_most=0.2,
    steady=30.0,
)


class Obedient:
    """A process: serves what it is told to, on a port of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answers = {"/healthz": 200, "/readyz": 200}
        self.asked: list[str] = []
        self.starts: list[float] = []
        self.ignores_sigterm = False
        self.told: list[str] = []
        self.exit_code: int | None = 0
        self._server: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.exit_code = None
        self.starts.append(time.monotonic())
        self._server = asyncio.create_task(self._serve())

    def terminate(self) -> None:
        self.told.append("terminate")
        if not self.ignores_sigterm:
            self.end(0)

    def kill(self) -> None:
        self.told.append("kill")
        self.end(-9)

    def end(self, code: int) -> None:
        if self._server is not None:
            self._server.cancel()
        if self.exit_code is None:
            self.exit_code = code

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._answer, LOOPBACK, self.port) as server:
            await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        self.asked.append(path)
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % self.answers[path])
        writer.close()


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
