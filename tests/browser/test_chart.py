"""The chart: what it counts, and the brush that zooms."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import expect

from tests.browser.visiting import Visitor, numbered, send

pytestmark = pytest.mark.asyncio(loop_scope="package")


def ago(minutes: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()


async def brush(visitor: Visitor, start: float, end: float) -> None:
    """Drag over the chart, from and to parts of its width."""
    box = await visitor.page.locator("#plot .u-over").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    await visitor.page.mouse.move(box["x"] + box["width"] * start, middle)
    await visitor.page.mouse.down()
    await visitor.page.mouse.move(box["x"] + box["width"] * (start + end) / 2, middle)
    await visitor.page.mouse.move(box["x"] + box["width"] * end, middle)
    await visitor.page.mouse.up()


async def test_a_brush_zooms_the_list_too(visitor: Visitor, source: str) -> None:
    early, late = numbered(source, 3, time=ago(50)), numbered(source, 2, action="late", time=ago(5))
    await send(visitor.url, [*early, *late])
    await visitor.visit(f"?source={source}&since=1h")
    await visitor.shows(5)
    await expect(visitor.page.locator("#chart-words")).to_have_text("5 in all")
    await brush(visitor, 0.05, 0.4)
    await visitor.shows(3)
    await expect(visitor.page.locator("#chart-words")).to_have_text("3 in all")
    zoomed = parse_qs(urlsplit(visitor.page.url).query)
    width = datetime.fromisoformat(zoomed["until"][0]) - datetime.fromisoformat(zoomed["since"][0])
    assert timedelta(minutes=15) < width < timedelta(minutes=30)
    await visitor.page.go_back()
    await visitor.shows(5)
    await expect(visitor.page.locator("#chart-words")).to_have_text("5 in all")
    await brush(visitor, 0.05, 0.4)
    await visitor.shows(3)
    await visitor.page.get_by_role("button", name="Jump to now").click()
    await visitor.shows(5)


async def test_it_counts_by_source_and_by_action_and_on_as_events_arrive(visitor: Visitor, source: str) -> None:
    await send(visitor.url, [*numbered(source, 4, action="built"), *numbered(source, 1, action="failed")])
    await visitor.visit(f"?source={source}&since=15m")
    legend = visitor.page.locator("#legend li")
    await expect(legend).to_have_text([f"{source}5"])
    await visitor.page.get_by_role("button", name="by action").click()
    await expect(legend).to_have_text(["built4", "failed1"])
    await send(visitor.url, numbered(source, 2, action="failed"))
    await expect(legend).to_have_text(["built4", "failed3"])
    await legend.nth(1).get_by_role("button").click()
    await visitor.shows(3)


async def test_zooming_out_shows_more_time(visitor: Visitor, source: str) -> None:
    await send(visitor.url, numbered(source, 1, time=ago(70)))
    await visitor.visit(f"?source={source}&since=1h")
    await visitor.shows(0)
    await expect(visitor.page.locator("#notice")).to_contain_text("No event matches the filters in the last 1h")
    await visitor.page.get_by_role("button", name="Zoom out").click()
    await visitor.shows(1)
