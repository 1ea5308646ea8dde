"""What arrives is seen at once, in order, and once: also after a pause, and after the collector was away."""

import re
import signal
from functools import partial
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.visiting import PATIENCE, Visitor, numbered, send, visitor_of
from tests.process import CollectorProcess

pytestmark = pytest.mark.asyncio(loop_scope="package")
AWAY = r"Failed to load resource: net::ERR|net::ERR_INCOMPLETE_CHUNKED|net::ERR_CONNECTION|503"
STREAM = "**/events/stream*"


async def test_what_is_posted_appears_at_the_top(visitor: Visitor, source: str) -> None:
    await send(visitor.url, numbered(source, 3))
    await visitor.visit(f"?source={source}")
    await visitor.shows(3)
    await send(visitor.url, [{"source": source, "action": "deployed", "subject": "the new one"}])
    await visitor.shows(4)
    assert await visitor.subjects() == ["the new one", "n2", "n1", "n0"]
    await expect(visitor.page.locator("#sources-list button[aria-pressed=true]")).to_contain_text(source)


async def test_a_pause_holds_the_list_and_counts_what_waits(visitor: Visitor, source: str) -> None:
    await visitor.visit(f"?source={source}&since=1h", state="live")
    await visitor.page.keyboard.press("Space")
    await visitor.stands("paused")
    await send(visitor.url, numbered(source, 5))
    await expect(visitor.page.locator("#state")).to_contain_text("5 waiting")
    await visitor.shows(0)
    await visitor.page.get_by_role("button", name="Go on").click()
    await visitor.shows(5)
    await visitor.stands("live")


async def test_whoever_has_scrolled_keeps_their_place(visitor: Visitor, source: str) -> None:
    await send(visitor.url, numbered(source, 150))
    await visitor.visit(f"?source={source}")
    await visitor.shows(150)
    await visitor.page.locator("#list").evaluate("list => list.scrollTop = 2000")
    await expect(visitor.row("n70")).to_be_visible()
    before = await visitor.row("n70").bounding_box()
    await send(visitor.url, numbered(source, 10))
    await expect(visitor.page.locator("#arrived")).to_have_text("↑ 10 new")
    await visitor.settled()
    assert await visitor.row("n70").bounding_box() == before
    await visitor.page.locator("#arrived").click()
    await visitor.settled()
    assert (await visitor.subjects())[:2] == ["n9", "n8"]
    await expect(visitor.page.locator("#arrived")).to_be_hidden()


async def test_scrolling_down_loads_what_was_before(visitor: Visitor, source: str) -> None:
    await send(visitor.url, numbered(source, 900))
    await visitor.visit(f"?source={source}")
    for held in (200, 700, 900):
        await visitor.shows(held)
        await visitor.page.locator("#list").evaluate("list => list.scrollTop = list.scrollHeight")
    await expect(visitor.row("n0").first).to_be_visible()


async def test_it_resumes_where_it_was_when_the_collector_is_back(
    browser: Browser, own_collector: CollectorProcess
) -> None:
    async with visitor_of(browser, own_collector.url) as visitor:
        visitor.expected = AWAY
        await send(visitor.url, numbered("shop", 2))
        await visitor.visit("?source=shop")
        await visitor.shows(2)
        own_collector.kill()
        await visitor.stands("away")
        own_collector.start()
        await own_collector.wait_until_ready(PATIENCE)
        await send(visitor.url, numbered("shop", 3, action="restarted"))
        await visitor.shows(5)
        assert await visitor.subjects() == ["n2", "n1", "n0", "n1", "n0"]
        await visitor.stands("live")
        own_collector.terminate()  # it says goodbye, which is no end either
        assert await own_collector.wait(PATIENCE) in (0, -signal.SIGTERM)
        await visitor.stands("away")
        own_collector.start()
        await visitor.stands("live")
        await send(visitor.url, numbered("shop", 1, action="again"))
        await visitor.shows(6)


async def test_a_click_hurries_the_next_attempt(browser: Browser, own_collector: CollectorProcess) -> None:
    async with visitor_of(browser, own_collector.url) as visitor:
        visitor.expected = AWAY
        await send(visitor.url, numbered("shop", 2))
        await visitor.visit("?source=shop")
        await visitor.shows(2)
        # The next attempt is told to come back in an hour, so that none but the click's comes meanwhile.
        await visitor.page.route(STREAM, partial(_fulfil, status=503, headers={"Retry-After": "3600"}, json={}))
        own_collector.kill()
        await expect(visitor.page.locator("#state")).to_have_text(re.compile(r"again in \d{4} s"))
        own_collector.start()
        await own_collector.wait_until_ready(PATIENCE)
        await send(visitor.url, numbered("shop", 1, action="restarted"))
        await visitor.page.unroute(STREAM)
        await visitor.page.locator("#retry").click()
        await visitor.shows(3)
        await visitor.stands("live")
        await expect(visitor.page.locator("#retry")).to_be_hidden()


async def test_a_gap_is_shown_and_can_be_filled(visitor: Visitor, source: str) -> None:
    await send(visitor.url, numbered(source, 6))
    await visitor.visit(f"?source={source}")
    await visitor.shows(6)
    newest = await visitor.rows.evaluate_all("rows => Math.max(...rows.map(row => Number(row.id.slice(1))))")
    await _with_a_gap(visitor.page, newest)
    await visitor.page.reload()
    gap = visitor.page.locator(".row.gap")
    await expect(gap).to_contain_text("left out")
    await gap.click()
    await visitor.shows(6)
    await expect(gap).to_have_count(0)


async def _with_a_gap(page: Page, through: int) -> None:
    """The collector sends one only to a reader that is minutes behind: this is its frame, before an empty page."""
    gap = f'id: {through}\nevent: gap\ndata: {{"after": 0, "through": {through}}}'
    body = f"retry: 9000\n: from 0\n\n{gap}\n\n"
    await page.route(STREAM, partial(_fulfil, content_type="text/event-stream", body=body))
    await page.route("**/events?*limit=200*", partial(_fulfil, json=[]))


async def _fulfil(route: Route, **answer: Any) -> None:
    await route.fulfill(**answer)
