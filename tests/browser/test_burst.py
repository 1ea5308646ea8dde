"""500 events a second come in while 10,000 are on the page: it goes on drawing, and holds no more than that."""

import asyncio
import time

import pytest

from tests.browser.visiting import Visitor, numbered, send

pytestmark = pytest.mark.asyncio(loop_scope="package")
HELD = 10_000
A_SECOND = 500
SECONDS = 3
FRAMES = """() => {
  globalThis.frames_ = [];
  let last = performance.now();
  const next = (now) => { frames_.push(now - last); last = now; requestAnimationFrame(next); };
  requestAnimationFrame(next);
}"""


async def test_a_burst_is_drawn(visitor: Visitor, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    await visitor.visit(f"?source={source}")
    await send(visitor.url, numbered(source, HELD, data={"text": "some words to draw", "n": 1}))
    await visitor.shows(HELD)
    await visitor.page.evaluate(FRAMES)
    start = time.monotonic()
    for n in range(SECONDS * 2):
        await send(visitor.url, numbered(source, A_SECOND // 2, action=f"burst-{n}"))
        await asyncio.sleep(max(0.0, start + (n + 1) / 2 - time.monotonic()))
    took = time.monotonic() - start
    await visitor.row(f"burst-{SECONDS * 2 - 1}").first.wait_for()
    await visitor.shows(HELD)
    frames = sorted(await visitor.page.evaluate("frames_"))
    rows = await visitor.rows.count()
    figures = (
        f"{len(frames) / took:.0f} frames a second, half within {frames[len(frames) // 2]:.0f} ms, "
        f"99 of 100 within {frames[int(len(frames) * 0.99)]:.0f} ms, the longest {frames[-1]:.0f} ms; "
        f"{rows} rows on the page"
    )
    with capsys.disabled():
        print(f"\nburst of {A_SECOND}/s for {took:.1f} s on {HELD} events: {figures}")
    assert len(frames) / took > 5, figures
    assert frames[-1] < 2000, figures
    assert rows < 100, figures
