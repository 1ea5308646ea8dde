"""Fixtures: one collector for all tests of the command line, each with sources of its own."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from app.cli.terminal import run
from tests.cli.saying import Said
from tests.process import CollectorProcess

Events = list[dict[str, Any]]
Call = Callable[..., Said]


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    with CollectorProcess(env={"SQLITE_PATH": str(tmp_path_factory.mktemp("cli") / "log.db")}) as process:
        asyncio.run(process.wait_until_ready(60))
        yield process


@pytest.fixture
def source() -> str:
    """Nobody else's."""
    return f"test.{secrets.token_hex(4)}"


@pytest.fixture
def url(collector: CollectorProcess, monkeypatch: pytest.MonkeyPatch) -> str:
    """The collector's, which commands find by themselves."""
    monkeypatch.setenv("COLLECTOR_URL", collector.url)
    for name in ("COLLECTOR_TOKEN", "COLLECTOR_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    return collector.url


@pytest.fixture
def call(url: str, capfdbinary: pytest.CaptureFixture[bytes]) -> Call:
    """Calls a command in this process."""

    def _call(*words: str) -> Said:
        capfdbinary.readouterr()
        code = run(words)
        out, err = capfdbinary.readouterr()
        return Said(code, out.decode(), err.decode())

    return _call


@pytest.fixture
def kept(url: str, source: str) -> Callable[[], Events]:
    """Reads what is kept of the test's source, in the order of the log."""

    def _kept() -> Events:
        asked = {"source": f"{source}*", "order": "asc", "limit": "1000"}
        found: Events = httpx.get(f"{url}/events", params=asked, trust_env=False).json()
        return found

    return _kept


@pytest.fixture
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        yield client
