"""Stack: the project of deploy/compose under a name, ports and addresses of its own."""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.engine import ROOT, Existing
from tests.ports import LOOPBACK, free_port

FOLDER = ROOT / "deploy" / "compose"
FILES = ("compose.yaml", "compose.scaled.yaml", "compose.observability.yaml")
START_SECONDS = 300.0  # on a machine that has other things to do
POLL = 0.5  # seconds
STATES = ("Service", "Image", "State", "Health", "ExitCode")

Found = TypeVar("Found")


class StackError(RuntimeError):
    """A command failed; the message is what it said."""


def ran(
    *command: str, env: Mapping[str, str] | None = None, timeout: float = START_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run a command in the folder to its end."""
    return subprocess.run(
        command, cwd=FOLDER, env={**os.environ, **(env or {})}, capture_output=True, text=True,
        timeout=timeout, check=False,
    )  # fmt: skip


class Stack:
    """These Compose files, with this image. `envfile` stands in for deploy/compose/.env."""

    def __init__(self, image: str, envfile: Path, files: Sequence[str] = FILES) -> None:
        envfile.touch()
        self.name = f"collector-test-{secrets.token_hex(4)}"
        self.url = f"http://{LOOPBACK}:{(port := free_port())}"
        self.prometheus = f"http://{LOOPBACK}:{(prometheus := free_port())}"
        self.alertmanager = f"http://{LOOPBACK}:{(alertmanager := free_port())}"
        self.envfile = envfile
        self.image = image
        self.env = {
            "COMPOSE_PROJECT_NAME": self.name,
            "COMPOSE_FILE": ":".join(files),
            "COMPOSE_ENV_FILES": str(envfile),
            "COLLECTOR_IMAGE": image,
            "COLLECTOR_ADDRESS": f"{LOOPBACK}:{port}",
            "COLLECTOR_NETWORK": f"10.230.{secrets.randbelow(200) + 10}",
            "PROMETHEUS_ADDRESS": f"{LOOPBACK}:{prometheus}",
            "ALERTMANAGER_ADDRESS": f"{LOOPBACK}:{alertmanager}",
        }

    def run(self, *command: str, timeout: float = START_SECONDS) -> str:
        """Run a command of the folder's; gives what it printed. Raises StackError."""
        done = ran(*command, env=self.env, timeout=timeout)
        if done.returncode:
            raise StackError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def compose(self, *words: str) -> str:
        """`docker compose WORDS`. Raises StackError."""
        return self.run("docker", "compose", "--progress", "quiet", *words)

    def start(self) -> None:
        """Start all of it, and wait until it is well. Raises StackError."""
        self.compose("up", "--no-build", "--detach", "--wait")

    def up(self) -> None:
        """The same; a StackError has the logs."""
        try:
            self.start()
        except StackError as error:
            raise StackError(f"{error}\n{self.states()}\n{self.compose('logs', '--tail=20')}") from None

    def down(self) -> None:
        """Remove all of it, with its data."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout=1")

    def container(self, service: str) -> Existing:
        """The container of a service."""
        return Existing(f"{self.name}-{service}-1")

    def states(self) -> dict[str, dict[str, Any]]:
        """Every container by its service: Image, State, Health, ExitCode."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {one["Service"]: {key: one[key] for key in STATES} for one in map(json.loads, lines)}

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus says to an expression."""
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": expression}, trust_env=False).json()
        assert answer["status"] == "success", (expression, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


def eventually(find: Callable[[], Found], within: float = 60.0) -> Found:
    """What `find` gives, once it is true; its last answer after so many seconds."""
    deadline = time.monotonic() + within
    while not (found := find()) and time.monotonic() < deadline:
        time.sleep(POLL)
    return found
