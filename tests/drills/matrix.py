"""Matrix: what the drills have shown, a line a scenario, and what it adds up to."""

from collections.abc import Iterable, Sequence

from tests.drills.runner import Outcome

HEAD = ("scenario", "acked", "lost", "doubled", "longest gap", "errors, no retry", "p99 ms", "faults", "result")


def matrix(outcomes: Sequence[Outcome]) -> str:
    """A table in Markdown, which is also well aligned on a terminal."""
    rows = [HEAD, *map(_row, outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [_line(row, widths) for row in rows]
    rule = _line(["-" * width if n in (0, len(HEAD) - 1) else "-" * (width - 1) + ":" for n, width in
                  enumerate(widths)], widths)  # fmt: skip
    return "\n".join([lines[0], rule, *lines[1:]])


def total(outcomes: Iterable[Outcome]) -> str:
    """How much all of it together proves."""
    reports = [
        outcome.report for outcome in outcomes if outcome.report is not None and outcome.result != "invalid"
    ]
    events = sum(report["events"]["acknowledged"] for report in reports)
    lost = sum(report["events"]["lost"] for report in reports)
    doubled = sum(report["events"]["doubled"] for report in reports)
    requests = sum(report["proof"]["requests"] for report in reports)
    faults = sum(fault["bit"] for report in reports for fault in report["faults"])
    proof = f"0 of N proves less than {3 / requests:.2g} of them" if requests else "nothing was tested"
    return (
        f"{events:,} events in {requests:,} requests acknowledged over {faults} faults that bit: {lost} lost,"
        f" {doubled} doubled (N = {requests:,}: {proof}, at 95 %)"
    )


def _row(outcome: Outcome) -> tuple[str, ...]:
    if outcome.report is None:
        return (outcome.scenario, *["-"] * (len(HEAD) - 2), outcome.result)
    report = outcome.report
    events, faults = report["events"], report["faults"]
    gap = report["availability"]["longest_gap_seconds"]
    p99 = report["latency_ms"]["outside"]["p99"]
    bit = sum(fault["bit"] for fault in faults)
    return (
        outcome.scenario,
        f"{events['acknowledged']:,}",
        str(events["lost"]),
        str(events["doubled"]),
        "-" if gap is None else f"{gap:.2f} s",
        str(report["requests"]["errors_without_retry"]),
        "-" if p99 is None else f"{p99:.0f}",
        f"{bit} of {len(faults)}",
        outcome.result,
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    last = len(cells) - 1
    padded = [
        cell.ljust(width) if n in (0, last) else cell.rjust(width)
        for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"
