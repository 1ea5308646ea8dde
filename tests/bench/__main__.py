"""The command: `python -m tests.bench`, or `make bench ARGS=--short`."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tests.bench import growth, parts, worst, wrk
from tests.bench.arena import Arena, arena
from tests.bench.chart import chart
from tests.bench.machine import describe
from tests.bench.report import report
from tests.bench.rounds import Pace, say
from tests.bench.samples import Results
from tests.bench.targets import TARGETS
from tests.binaries import NotToBeHad
from tests.guardian import guardian

FULL = Pace(rounds=7, seconds=6)
SHORT = Pace(rounds=3, seconds=2)
SIZES = (100_000, 1_000_000, 10_000_000)

Part = Callable[[Arena, Pace], None]
PARTS: dict[str, Part] = {
    "post": parts.post,
    "batch": parts.batch,
    "get": parts.get,
    "worst": worst.measure,
    "start": parts.start,
}
GROWTH = "growth"


def main() -> int:
    """Measure, tell, and write it down."""
    options = parsed(sys.argv[1:])
    try:
        wrk.binary()
        results, machine = _measure(options)
    except NotToBeHad as reason:
        print(f"bench: {reason}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: aborted", file=sys.stderr)
        return 130
    _write(options.json, json.dumps(_document(results, machine, options), indent=1) + "\n")
    _write(options.svg, chart(results))
    print(report(results, machine))
    return 0


def _measure(options: argparse.Namespace) -> tuple[Results, Mapping[str, str]]:
    results, begin = Results(), time.monotonic()
    pace = _pace(options)
    with arena(options.only, results) as found:
        machine = describe(guardian().folder, found.postgres.install.version)
        for name, part in PARTS.items():
            if name in options.only:
                part(found, pace)
        found.check_stored()
        if GROWTH in options.only:
            found.leave()
            growth.measure(found, pace, options.rows)
    say(f"It took {time.monotonic() - begin:.0f} s.")
    return results, machine


def _pace(options: argparse.Namespace) -> Pace:
    pace = SHORT if options.short else FULL
    return replace(pace, rounds=options.rounds or pace.rounds, seconds=options.seconds or pace.seconds)


def _document(results: Results, machine: Mapping[str, str], options: argparse.Namespace) -> dict[str, Any]:
    targets = [
        {
            "what": target.what,
            "must": target.must,
            "aim": target.aim,
            "unit": target.unit,
            "reached": target.reached(results),
            "verdict": target.verdict(results),
        }
        for target in TARGETS
    ]
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine,
        "pace": asdict(_pace(options)),
        "targets": targets,
        "measures": results.document(),
        "missing": results.missing,
        "notes": results.notes,
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    say(f"Written: {path}")


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """Read the words of the command line; what is wrong ends the process with 2."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure the collector beside its peers, all started here, in rounds that take turns. "
        "Only the ratios mean anything, and only within one run.",
    )
    every = [*PARTS, GROWTH]
    parser.add_argument("--short", action="store_true", help="about five minutes: 3 rounds of 2 s, no growth")
    parser.add_argument("--only", type=_parts, help=f"parts, of {','.join(every)}; all, without growth if --short")
    parser.add_argument("--rounds", type=int, help=f"rounds of each contestant; {FULL.rounds}, or {SHORT.rounds}")
    parser.add_argument("--seconds", type=int, help=f"of load in a round; {FULL.seconds}, or {SHORT.seconds}")
    parser.add_argument("--rows", type=_rows, default=SIZES, help="sizes of the log that growth compares")
    parser.add_argument("--json", type=Path, default=Path("dist/bench.json"), help="for figures (%(default)s)")
    parser.add_argument("--svg", type=Path, default=Path("dist/bench.svg"), help="for the bar chart (%(default)s)")
    options = parser.parse_args(words)
    if options.only is None:
        options.only = frozenset(PARTS if options.short else every)
    return options


def _parts(text: str) -> frozenset[str]:
    found = frozenset(text.split(","))
    if unknown := found - {*PARTS, GROWTH}:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(sorted(unknown))}")
    return found


def _rows(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted(int(size.replace("_", "")) for size in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError("sizes are whole numbers, as in 100000,1000000") from None


if __name__ == "__main__":
    sys.exit(main())
