"""Supervisor: runs processes as a kubelet runs containers, and tells a service which of them are ready.

1. A process that has been started is asked by the startup check, and by no other one before that is well.
2. From then on it is ended where its liveness check fails so many times in a row, and belongs to the endpoints
   while its readiness check does not.
3. One that has ended is started again: the first time at once, then after a back-off, which doubles with each
   restart and begins anew after a steady run.
4. One that is to leave is no endpoint from that moment on; it gets SIGTERM, once its preStop is over, and at the
   end of the grace, which counts from that moment too, SIGKILL.
5. A check that there is not is always well, as Kubernetes has it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from tests.faults.wire import Cut, ask

POLL = 0.02  # seconds between two looks whether a process has ended
READY_WITHIN = 60.0  # seconds


class Process(Protocol):
    """What is supervised; tests.process.CollectorProcess is one."""

    port: int

    def start(self) -> None:
        """Start it, also after an end."""
        ...

    def terminate(self) -> None:
        """Ask it to leave."""
        ...

    def kill(self) -> None:
        """End it."""
        ...

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A question by HTTP that 200 answers well; the defaults are Kubernetes'. Times are in seconds."""

    path: str
    period: float = 10.0
    timeout: float = 1.0
    failures: int = 3  # in a row, until it counts
    successes: int = 1  # likewise
    delay: float = 0.0  # after a start, until the first question

    async def good(self, port: int) -> bool:
        """Ask once."""
        try:
            async with asyncio.timeout(self.timeout):
                return (await ask(port, "GET", self.path)).status == 200
        except (Cut, OSError, TimeoutError, ValueError):
            return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How a process is looked after. Times are in seconds."""

    startup: Check | None = Check(path="/healthz", period=1.0, failures=60)
    liveness: Check | None = Check(path="/healthz")
    readiness: Check | None = Check(path="/readyz")
    grace: float = 30.0
    pre_stop: float = 0.0  # of the grace
    backoff: float = 10.0  # before the second restart
    backoff_most: float = 300.0
    steady: float = 600.0  # that a process has to run for the back-off to begin anew


@dataclass(frozen=True, kw_only=True, slots=True)
class Restart:
    """One restart."""

    at: float  # time.time()
    reason: str


@dataclass(slots=True)
class Pod:
    """One process, and what is known about it."""

    name: str
    process: Process
    policy: Policy
    changed: Callable[[], None]
    serves: bool = True  # it can be an endpoint
    restarts: list[Restart] = field(default_factory=list)
    started: bool = False  # its startup check is well
    ready_since: float | None = None  # time.monotonic()
    leaving: bool = False
    backing_off: float | None = None  # seconds until it is started again; None: it has been started
    _task: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether its readiness check is well."""
        return self.ready_since is not None

    def run(self) -> None:
        """Start it, and look after it."""
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def leave(self) -> int | None:
        """Ask it to leave and wait until it has; its exit code, None: it did not run."""
        self.leaving = True
        self._set_ready(to=False)
        ran = self.process.exit_code is None and self.backing_off is None
        await self._cancel()
        return await self._end() if ran else None

    async def close(self) -> None:
        """Look after it no longer, and kill it."""
        self.leaving = True
        await self._cancel()
        self.process.kill()

    async def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        wait = 0.0
        while True:
            began = time.monotonic()
            self.process.start()
            reason = await self._life()
            self._set_ready(to=False)
            self.restarts.append(Restart(at=time.time(), reason=reason))
            if time.monotonic() - began > self.policy.steady:
                wait = 0.0
            self.backing_off = wait
            await asyncio.sleep(wait)
            self.backing_off = None
            wait = min(self.policy.backoff_most, wait * 2 or self.policy.backoff)

    async def _life(self) -> str:
        """From its start to its end; why it came."""
        ended = asyncio.create_task(self._ended())
        failed = asyncio.create_task(self._checked())
        try:
            done, _ = await asyncio.wait((ended, failed), return_when=asyncio.FIRST_COMPLETED)
            if ended in done:
                return f"exit code {ended.result()}"
            reason = failed.result()
            self._set_ready(to=False)
            await self._end()
            return reason
        finally:
            self.started = False
            for task in (ended, failed):
                task.cancel()
            await asyncio.gather(ended, failed, return_exceptions=True)

    async def _ended(self) -> int:
        while (code := self.process.exit_code) is None:  # noqa: ASYNC110 - the kernel sets no event
            await asyncio.sleep(POLL)
        return code

    async def _checked(self) -> str:
        """Until it is to be ended; why."""
        began = time.monotonic()
        if not await self._started(self.policy.startup):
            return "startup check"
        self.started = True
        readiness = asyncio.create_task(self._watch_readiness(self.policy.readiness, began))
        try:
            await self._until_it_fails(self.policy.liveness, began)
        finally:
            readiness.cancel()
        return "liveness check"

    async def _started(self, check: Check | None) -> bool:
        if check is None:
            return True
        await asyncio.sleep(check.delay)
        for _ in range(check.failures):
            due = time.monotonic() + check.period
            if await check.good(self.process.port):
                return True
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        return False

    async def _until_it_fails(self, check: Check | None, began: float) -> None:
        if check is None:
            await asyncio.Event().wait()
            return
        await asyncio.sleep(began + check.delay - time.monotonic())
        failed = 0
        while failed < check.failures:
            due = time.monotonic() + check.period
            failed = 0 if await check.good(self.process.port) else failed + 1
            await asyncio.sleep(max(0.0, due - time.monotonic()) if failed < check.failures else 0)

    async def _watch_readiness(self, check: Check | None, began: float) -> None:
        if check is None:
            self._set_ready(to=True)
            return
        await asyncio.sleep(began + check.delay - time.monotonic())
        alike = 0  # answers in a row that say other than what is thought
        while True:
            due = time.monotonic() + check.period
            good = await check.good(self.process.port)
            alike = alike + 1 if good != self.ready else 0
            if alike >= (check.successes if good else check.failures):
                self._set_ready(to=good)
                alike = 0
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _end(self) -> int:
        """The preStop, SIGTERM, the rest of the grace, SIGKILL."""
        try:
            async with asyncio.timeout(self.policy.grace):
                await asyncio.sleep(self.policy.pre_stop)
                self.process.terminate()
                return await self._ended()
        except TimeoutError:
            self.process.kill()
            return await self._ended()

    def _set_ready(self, *, to: bool) -> None:
        if self.ready != to:
            self.ready_since = time.monotonic() if to else None
            self.changed()


