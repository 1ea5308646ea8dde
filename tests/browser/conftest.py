"""Fixtures: one browser and one collector for all tests here; each keeps to a source of its own."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.browser.visiting import MISSING, PATIENCE, Visitor, executable, visitor_of
from tests.process import CollectorProcess

together = pytest_asyncio.fixture(scope="package", loop_scope="package")


@together
async def browser() -> AsyncIterator[Browser]:
    """A Chromium."""
    async with async_playwright() as playwright:
        path = executable(playwright)
        if path is None:
            pytest.skip(MISSING)
        browser = await playwright.chromium.launch(executable_path=path)
        yield browser
        await browser.close()


@together
async def collector(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CollectorProcess]:
    """A collector on SQLite that asks for no token."""
    path = tmp_path_factory.mktemp("collector") / "collector.db"
    with CollectorProcess(env={"SQLITE_PATH": str(path)}) as process:
        await process.wait_until_ready(PATIENCE)
        yield process


@pytest_asyncio.fixture(loop_scope="package")
async def own_collector(tmp_path: Path) -> AsyncIterator[CollectorProcess]:
    """Another, empty, that the test may stop."""
    with CollectorProcess(env={"SQLITE_PATH": str(tmp_path / "collector.db")}) as process:
        await process.wait_until_ready(PATIENCE)
        yield process


@pytest_asyncio.fixture(loop_scope="package")
async def visitor(browser: Browser, collector: CollectorProcess) -> AsyncIterator[Visitor]:
    """Somebody before the timeline of the shared collector."""
    async with visitor_of(browser, collector.url) as visitor:
        yield visitor


@pytest.fixture
def source() -> str:
    """A source that no other test uses."""
    return f"source-{secrets.token_hex(4)}"
