"""`make pictures`: the timeline as docs/ has it, light, dark and on a phone. Playwright, and a story."""

import asyncio
import base64
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, async_playwright, expect

from tests.browser.story import story
from tests.browser.visiting import MISSING, PATIENCE, executable, send, visitor_of
from tests.guardian import guardian
from tests.process import CollectorProcess

DOCS = Path(__file__).parents[2] / "docs"
QUALITY = 82  # of 100: text stays sharp
MOST = 100_000  # bytes of one picture
WIDE, PHONE = (1280, 720), (390, 800)
PICTURES: dict[str, dict[str, Any]] = {
    "timeline-light": {"color_scheme": "light", "size": WIDE, "device_scale_factor": 1.5},
    "timeline-dark": {"color_scheme": "dark", "size": WIDE, "device_scale_factor": 1.5},
    "timeline-phone": {"color_scheme": "dark", "size": PHONE, "device_scale_factor": 1.5, "has_touch": True},
}


async def main() -> None:
    """Take them all."""
    env = {"SQLITE_PATH": f"{guardian().new_folder('pictures')}/collector.db"}
    with CollectorProcess(env=env) as collector:
        await collector.wait_until_ready(PATIENCE)
        await send(collector.url, story(datetime.now(UTC)))
        async with async_playwright() as playwright:
            path = executable(playwright)
            if path is None:
                sys.exit(MISSING)
            browser = await playwright.chromium.launch(executable_path=path)
            for name, context in PICTURES.items():
                await take(browser, collector.url, name, context)


async def take(browser: Browser, url: str, name: str, context: dict[str, Any]) -> None:
    """Take one, with the newest event open where there is room."""
    async with visitor_of(browser, url, **context) as visitor:
        await visitor.visit("?since=1h")
        await expect(visitor.page.locator("#legend li").first).to_be_visible()
        if context["size"] == WIDE:
            await visitor.page.keyboard.press("j")
            await visitor.page.keyboard.press("Enter")
            await expect(visitor.page.get_by_role("complementary")).to_be_visible()
        session = await visitor.page.context.new_cdp_session(visitor.page)
        shot = await session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    picture = base64.b64decode(shot["data"])
    assert len(picture) < MOST, f"{name} has {len(picture)} bytes"
    (DOCS / f"{name}.webp").write_bytes(picture)
    print(f"docs/{name}.webp: {len(picture) // 1000} kB")


if __name__ == "__main__":
    asyncio.run(main())