class Supervisor:
    """Looks after processes while its context is open; at its end all of them are killed.

    `on_endpoints` is told the ports of those that are ready, whenever they change.
    """

    def __init__(
        self, policy: Policy | None = None, *, on_endpoints: Callable[[Sequence[int]], None] = lambda _: None
    ) -> None:
        self._policy = policy or Policy()
        self._on_endpoints = on_endpoints
        self._pods: dict[str, Pod] = {}
        self._gone: list[Pod] = []
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(pod.close() for pod in self._pods.values()))

    def add(self, name: str, process: Process, *, serves: bool = True, policy: Policy | None = None) -> Pod:
        """Start a process and look after it. `serves`: it can be an endpoint."""
        if name in self._pods:
            raise ValueError(f"there is one of this name: {name}")
        pod = Pod(name, process, policy or self._policy, self._change, serves)
        self._pods[name] = pod
        pod.run()
        return pod

    async def remove(self, name: str) -> int | None:
        """Let one leave; its exit code, once it has left."""
        pod = self._pods.pop(name)
        self._gone.append(pod)
        self._change()  # at once: it is told to leave and taken from the service at the same moment
        return await pod.leave()

    async def replace(self, name: str, successor: str, process: Process) -> int | None:
        """Start a successor, wait until it is ready, let this one leave; its exit code. Raises TimeoutError."""
        self.add(successor, process)
        await self.until_ready(successor)
        return await self.remove(name)

    async def until_ready(self, *names: str, timeout: float = READY_WITHIN) -> None:  # noqa: ASYNC109 - it says who
        """Wait until these are ready, or all. TimeoutError after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while self._unready(names):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"not ready within {timeout} s: {', '.join(self._unready(names))}") from None

    @property
    def pods(self) -> Mapping[str, Pod]:
        """Those that are looked after."""
        return self._pods

    @property
    def endpoints(self) -> list[int]:
        """The ports of those that are ready, and are not leaving."""
        return [pod.process.port for pod in self._pods.values() if pod.serves and pod.ready]

    @property
    def restarts(self) -> dict[str, list[Restart]]:
        """The restarts of all that are, and have been, looked after."""
        return {pod.name: pod.restarts for pod in (*self._gone, *self._pods.values())}

    def _unready(self, names: Sequence[str]) -> list[str]:
        return [name for name in names or self._pods if not self._pods[name].ready]

    def _change(self) -> None:
        self._on_endpoints(self.endpoints)
        self._changed.set()
