"""`python -m tests.drills.page [FILE]`: the tables of docs/drills.md, and the README's matrix, made of them.

FILE is what `make drills ARGS="--json FILE"` has written, or with `--rig compose` `make drills-compose`: what a
scenario has shown there takes the place of what it had shown. Without one only the matrix is made again.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.drills.scenario import Kind

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "drills.md"
README = ROOT / "README.md"
HEADS: dict[Kind, str] = {"processes": "## On processes", "compose": "## On containers"}
COLUMNS = ("scenario", "acknowledged", "lost", "doubled", "longest gap", "errors without retry", "faults that bit")
MADE = re.compile(r"(<!-- matrix: made by `python -m tests\.drills\.page` -->\n).*?(<!-- end -->)", re.DOTALL)


class Row(NamedTuple):
    """What a drill has shown, as text."""

    scenario: str
    acknowledged: str
    lost: str
    doubled: str
    gap: str
    errors: str
    faults: str


Rows = Mapping[str, Row]  # by scenario


class Broken(NamedTuple):
    """A line of the README's matrix: which scenarios break this, on each rig."""

    what: str
    processes: tuple[str, ...] = ()
    compose: tuple[str, ...] = ()


LINES = (
    Broken("nothing", ("baseline",)),
    Broken("the only process is killed", ("kill-sqlite", "kill-postgres"), ("kill-sole",)),
    Broken("one of several is killed, or frozen", ("kill-replica", "freeze-replica"), ("kill-replica",)),
    Broken("the only process is told to leave", ("terminate",)),
    Broken("a rollout, images that are no good, and back", ("roll",), ("rollout", "rollback")),
    Broken("a new version with its schema, and back", ("upgrade",)),
    Broken("the database's password is changed", (), ("rotate-password",)),
    Broken("the whole machine ends", (), ("reboot",)),
    Broken("PostgreSQL crashes, or is restarted", ("postgres-crash", "postgres-restart"), ("postgres-restart",)),
    Broken("PostgreSQL is away, no spool", ("postgres-down",)),
    Broken("PostgreSQL is away, with a spool", ("postgres-down-spool",),
           ("postgres-away", "postgres-away-briefly")),
    Broken("the way to PostgreSQL: reset, mute, slow",
           ("postgres-reset", "postgres-stall", "postgres-delay", "postgres-uneven")),
    Broken("replies are lost on their way", ("clients-lost-replies", "postgres-lost-replies", "clients-reset")),
    Broken("the log is locked; the synchronous standby is lost", ("postgres-lock", "postgres-lose-standby")),
    Broken("the disk is full", ("disk-full", "postgres-disk-full"), ("disk-full",)),
    Broken("Redis is away, frozen, flushed", ("cache-flush", "cache-shutdown", "cache-stall"), ("redis-restart",)),
    Broken("the spool's Redis crashes, is flushed, is full", ("spool-crash", "spool-flush", "spool-redis"),
           ("spool-crash",)),
    Broken("the worker is killed as it drains", ("worker-kill",), ("worker-kill",)),
)  # fmt: skip


def rows(page: str, kind: Kind) -> Rows:
    """The rows of the page's table for this rig."""
    _, table, _ = _around(page, kind)
    cells = (
        [cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines(keepends=True)[2:]
    )
    return {line[0]: Row(*line) for line in cells}


def with_rows(page: str, kind: Kind, new: Rows) -> str:
    """The page, with these in the place of those of the same scenarios."""
    before, _, after = _around(page, kind)
    return before + _table(COLUMNS, sorted({**rows(page, kind), **new}.values())) + after


def of_report(outcome: Mapping[str, Any]) -> Row:
    """What one outcome of the drills' JSON shows; it has a report."""
    report = outcome["report"]
    events, faults = report["events"], report["faults"]
    bit = sum(fault["bit"] for fault in faults)
    return Row(
        outcome["scenario"],
        f"{events['acknowledged']:,}",
        str(events["lost"]),
        str(events["doubled"]),
        f"{report['availability']['longest_gap_seconds']:.2f} s",
        f"{report['requests']['errors_without_retry']:,}",
        f"{bit} of {len(faults)}",
    )


def matrix(page: str) -> str:
    """What is broken against the rigs: events acknowledged, requests that failed at first, what was lost."""
    on_processes, in_containers = rows(page, "processes"), rows(page, "compose")
    beside = ("failed at first", "longest gap")
    return _table(
        ("what is broken", *("processes", *beside), *("containers", *beside), "lost", "doubled"),
        [tuple(_line(one, on_processes, in_containers)) for one in LINES],
    )


def with_matrix(readme: str, page: str) -> str:
    """The README with the matrix of this page."""
    made = matrix(page)
    return MADE.sub(lambda found: f"{found[1]}{made}{found[2]}", readme)


def _line(one: Broken, on_processes: Rows, in_containers: Rows) -> Iterator[str]:
    yield one.what
    shown: list[Row] = []
    for names, there in ((one.processes, on_processes), (one.compose, in_containers)):
        these = [there[name] for name in names]
        yield _sum(row.acknowledged for row in these) if these else ""
        yield _sum(row.errors for row in these) if these else ""
        yield max((row.gap for row in these), key=_seconds) if these else ""
        shown += these
    yield _sum(row.lost for row in shown)
    yield _sum(row.doubled for row in shown)


def _sum(texts: Iterable[str]) -> str:
    return f"{sum(int(text.replace(',', '')) for text in texts):,}"


def _seconds(text: str) -> float:
    return float(text.removesuffix(" s"))


def _around(page: str, kind: Kind) -> tuple[str, str, str]:
    """The table of a rig, and what is before and after it."""
    begin = page.index("| scenario |", page.index(HEADS[kind]))
    end = page.index("\n\n", begin) + 1
    return page[:begin], page[begin:end], page[end:]


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, rule, *lines))


def main(words: Sequence[str]) -> int:
    """Write page and README anew."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.drills.page", description=(__doc__ or "").split("\n\n")[1]
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE")
    parser.add_argument("--rig", choices=HEADS, default="processes", help="on which the drills were")
    options = parser.parse_args(words)
    outcomes = json.loads(options.file.read_text()) if options.file else []
    new = {one["scenario"]: of_report(one) for one in outcomes if one["report"] is not None}
    page = with_rows(PAGE.read_text(), options.rig, new)
    PAGE.write_text(page)
    README.write_text(with_matrix(README.read_text(), page))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
