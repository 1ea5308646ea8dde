"""Fixtures: collectors on either database, and the probe as its users run it."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import pytest

from tests.child import clean_environment
from tests.conftest import POSTGRES
from tests.process import ROOT, CollectorProcess

Env = dict[str, str]
Start = Callable[..., CollectorProcess]
TIMEOUT = 200.0  # seconds for a run; they take five


@dataclass(slots=True)
class Probe:
    """`collector probe *words`, running."""

    process: asyncio.subprocess.Process

    @classmethod
    async def start(cls, *words: str, env: Mapping[str, str] = MappingProxyType({})) -> Self:
        """Start it."""
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "app",
                "probe",
                *words,
                cwd=ROOT,
                env={**clean_environment(), "COLUMNS": "80", **env},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        )

    async def end(self) -> tuple[int, str, str]:
        """Wait; its code and both its outputs."""
        async with asyncio.timeout(TIMEOUT):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()

    def interrupt(self) -> None:
        """Send SIGINT."""
        self.process.send_signal(signal.SIGINT)


async def probe(*words: str, **env: str) -> tuple[int, str, str]:
    """Run it to its end."""
    return await (await Probe.start(*words, env=env)).end()


async def judged(*words: str, code: int = 0, **env: str) -> dict[str, Any]:
    """Its verdict, which must come with this exit code."""
    found, out, err = await probe(*words, "--json", **env)
    assert found == code, out + err
    verdict: dict[str, Any] = json.loads(out)
    return verdict


@dataclass(frozen=True, slots=True)
class FaultLog:
    """What an injector writes."""

    path: Path

    def write(self, **line: Any) -> None:
        """Add a line."""
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


@pytest.fixture
def fault_log(tmp_path: Path) -> FaultLog:
    """An empty one."""
    path = tmp_path / "faults"
    path.touch()
    return FaultLog(path)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """One PostgreSQL only, the newest."""
    with POSTGRES.sources[-1].serve() as url:
        yield url


@pytest.fixture
def sqlite_env(tmp_path: Path) -> Env:
    """Settings that keep events in a fresh file."""
    return {"SQLITE_PATH": str(tmp_path / "collector.db")}


@pytest.fixture(params=["sqlite", "postgres"])
def env(request: pytest.FixtureRequest) -> Env:
    """Settings that keep events in a fresh database, of either sort."""
    if request.param == "sqlite":
        found: Env = request.getfixturevalue("sqlite_env")
        return found
    return {"POSTGRES_CONNECTION_STRING": request.getfixturevalue("postgres_url")}


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts collectors, without waiting; they end with the test."""
    started: list[CollectorProcess] = []

    def _start(env: Mapping[str, str]) -> CollectorProcess:
        process = CollectorProcess(env=env)
        process.start()
        started.append(process)
        return process

    yield _start
    for process in started:
        process.close()


async def answered(path: Path, more: int) -> None:
    """Wait until the ledger tells of so many more answers."""
    wanted = _answers(path) + more
    async with asyncio.timeout(TIMEOUT):
        while True:
            if _answers(path) >= wanted:
                return
            await asyncio.sleep(0.02)


def _answers(path: Path) -> int:
    return path.read_bytes().count(b'"answered"') if path.exists() else 0
