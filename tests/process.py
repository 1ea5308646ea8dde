"""Process: the collector as a child process, as its users run it."""

import asyncio
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import httpx

from tests.child import Child, clean_environment
from tests.guardian import guardian
from tests.ports import LOOPBACK, free_port

Entry = dict[str, Any]  # a line of the log
Matches = Callable[[Entry], bool]
ROOT = Path(__file__).parents[1]
POLL = 0.02  # seconds between two looks
PATIENCE = 60.0  # seconds; a start takes one or two, so this is for a machine under load
ANSWER_TIMEOUT = 10.0  # seconds; a probe that takes longer counts as none


class CollectorProcess:
    """`python -m app serve *args`, or `worker`, on a free loopback port; as a context manager it runs inside.

    `module` may be another one in the place of `app`, with words of its own; `cwd` a folder with other code.
    Its environment is PATH, HOME, HOST, PORT and what `env` adds, so that `env` has to say where events are kept
    (SQLITE_PATH or POSTGRES_CONNECTION_STRING). `port` is for a second process in the place of the first.
    Both its outputs go to one file, so that it never waits for a reader.
    """

    def __init__(
        self,
        *args: str,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
        command: str = "serve",
        module: str = "app",
        cwd: Path = ROOT,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._command = [sys.executable, "-m", *module.split(), command, *args]
        listens_on = "WORKER_PORT" if command == "worker" else "PORT"
        self._env = {**clean_environment(), "HOST": LOOPBACK, listens_on: str(self.port), **(env or {})}
        self._cwd = cwd
        self._folder = guardian().new_folder("collector")
        self._log = self._folder / "log"
        self._child: Child | None = None

    def start(self) -> None:
        """Start it, without waiting; also after an end, on the same port. The log goes on."""
        self._child = Child(self._command, log=self._log, cwd=self._cwd, env=self._env)

    async def wait_until_healthy(self, timeout: float = PATIENCE) -> None:  # noqa: ASYNC109 - the error bears the log
        """Poll GET /healthz until 200. TimeoutError after `timeout` seconds, RuntimeError if the process ends."""
        await self._wait_for_200("/healthz", timeout)

    async def wait_until_ready(self, timeout: float = PATIENCE) -> None:  # noqa: ASYNC109 - the error bears the log
        """Poll GET /readyz until 200. TimeoutError after `timeout` seconds, RuntimeError if the process ends."""
        await self._wait_for_200("/readyz", timeout)

    async def wait(self, timeout: float = PATIENCE) -> int:  # noqa: ASYNC109 - the error bears the log
        """Wait for its end; gives the exit code, negative for a signal. TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while (code := self._running.exit_code) is None:
            self._fail_after(deadline, f"it still runs after {timeout} s")
            await asyncio.sleep(POLL)
        return code

    async def wait_for_log(self, matches: Matches, timeout: float = PATIENCE) -> Entry:  # noqa: ASYNC109 - likewise
        """Give the first logged object that matches. TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while (found := next(filter(matches, self.logs()), None)) is None:
            self._fail_after(deadline, f"no such line in the log within {timeout} s")
            await asyncio.sleep(POLL)
        return found

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._running.signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """Send SIGINT."""
        self._running.signal(signal.SIGINT)

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        self._running.kill()

    def pause(self) -> None:
        """Freeze it (SIGSTOP)."""
        self._running.pause()

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._running.resume()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._running.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._running.exit_code

    def logs(self) -> list[Entry]:
        """Give the JSON objects that it has logged so far, from all its starts."""
        return [entry for entry in map(_json_object, self.output().splitlines()) if entry is not None]

    def output(self) -> str:
        """Give all it has written so far, whether it is JSON or not, such as a traceback."""
        return self._log.read_text(errors="replace")

    def close(self) -> None:
        """Kill what is left of it and remove its log."""
        if self._child is not None:
            self._child.kill()
        shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError("it has not been started")
        return self._child

    async def _wait_for_200(self, path: str, timeout: float) -> None:  # noqa: ASYNC109 - the error bears the log
        deadline = time.monotonic() + timeout
        # Not through a proxy that the environment of the tests names.
        async with httpx.AsyncClient(base_url=self.url, timeout=ANSWER_TIMEOUT, trust_env=False) as client:
            while not await _answers_200(client, path):
                if (code := self._running.exit_code) is not None:
                    raise RuntimeError(f"it ended with exit code {code}\n{self._running.tail()}")
                self._fail_after(deadline, f"{path} did not answer 200 within {timeout} s")
                await asyncio.sleep(POLL)

    def _fail_after(self, deadline: float, message: str) -> None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{message}\n{self._running.tail()}")


async def _answers_200(client: httpx.AsyncClient, path: str) -> bool:
    try:
        return (await client.get(path)).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _json_object(line: str) -> Entry | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
