"""Keys do what the dialog of keys says, and leave alone who types."""

import pytest
from playwright.async_api import expect

from tests.browser.visiting import Visitor, numbered, send

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_keys_go_through_the_events(visitor: Visitor, source: str) -> None:
    await send(visitor.url, numbered(source, 60))
    await visitor.visit(f"?source={source}")
    await visitor.shows(60)
    page, chosen = visitor.page, visitor.page.locator("#list .row[aria-selected=true]")
    for key in "jjjk":
        await page.keyboard.press(key)
    await expect(chosen).to_contain_text("n58")
    await page.keyboard.press("Enter")
    detail = page.get_by_role("complementary")
    await expect(detail).to_contain_text("n58")
    await page.keyboard.press("j")
    await expect(detail).to_contain_text("n57")
    await expect(chosen).to_contain_text("n57")
    assert await page.locator("#list").get_attribute("aria-activedescendant") == await chosen.get_attribute("id")
    for _ in range(40):
        await page.keyboard.press("j")
    await expect(chosen).to_contain_text("n17")
    await expect(chosen).to_be_in_viewport()
    await page.keyboard.press("Escape")
    await expect(detail).to_be_hidden()
    await page.keyboard.press("g")
    await expect(chosen).to_have_count(0)
    assert await page.locator("#list").evaluate("list => list.scrollTop") == 0


async def test_keys_are_letters_where_one_types(visitor: Visitor, source: str) -> None:
    await visitor.visit(f"?source={source}")
    await visitor.page.keyboard.press("/")
    await visitor.page.keyboard.type("j k ?")
    assert await visitor.page.locator("#q").input_value() == "j k ?"
    await expect(visitor.page.get_by_role("dialog")).to_have_count(0)
    await visitor.page.keyboard.press("Escape")
    await visitor.page.keyboard.press("?")
    await expect(visitor.page.get_by_role("dialog")).to_be_visible()
    await visitor.page.keyboard.press("Escape")
    await expect(visitor.page.get_by_role("dialog")).to_have_count(0)
    await visitor.page.keyboard.press("Space")
    await visitor.stands("paused")


async def test_tab_goes_from_the_top_to_the_list(visitor: Visitor, source: str) -> None:
    await visitor.visit(f"?source={source}")
    await visitor.page.keyboard.press("Tab")
    await expect(visitor.page.locator(".skip")).to_be_focused()
    await visitor.page.keyboard.press("Enter")
    await expect(visitor.page.get_by_role("listbox")).to_be_focused()
