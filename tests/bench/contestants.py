"""Contestants: servers under load, and how each of them is had."""

import http.client
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.binaries import NotToBeHad
from tests.child import Child, clean_environment
from tests.guardian import guardian
from tests.ports import LOOPBACK, free_port

ROOT = Path(__file__).parents[2]
PEERS = Path(__file__).with_name("peers")
BUILD_TIMEOUT = 180.0  # seconds; a first `go build` compiles its library, npm fetches 60 packages
JSON = {"Content-Type": "application/json"}
ANSWER_TIMEOUT = 5.0  # seconds


class Server:
    """A contestant: a process on a loopback port. `ready`: the path that answers 200 when it can take load."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        ready: str = "/healthz",
    ) -> None:
        self.name = name
        self._command = command
        self._ready = ready
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._env = {**clean_environment(), "HOST": LOOPBACK, "PORT": str(self.port), **(env or {})}
        self._log = guardian().new_folder("contestant") / "log"
        self._child: Child | None = None

    def launch(self) -> None:
        """Start it, without waiting."""
        self._child = Child(self._command, log=self._log, cwd=ROOT, env=self._env)

    def start(self) -> None:
        """Start it and wait until it is ready. Raises TimeoutError, or RuntimeError, with its log."""
        self.launch()
        self.running.wait_until(lambda: answers_200(self.port, self._ready))

    def stop(self) -> None:
        """Kill it; nothing happens if it does not run."""
        if self._child is not None:
            self._child.kill()

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, headers: Mapping[str, str] = JSON
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Send one request. Raises RuntimeError where the answer is no success."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=ANSWER_TIMEOUT)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise RuntimeError(f"{self.name} answered {answer.status} to {method} {path}: {content[:500]!r}")
        return answer, content

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self.running.pid

    @property
    def running(self) -> Child:
        """Its process."""
        if self._child is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._child


def answers_200(port: int, path: str) -> bool:
    """Whether a GET gets 200 at this moment."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=ANSWER_TIMEOUT)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def collector(name: str, database: str | None, *, metrics: bool = True) -> Server:
    """The collector with its default settings, on PostgreSQL, or on SQLite where `database` is None."""
    module = "app" if metrics else "tests.bench.peers.unmetered"
    if database is None:
        env = {"SQLITE_PATH": str(guardian().new_folder("sqlite") / "collector.db")}
    else:
        env = {"POSTGRES_CONNECTION_STRING": database}
    return Server(name, [sys.executable, "-m", module, "serve"], env=env, ready="/readyz")


def python_peer(name: str, database: str | None, *, module: str, page: Path | None = None) -> Server:
    """A program of `peers`; `page` is what the no-op answers to GET."""
    env = ({"DATABASE_URL": database} if database else {}) | ({"PAGE": str(page)} if page else {})
    return Server(name, [sys.executable, "-m", f"tests.bench.peers.{module}"], env=env)


def go_peer(name: str, _: str | None = None) -> Server:
    """The in-memory collector in Go, built now. Raises NotToBeHad."""
    program = guardian().new_folder("go") / "inmemory"
    command = [_tool("go"), "build", "-o", str(program), "inmemory.go"]
    _build(command, cwd=PEERS, env={"GOTOOLCHAIN": "local"})
    return Server(name, [program])


def node_peer(name: str, database: str | None) -> Server:
    """Fastify and pg, installed now, outside of the repository. Raises NotToBeHad."""
    node, npm = _tool("node"), _tool("npm")
    folder = guardian().new_folder("fastify")
    for file in (PEERS / "fastify").iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    _build([npm, "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, env={})
    env = {"DATABASE_URL": database or "", "NODE_ENV": "production"}
    return Server(name, [node, folder / "server.js"], env=env)


def node_packages() -> dict[str, str]:
    """The locked versions of what the Node peer is made of."""
    packages = json.loads((PEERS / "fastify" / "package-lock.json").read_text())["packages"]
    return {name: packages[f"node_modules/{name}"]["version"] for name in ("fastify", "pg")}


def _tool(name: str) -> str:
    if (path := shutil.which(name)) is None:
        raise NotToBeHad(f"{name} is not on PATH")
    return path


def _build(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
    # The environment as it is: a proxy or a mirror that the machine needs is named there.
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotToBeHad(f"{Path(command[0]).name} {command[1]} took longer than {BUILD_TIMEOUT:.0f} s") from None
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise NotToBeHad(f"{Path(command[0]).name} {command[1]} failed: {''.join(last)}")
