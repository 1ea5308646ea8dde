"""Nothing that an event says is ever markup, script or style; nor is what a link says."""

import pytest
from playwright.async_api import Browser, expect

from tests.browser.visiting import Visitor, send, visitor_of
from tests.process import CollectorProcess

pytestmark = pytest.mark.asyncio(loop_scope="package")
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</span><script>alert(1)</script>",
    "\"><svg onload=alert(1)>'",
    "javascript:alert(1)",
    "{{7*7}}${alert(1)}",
    "<style>*{display:none}</style>",
    "__proto__",
)


async def test_hostile_text_is_shown_as_text_in_every_field(
    browser: Browser, own_collector: CollectorProcess
) -> None:
    async with visitor_of(browser, own_collector.url) as visitor:
        await send(visitor.url, [hostile(text) for text in HOSTILE])
        await visitor.visit()
        await visitor.shows(len(HOSTILE))
        page = visitor.page
        for text in HOSTILE:
            await visitor.rows.filter(has=page.locator(".about").get_by_text(text, exact=True)).click()
            await expect(page.get_by_role("complementary").locator("h2")).to_have_text(text)
        await page.get_by_role("button", name="by action").click()
        await expect(page.locator("#legend")).to_contain_text(HOSTILE[0])
        await page.locator("#sources-list button").first.click()
        await expect(page.locator("#chips li")).to_have_count(1)
        injected = (
            "document.querySelectorAll('main :is(img, script, svg, style, iframe), #legend svg, [onerror]').length"
        )
        assert await page.evaluate(injected) == 0
        assert await page.evaluate("({}).polluted") is None


async def test_a_hostile_link_is_text_too(visitor: Visitor) -> None:
    text = HOSTILE[0].replace("=", "%3D")
    await visitor.visit(f"?source={text}&action={text}&subject={text}&q={text}&data.x={text}&event={text}")
    await expect(visitor.page.locator("#chips")).to_contain_text(HOSTILE[0])
    await expect(visitor.page.locator("#notice")).to_contain_text("No event matches")
    assert await visitor.page.locator("#filters img, main img").count() == 0


def hostile(text: str) -> dict[str, object]:
    data = {text: text, "polluted": [text], "__proto__": {"polluted": True}}
    return {"source": text, "action": text, "subject": text, "id": text, "data": data}
