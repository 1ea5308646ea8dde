"""Chart: bars, drawn by hand as SVG; readable on white and on black."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from tests.bench.report import times
from tests.bench.samples import Results, Value

WIDTH, LEFT, RIGHT = 760, 170, 150  # px: all, for names, for figures
BAR, GAP, HEAD = 20, 8, 46  # px

STYLE = """
text { font: 14px system-ui, sans-serif; fill: #24292f } .head { font-weight: 600 } .small { font-size: 12px }
.ours { fill: #0969da } .durable { fill: #8c959f } .fleeting { fill: none; stroke: #8c959f; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .ours { fill: #4493f8 } .durable { fill: #6e7681 } .fleeting { stroke: #6e7681 }
}"""


@dataclass(frozen=True, slots=True)
class Bars:
    """A group of bars: the rates of `contestants`, relative to `base`."""

    title: str
    measure: str
    base: str
    contestants: Sequence[str]


FOOT = "Dashed: keeps nothing on disk. Medians of interleaved rounds on one machine."
FLEETING = ("go in memory", "no-op")
GROUPS = (
    Bars(
        "Events a second, one a POST; textbook ORM = 1",
        "post",
        "textbook",
        ("textbook", "orm best", "fastify", "pgbench", "collector, SQLite", "collector", *FLEETING),
    ),
    Bars(
        "Reads of the last 50 a second; no-op server = 1",
        "get",
        "no-op",
        ("textbook", "orm best", "fastify", "collector, SQLite", "collector", *FLEETING),
    ),
)


def chart(results: Results) -> str:
    """The picture of what was measured."""
    drawn: list[str] = []
    top = 0
    for group in GROUPS:
        bars = [(name, ratio) for name in group.contestants if (ratio := _ratio(results, group, name)) is not None]
        if bars:
            drawn += _draw(group.title, bars, top)
            top += HEAD + len(bars) * (BAR + GAP)
    size = f'viewBox="0 0 {WIDTH} {top + HEAD}" width="{WIDTH}" height="{top + HEAD}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        "<title>The collector beside its peers</title>",
        f"<style>{STYLE}</style>",
        *drawn,
        _text(0, top + 28, FOOT, "small"),
        "</svg>\n",
    ]
    return "\n".join(lines)


def _ratio(results: Results, group: Bars, name: str) -> float | None:
    if results.bad(Value(group.measure, name)):
        return None
    return results.ratio(Value(group.measure, name), Value(group.measure, group.base))


def _draw(title: str, bars: Sequence[tuple[str, float]], top: int) -> Iterator[str]:
    yield _text(0, top + 28, title, "head")
    scale = (WIDTH - LEFT - RIGHT) / max(ratio for _, ratio in bars)
    for place, (name, ratio) in enumerate(bars):
        y = top + HEAD + place * (BAR + GAP)
        kind = "ours" if name.startswith("collector") else "fleeting" if name in FLEETING else "durable"
        length = max(1.0, ratio * scale)
        yield _text(0, y + 15, name, "")
        yield f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="3"/>'
        yield _text(LEFT + length + 8, y + 15, times(ratio), "")


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y}">{escape(words)}</text>'
