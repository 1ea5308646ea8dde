"""Where there are no events the page says why, and what to do."""

import pytest
from playwright.async_api import Browser, expect

from tests.browser.visiting import PATIENCE, Visitor, numbered, send, visitor_of
from tests.credentials import credential, lines
from tests.process import CollectorProcess

pytestmark = pytest.mark.asyncio(loop_scope="package")
REFUSED = r"the server responded with a status of (401|403|400|503)|net::ERR"


async def test_an_empty_collector_says_how_to_send(browser: Browser, own_collector: CollectorProcess) -> None:
    async with visitor_of(browser, own_collector.url) as visitor:
        await visitor.visit()
        notice = visitor.page.locator("#notice")
        await expect(notice).to_contain_text("No events yet")
        await expect(notice.locator("code")).to_contain_text(f"curl -s '{visitor.url}/events'")
        await send(visitor.url, numbered("shop", 1))
        await visitor.shows(1)
        await expect(notice).to_be_hidden()


async def test_filters_that_match_nothing_can_be_taken_away(visitor: Visitor, source: str) -> None:
    await send(visitor.url, numbered(source, 1))
    await visitor.visit(f"?source={source}&action=never")
    await expect(visitor.page.locator("#notice")).to_contain_text("No event matches the filters in the last 24h")
    await visitor.page.locator("#notice").get_by_role("button", name="Clear filters").click()
    await expect(visitor.row(source).first).to_be_visible()


async def test_a_filter_that_is_wrong_is_told_as_the_collector_says_it(visitor: Visitor) -> None:
    visitor.expected = REFUSED
    await visitor.visit("?since=yesterday", state="refused")
    await expect(visitor.page.locator("#notice")).to_contain_text("since is RFC 3339 with an offset")


async def test_a_collector_that_is_away_is_told_with_what_to_ask(
    browser: Browser, own_collector: CollectorProcess
) -> None:
    async with visitor_of(browser, own_collector.url) as visitor:
        visitor.expected = REFUSED
        await visitor.visit()
        await visitor.page.route("**/events/stream*", lambda route: route.abort())
        await visitor.page.reload()
        await visitor.stands("away")
        await expect(visitor.page.locator("#notice")).to_contain_text("The collector does not answer")
        await expect(visitor.page.locator("#notice code")).to_contain_text("/readyz?verbose")
        await visitor.page.unroute("**/events/stream*")
        await visitor.stands("live")  # by itself


async def test_a_token_is_asked_for_kept_in_the_tab_and_forgotten(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tokens")
    reader, writer = credential(scopes=("read",)), credential(scopes=("write",), name="writer")
    env = {"SQLITE_PATH": str(folder / "collector.db"), "TOKENS": lines(reader, writer)}
    with CollectorProcess(env=env) as process:
        await process.wait_until_ready(PATIENCE)
        await send(process.url, numbered("shop", 2), **writer.headers)
        async with visitor_of(browser, process.url) as visitor:
            visitor.expected = REFUSED
            page = visitor.page
            await visitor.visit(state="refused")
            await expect(page.get_by_label("Token")).to_be_focused()
            await page.keyboard.type("wrong")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("alert")).to_contain_text("does not know this token")
            await page.get_by_label("Token").fill(writer.secret)
            await page.keyboard.press("Enter")
            await expect(page.locator("#notice")).to_contain_text("may not read")
            await page.get_by_role("button", name="Forget token").click()
            await page.get_by_label("Token").fill(reader.secret)
            await page.keyboard.press("Enter")
            await visitor.shows(2)
            await visitor.stands("live")
            await send(process.url, numbered("shop", 1), **writer.headers)
            await visitor.shows(3)
            await page.reload()
            await visitor.shows(3)
            kept = "[...Object.values(localStorage), document.cookie, location.href].join()"
            assert reader.secret not in await page.evaluate(kept)
            await page.get_by_role("button", name="Forget token").click()
            await visitor.stands("refused")
            assert reader.secret not in await page.evaluate("Object.values(sessionStorage).join()")
