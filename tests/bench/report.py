"""Report: what a person reads. Pure: results in, lines out."""

from collections.abc import Iterator, Mapping, Sequence

from tests.bench.samples import Results, Value
from tests.bench.targets import TARGETS, Target

# What each measure is, and who is 1 in its last column; None: whoever comes first.
TITLES: dict[str, tuple[str, str | None]] = {
    "post": ("POST of one event, 64 connections", "textbook"),
    "post ids": ("POST of one event with an id of its own, 64 connections", "collector"),
    "batch": ("POST of 1,000 events, 4 connections", "COPY"),
    "batch ids": ("POST of 1,000 events with ids, 4 connections", "COPY"),
    "get": ("GET of the last 50, 64 connections", "no-op"),
    "get 304": ("GET of the last 50, unchanged: 304, 64 connections", "no-op"),
    "grown post": ("Growth: POST of one event", None),
    "grown post ids": ("Growth: POST of one event with an id of its own", None),
    "grown batch": ("Growth: POST of 1,000 events with ids", None),
    "grown get": ("Growth: GET of the last 50", None),
    "grown get rare": ("Growth: GET of a source that has 20 events", None),
    "grown get frequent": ("Growth: GET of the last 50 of a source that has 30 % of the events", None),
    "grown get time": ("Growth: GET of the last 50 of an hour five days ago", None),
    "grown COPY": ("Indexes: COPY of 10,000 rows with ids", None),
    "retention": ("Retention: the oldest of ten days, once", None),
    "start": ("From exec to the first 200 of /healthz", "no-op"),
}
# Beside one client's bodies of 5 MiB. The third is what is compared; all else is by its rate, or by its p50.
WORST = {
    "post": ("POST of one event, 50 a second; ratio of p99", "nobody", "p99"),
    "get": ("GET of the last 50, 50 a second; ratio of p99", "nobody", "p99"),
    "probe": ("GET /healthz, 200 a second; ratio of the longest", "nobody", "most"),
    "body": ("what each body takes; ratio of p50", "good: text", "p50"),
}
COMPARED: dict[str, str] = {}
for _sort, (_title, _base, _figure) in WORST.items():
    for _where in ("", ", SQLite"):
        TITLES[f"worst {_sort}{_where}"] = (f"Beside one client's 5 MiB{_where}: {_title}", _base)
        COMPARED[f"worst {_sort}{_where}"] = _figure
HEADS = (
    "",
    "per second",
    "p50 ms",
    "p99 ms",
    "most ms",
    "server µs",
    "Postgres µs",
    "MB",
    "others %",
    "by CPU",
    "ratio",
)
SIGNS = {"aim": "ok, and the aim", "ok": "ok", "missed": "MISSED", "invalid": "INVALID"}
BUSY = 0.1  # share of the cores that others took, from which on a run says little

Row = Sequence[str]


def report(results: Results, machine: Mapping[str, str]) -> str:
    """All of it."""
    lines = [*_machine(machine), *_measures(results), *_targets(results), *_remarks(results)]
    return "\n".join(lines)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Columns in line: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield "  ".join([first.ljust(widths[0]), *cells]).rstrip()


def short(figure: float | None, unit: str = "") -> str:
    """Three digits that count; nothing for None."""
    if figure is None:
        return ""
    digits = 0 if abs(figure) >= 100 else 1 if abs(figure) >= 10 else 2 if abs(figure) >= 0.1 else 3
    return f"{figure:,.{digits}f}{unit}"


def times(figure: float | None) -> str:
    """A ratio."""
    return short(figure, "×")


def _machine(machine: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, machine))
    yield from (f"{name.ljust(width)}  {value}" for name, value in machine.items())


def _measures(results: Results) -> Iterator[str]:
    for measure, contestants in results.measures.items():
        title, named = TITLES.get(measure, (measure, None))
        base = named or next(iter(contestants))
        yield ""
        yield f"{title}; {base} is 1"
        rows = [_row(results, measure, contestant, base) for contestant in contestants]
        yield from table(_without_empty([HEADS, *rows]))


def _row(results: Results, measure: str, contestant: str, base: str) -> Row:
    def middle(figure: str) -> str:
        return short(results.middle(Value(measure, contestant, figure)))

    bad = results.bad(Value(measure, contestant))
    figures = ("rate", "p50", "p99", "most", "server_cpu", "database_cpu", "memory")
    name = f"{contestant} (INVALID: {bad:,} answers were no success)" if bad else contestant
    others = results.middle(Value(measure, contestant, "others"))
    share = "" if others is None else f"{others * 100:.0f}"
    by_cpu = results.ratio(Value(measure, base, "cpu"), Value(measure, contestant, "cpu"))
    return (
        name,
        *map(middle, figures),
        share,
        times(by_cpu),
        times(_relative(results, measure, contestant, base)),
    )


def _relative(results: Results, measure: str, contestant: str, base: str) -> float | None:
    figures = (COMPARED[measure],) if measure in COMPARED else ("rate", "p50")
    ratios = (results.ratio(Value(measure, contestant, one), Value(measure, base, one)) for one in figures)
    return next((ratio for ratio in ratios if ratio is not None), None)


def _without_empty(rows: Sequence[Row]) -> list[Row]:
    used = [any(row[n] for row in rows[1:]) or n == 0 for n in range(len(rows[0]))]
    return [[cell for cell, use in zip(row, used, strict=True) if use] for row in rows]


def _targets(results: Results) -> Iterator[str]:
    yield ""
    rows = [_target(results, target) for target in TARGETS]
    yield from table([("target", "must", "aim", "reached", ""), *rows])


def _target(results: Results, target: Target) -> Row:
    sign = "≤" if target.aim < target.must else "≥"
    must, aim = (f"{sign} {short(bound, target.unit)}" for bound in (target.must, target.aim))
    verdict = target.verdict(results)
    return target.what, must, aim, short(target.reached(results), target.unit), SIGNS.get(verdict, verdict)


def _remarks(results: Results) -> Iterator[str]:
    yield ""
    yield from (f"missing: {name}: {reason}" for name, reason in results.missing.items())
    yield from (f"NOTE: {note}" for note in results.notes)
    if others := sorted(one.others for one in results.all() if one.others is not None):
        middle, most = others[len(others) // 2], others[-1]
        if middle > BUSY:
            yield "NOTE: the machine was busy with something else: these figures are provisional."
        yield f"Other processes took {middle:.0%} of the cores in the median round, {most:.0%} in the worst."
    yield "Figures are medians of rounds that take turns; ratios are medians of each round's ratio."
    yield "By CPU: what the ratio would be if only the processor time of server and PostgreSQL counted."
    yield "µs are CPU time an event or read. Only ratios say something about another machine."
