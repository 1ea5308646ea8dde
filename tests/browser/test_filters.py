"""The filters, the URL that holds them, and the event that is open."""

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import expect

from tests.browser.visiting import Visitor, numbered, send

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def asked(visitor: Visitor) -> dict[str, list[str]]:
    """As the page has it: what Playwright knows of it may be older."""
    return parse_qs(await visitor.page.evaluate("location.search.slice(1)"))


async def four(visitor: Visitor, source: str) -> None:
    """Four events that differ in everything: a and b of one source, c and d of another."""
    rows = [("a", "built", "x"), ("b", "failed", "y"), ("c", "built", "y"), ("d", "failed", "x")]
    await send(
        visitor.url,
        [
            {
                "source": source + ("-1" if name in "ab" else "-2"),
                "action": action,
                "subject": name,
                "data": {"at": at},
            }
            for name, action, at in rows
        ],
    )


async def test_each_filter_narrows_and_stands_in_the_url(visitor: Visitor, source: str) -> None:
    await four(visitor, source)
    await visitor.visit(f"?source={source}-*")
    await visitor.shows(4)
    page = visitor.page
    await page.get_by_label("Action").fill("failed")
    await page.keyboard.press("Enter")
    await visitor.shows(2)
    assert await visitor.subjects() == ["d", "b"]
    await page.get_by_label("Subject").fill("b")
    await page.keyboard.press("Enter")
    await visitor.shows(1)
    assert await asked(visitor) == {"source": [f"{source}-*"], "action": ["failed"], "subject": ["b"]}
    await page.get_by_role("button", name="Clear filters").click()
    assert await asked(visitor) == {}
    await page.go_back()
    await visitor.shows(1)
    assert await page.get_by_label("Subject").input_value() == "b"


async def test_text_is_searched_for_while_it_is_typed(visitor: Visitor, source: str) -> None:
    await four(visitor, source)
    await visitor.visit(f"?source={source}-*")
    await visitor.page.keyboard.press("/")
    await visitor.page.keyboard.type('"at":"y"')
    await visitor.page.wait_for_url(lambda url: parse_qs(urlsplit(url).query).get("q") == ['"at":"y"'])
    await visitor.shows(2)


async def test_a_click_on_sources_takes_several(visitor: Visitor, source: str) -> None:
    await four(visitor, source)
    await visitor.visit()
    for n in (1, 2):
        await visitor.page.locator("#sources-list button", has_text=f"{source}-{n}").click()
    await visitor.shows(4)
    assert (await asked(visitor))["source"] == [f"{source}-1", f"{source}-2"]
    await visitor.page.get_by_role("button", name=f"Without source {source}-1").click()
    await visitor.shows(2)


async def test_a_link_shares_what_is_looked_at(visitor: Visitor, source: str) -> None:
    await four(visitor, source)
    await visitor.visit(f"?source={source}-1&source={source}-2&action=built&data.at=y&since=7d&by=action")
    await visitor.shows(1)
    assert await visitor.subjects() == ["c"]
    await expect(visitor.page.get_by_role("button", name="by action")).to_have_attribute("aria-pressed", "true")
    await expect(visitor.page.get_by_role("button", name="7d", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )


async def test_time_narrows_by_when_it_happened(visitor: Visitor, source: str) -> None:
    await send(visitor.url, numbered(source, 1, time="2021-03-04T05:06:07Z"))
    await visitor.visit(f"?source={source}&since=all")
    await visitor.shows(1)
    await expect(visitor.rows.locator("time")).to_have_attribute("title", "2021-03-04 05:06:07 UTC")
    await visitor.page.get_by_role("button", name="24h", exact=True).click()
    await visitor.shows(0)
    await visitor.page.locator("#between summary").click()
    await visitor.page.get_by_label("From").fill("2021-03-03T00:00:00")
    await visitor.page.get_by_label("To", exact=True).fill("2021-03-06T00:00:00")
    await visitor.page.get_by_role("button", name="Show").click()
    await visitor.shows(1)
    assert (await asked(visitor))["since"][0].startswith("2021-03-0")


async def test_an_open_event_shows_its_data_as_it_was_sent(visitor: Visitor, source: str) -> None:
    data = {"big": 9007199254740993, "text": "ü", "deep": {"list": [1, 2.50, None]}}
    await send(visitor.url, numbered(source, 1, data=data))
    await visitor.visit(f"?source={source}")
    await visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await visitor.row("n0").click()
    detail = visitor.page.get_by_role("complementary")
    await expect(detail.locator("pre")).to_contain_text("9007199254740993")
    await visitor.page.evaluate(
        "globalThis.setTimeout = () => 0"
    )  # "Copied" stands for a moment: this one does not end
    await detail.get_by_role("button", name="Copy data").click()
    await expect(detail.get_by_role("button", name="Copied")).to_be_visible()
    copied = await visitor.page.evaluate("navigator.clipboard.readText()")
    assert '"big": 9007199254740993' in copied
    link = visitor.page.url
    await visitor.page.get_by_role("button", name="Close").click()
    await expect(detail).to_be_hidden()
    await visitor.page.goto(link)
    await expect(detail.locator("pre")).to_contain_text('"text": "ü"')


async def test_only_this_narrows_from_the_open_event(visitor: Visitor, source: str) -> None:
    await four(visitor, source)
    await visitor.visit(f"?source={source}-*")
    await visitor.row("failed").last.click()
    await visitor.page.get_by_role("button", name="Only this source").click()
    await visitor.shows(2)
    assert (await asked(visitor))["source"] == [f"{source}-1"]
