"""The page can be used by everybody: axe finds nothing serious, in light and dark, wide and narrow."""

import json
import time

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, expect

from tests.browser.visiting import Visitor, numbered, send, visitor_of
from tests.process import CollectorProcess

pytestmark = pytest.mark.asyncio(loop_scope="package")
WIDE, PHONE = (1280, 800), (390, 844)
APART = 15  # seconds between two counts that a voice is told, as status.js has it


async def judged(visitor: Visitor) -> list[str]:
    """What axe finds, in words."""
    found = (await Axe().run(visitor.page)).response["violations"]
    return [
        f"{one['impact']}: {one['id']}: {json.dumps([node['target'] for node in one['nodes']][:3])}"
        for one in found
    ]


@pytest.mark.parametrize(("scheme", "size"), [("light", WIDE), ("dark", WIDE), ("dark", PHONE)])
async def test_axe_finds_nothing(
    browser: Browser, collector: CollectorProcess, source: str, scheme: str, size: tuple[int, int]
) -> None:
    actions = ["deploy.failed", "tests.passed", "started"]
    await send(
        collector.url, [one for name in actions for one in numbered(source, 3, name, data={"a": [1, "b", None]})]
    )
    async with visitor_of(browser, collector.url, color_scheme=scheme, size=size) as visitor:
        await visitor.visit(f"?source={source}")
        await visitor.shows(9)
        await expect(visitor.page.locator("#legend li")).to_have_count(1)
        await visitor.row("n1").first.click()
        await expect(visitor.page.get_by_role("complementary")).to_be_visible()
        assert await judged(visitor) == []
        await visitor.visit(f"?source={source}&action=none")
        await expect(visitor.page.locator("#notice h2")).to_be_visible()
        assert await judged(visitor) == []


async def test_a_voice_is_told_of_changes_and_not_of_every_event(visitor: Visitor, source: str) -> None:
    await visitor.visit(f"?source={source}")
    await visitor.page.evaluate(
        """globalThis.said = [];
        new MutationObserver(() => said.push(document.getElementById('said').textContent))
          .observe(document.getElementById('said'), {childList: true})"""
    )
    began = time.monotonic()
    for _ in range(5):
        await send(visitor.url, numbered(source, 20))
    await visitor.shows(100)
    assert await visitor.page.evaluate("said.length") <= 1 + (time.monotonic() - began) // APART
    await visitor.page.keyboard.press("Space")
    await expect(visitor.page.get_by_role("status")).to_have_text("Paused")


async def test_no_width_scrolls_sideways(browser: Browser, collector: CollectorProcess, source: str) -> None:
    await send(collector.url, numbered(source, 3, "an-action-" + "x" * 150, data={"k": "v" * 500}))
    async with visitor_of(browser, collector.url, size=PHONE, has_touch=True) as visitor:
        await visitor.visit(f"?source={source}&action=an-action-{'x' * 150}")
        await visitor.shows(3)
        for width in (320, 390, 768, 1024, 1920):
            await visitor.page.set_viewport_size({"width": width, "height": 844})
            await nothing_hangs_over(visitor, width)
            await visitor.row("n1").click()
            await expect(visitor.page.get_by_role("complementary")).to_be_in_viewport()
            await nothing_hangs_over(visitor, width)
            await visitor.page.keyboard.press("Escape")


async def nothing_hangs_over(visitor: Visitor, width: int) -> None:
    """Once all is drawn for this width: the chart follows the window a frame or two later."""
    fits = "width => innerWidth === width && document.scrollingElement.scrollWidth <= innerWidth"
    await visitor.page.wait_for_function(fits, arg=width)


async def test_the_theme_can_be_chosen_and_stays(visitor: Visitor) -> None:
    await visitor.visit()
    button = visitor.page.get_by_role("button", name="Theme")
    await button.click()
    await button.click()
    await expect(visitor.page.locator("html")).to_have_attribute("data-theme", "dark")
    await visitor.page.reload()
    await expect(visitor.page.locator("html")).to_have_attribute("data-theme", "dark")
