"""Visiting: a browser, a page in it, and what the page complained of. Playwright."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Playwright, expect

PATIENCE = 60.0  # seconds, for what takes a tenth of one: a machine under load
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SIZE = (1280, 800)
MISSING = "there is no Chromium: `.venv/bin/playwright install chromium`"
CHANGED = "net::ERR_NETWORK_CHANGED"
expect.set_options(timeout=PATIENCE * 1000)


def executable(playwright: Playwright) -> str | None:
    """Playwright's own Chromium, else one of this machine; None: there is none."""
    own = playwright.chromium.executable_path
    return own if Path(own).exists() else next(filter(None, map(shutil.which, BROWSERS)), None)


@dataclass
class Visitor:
    """A page of a collector, as a person has it before them."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    expected: str = r"(?!)"  # a pattern of complaints that belong to the test

    async def visit(self, query: str = "", state: str = "live") -> None:
        """Open the timeline and wait until it is in this state."""
        before = self.disturbed
        await self.page.goto(f"{self.url}/{query}")
        if self.disturbed > before:
            await self.page.reload()
        await self.stands(state)

    @property
    def disturbed(self) -> int:
        """How often the machine's network has changed, such as by a container that started: the browser then
        breaks off all that it loads, also from loopback. The page reconnects; its files are loaded again here."""
        return sum(CHANGED in complaint for complaint in self.complaints)

    async def stands(self, state: str) -> None:
        """Wait for a state: live, paused, away, refused."""
        await expect(self.page.locator("#state")).to_have_attribute("data-kind", state)

    @property
    def rows(self) -> Locator:
        """The rows that are on the page, in no order."""
        return self.page.locator("#list .row")

    def row(self, text: str) -> Locator:
        """The row with this text."""
        return self.rows.filter(has_text=text)

    async def shows(self, count: int) -> None:
        """Wait until the list is so long."""
        if count:
            await expect(self.rows.first).to_have_attribute("aria-setsize", str(count))
        else:
            await expect(self.rows).to_have_count(0)

    async def settled(self) -> None:
        """Wait for a frame that shows all that was asked for before: the list is drawn in the next one."""
        await self.page.evaluate("() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")

    async def subjects(self) -> list[str]:
        """The subjects of the rows on the page, from top to bottom."""
        script = """rows => rows.sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)
            .map(row => row.querySelector('.about').textContent)"""
        found: list[str] = await self.rows.evaluate_all(script)
        return found

    def unexpected(self) -> list[str]:
        """What the page complained of that the test does not expect."""
        excused = f"{self.expected}|{CHANGED}"
        return [complaint for complaint in self.complaints if not re.search(excused, complaint)]


@asynccontextmanager
async def visitor_of(browser: Browser, url: str, **context: Any) -> AsyncIterator[Visitor]:
    """A visitor with a browser profile of their own, which fails the test if the page complains."""
    width, height = context.pop("size", SIZE)
    profile = await browser.new_context(viewport={"width": width, "height": height}, **context)
    profile.set_default_timeout(PATIENCE * 1000)
    page = await profile.new_page()
    visitor = Visitor(page, url)

    def complain(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            visitor.complaints.append(f"{message.text} ({message.location['url']})")

    page.on("console", complain)
    page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    page.on("dialog", lambda dialog: visitor.complaints.append(f"a dialog: {dialog.message}"))
    try:
        yield visitor
    finally:
        await profile.close()
    assert visitor.unexpected() == []


async def send(url: str, events: list[dict[str, Any]], **headers: str) -> None:
    """Keep these events."""
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False) as client:
        for start in range(0, len(events), 1000):
            answer = await client.post("/events", json=events[start : start + 1000], headers=headers)
            assert answer.status_code in (200, 201), answer.text


def numbered(source: str, count: int, action: str = "deployed", **more: Any) -> list[dict[str, Any]]:
    """Events whose subjects are n0, n1, and so on."""
    return [{"source": source, "action": action, "subject": f"n{n}", **more} for n in range(count)]
