"""Engine: Docker, its containers and its volumes, as tests use them."""

import contextlib
import json
import os
import subprocess
import time
import uuid
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import pytest

from tests.ports import LOOPBACK, free_port

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0  # seconds, for what takes a few on a machine of one's own
BUILD_PATIENCE = 600.0  # seconds; a first build downloads what it installs
POLL = 0.1  # seconds
HARDENED = (
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--memory=512m",
    "--pids-limit=200",
)


class EngineError(Exception):
    """A command of Docker's failed; the message is what it said."""


def docker(*words: str, timeout: float = PATIENCE) -> str:
    """Run a command of Docker's; gives what it printed. Raises EngineError."""
    done = run("docker", *words, timeout=timeout)
    if done.returncode:
        raise EngineError(f"docker {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def run(*command: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in the repository's root."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


@cache
def missing() -> str | None:
    """Why there is no engine here; None where there is one."""
    try:
        done = run("docker", "version", "--format", "{{.Server.Version}}")
    except FileNotFoundError:
        return "no docker command"
    return f"no Docker engine: {done.stderr.strip()}" if done.returncode else None


def need_engine() -> None:
    """Skip the test where there is no engine, or fail it where NEED_ENGINE says that there has to be one."""
    if reason := missing():
        if os.environ.get("NEED_ENGINE"):
            pytest.fail(reason)
        pytest.skip(reason)


@cache
def built() -> str:
    """The image that this tree makes, or that COLLECTOR_IMAGE names."""
    if given := os.environ.get("COLLECTOR_IMAGE"):
        return given
    # Of this checkout: on a machine with several of them, none tests another's image.
    name = f"collector:test-{zlib.crc32(str(ROOT).encode()):08x}"
    done = run("make", "image", f"IMAGE={name}", "ARGS=--quiet", timeout=BUILD_PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return name


def new_name() -> str:
    """A name for a container or a volume that nobody else has."""
    return f"collector-test-{uuid.uuid4().hex[:12]}"


class Existing:
    """A container that somebody has made, by its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def state(self) -> dict[str, Any]:
        """What the engine knows of it: Status, Pid, ExitCode, Health and more."""
        found: dict[str, Any] = json.loads(docker("inspect", "--format={{json .State}}", self.name))
        return found

    @property
    def restarts(self) -> int:
        """How often the engine has started it again."""
        return int(docker("inspect", "--format={{.RestartCount}}", self.name))

    @property
    def health(self) -> str:
        """starting, healthy or unhealthy."""
        return str(self.state["Health"]["Status"])

    def exec(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        return run("docker", "exec", self.name, *command)

    def logs(self) -> str:
        """All that it has written."""
        done = run("docker", "logs", self.name)
        return done.stdout + done.stderr

    def wait_until(self, what: str, timeout: float = PATIENCE) -> None:
        """Wait for a state of health, or `exited`. Raises TimeoutError with its log."""
        deadline = time.monotonic() + timeout
        while what not in (self.state["Status"], self.state.get("Health", {}).get("Status")):
            self.fail_after(deadline, f"it is not {what}: {self.state}")
            time.sleep(POLL)

    def wait_for_another(self, pid: int, timeout: float = PATIENCE) -> int:
        """Wait until it runs as another process than this one; its number. Raises TimeoutError with its log."""
        deadline = time.monotonic() + timeout
        while (found := int(self.state["Pid"])) in (0, pid):
            self.fail_after(deadline, f"it was not started again: {self.state}")
            time.sleep(POLL)
        return found

    def fail_after(self, deadline: float, message: str) -> None:
        """Raise TimeoutError with its log once that moment of time.monotonic() has passed."""
        if time.monotonic() > deadline:
            raise TimeoutError(f"{message}\n{self.logs()[-4000:]}")

    def kill_from_the_host(self) -> None:
        """SIGKILL for its first process, behind the engine's back: by its number on the host."""
        # From a container that sees the host's processes, so that nobody has to be root to test this.
        image = docker("inspect", "--format={{.Image}}", self.name)
        command = f"kill -9 {self.state['Pid']}"
        docker("run", "--rm", "--pid=host", "--user=0:0", "--entrypoint=sh", image, "-c", command)


class Container(Existing):
    """`docker run --detach OPTIONS IMAGE COMMAND`; as a context manager it is removed at the end."""

    def __init__(
        self,
        image: str,
        *command: str,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        publish: int | None = None,
    ) -> None:
        super().__init__(new_name())
        self.port = free_port()
        settings = [f"--env={name}={value}" for name, value in (env or {}).items()]
        ports = [f"--publish={LOOPBACK}:{self.port}:{publish}"] if publish else []
        self._words = ["run", "--detach", f"--name={self.name}", *ports, *settings, *options, image, *command]

    def start(self) -> None:
        """Run it."""
        docker(*self._words)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end; gives the exit code."""
        return int(docker("wait", self.name, timeout=timeout))

    def remove(self) -> None:
        """Remove it with its nameless volumes; nothing happens if it is not there."""
        with contextlib.suppress(EngineError):
            docker("rm", "--force", "--volumes", self.name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()
