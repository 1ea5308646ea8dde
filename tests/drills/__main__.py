"""The command: `python -m tests.drills`, or `make drills ARGS=--short`; `--rig compose` is `make drills-compose`.

Exit code 0: all is clean (or cannot be had on this machine). 1: a promise or an expectation was broken. 2: a drill
has shown nothing, or was wrongly asked for.
"""

import argparse
import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.drills import scenario
from tests.drills.matrix import matrix, total
from tests.drills.runner import Outcome, run
from tests.drills.scenario import Scenario

MODULE = "app"


def main() -> int:
    """Run the drills that were asked for, one after the other, and tell."""
    options = _options(sys.argv[1:])
    try:
        chosen = _chosen(options)
    except ValueError as error:
        print(f"drills: {error}", file=sys.stderr)
        return 2
    if options.list:
        _list(chosen)
        return 0
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    patient = "" if options.patience == 1 else f", with times {options.patience:g} times as long as they should be"
    by = options.module if options.rig == "processes" else "deploy/compose"
    print(f"{len(chosen)} scenarios, {options.times} times, seed {seed}, by {by}{patient}", flush=True)
    began = time.monotonic()
    outcomes = [_drilled(one, options, seed + round_) for round_ in range(options.times) for one in chosen]
    print(f"\n{matrix(outcomes)}\n\n{total(outcomes)}\n{time.monotonic() - began:.0f} s, seed {seed}")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1, default=str) + "\n")
    results = {outcome.result for outcome in outcomes}
    return 1 if "red" in results else 2 if "invalid" in results else 0


def _drilled(one: Scenario, options: argparse.Namespace, seed: int) -> Outcome:
    began = time.monotonic()
    print(f"{one.name} ...", end=" ", flush=True)
    outcome = asyncio.run(run(one, options.module, seed=seed, keep=options.keep, patience=options.patience))
    # Where something else had the machine, times say little.
    load = f"{os.getloadavg()[0] / (os.cpu_count() or 1):.1f}"
    print(f"{outcome.result}, {time.monotonic() - began:.0f} s, load {load} a core", flush=True)
    for fault in outcome.report["faults"] if outcome.report else ():
        print(f"    {fault['kind']} {fault['target']}: {fault['effect'] or 'nothing was seen of it'}")
    for reason in outcome.reasons:
        print(f"  ! {reason}")
    if outcome.kept:
        print(f"  ! ledger, fault log and logs: {outcome.kept}", flush=True)
    return outcome


def _chosen(options: argparse.Namespace) -> list[Scenario]:
    found = [scenario.load(name, options.rig) for name in options.only or scenario.names(options.rig)]
    return [one for one in found if one.short or not options.short]


def _list(scenarios: Sequence[Scenario]) -> None:
    for one in scenarios:
        print(f"{one.name:24}{'short ' if one.short else '      '}{one.shows}")


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=(__doc__ or "").split("\n\n")[1])
    names = parser.add_argument
    names("--rig", choices=scenario.FOLDERS, default="processes", help="what is broken; compose needs Docker")
    names("--only", metavar="A,B", type=lambda text: text.split(","), help="these scenarios")
    names("--short", action="store_true", help="the short set")
    names("--seed", type=int, help="of the schedule; printed, so that a run can be had again")
    names("--times", type=int, default=1, metavar="K", help="so many rounds, each with the next seed")
    names(
        "--module", default=MODULE, help='what collectors and workers are started by: "tests.drills.planted BUG"'
    )
    names("--json", type=Path, metavar="FILE", help="write all that was measured")
    names("--patience", type=float, default=1, metavar="X", help="for a busy machine: expect X times the times")
    names("--keep", type=Path, metavar="DIR", help="where what is not clean leaves its ledger and logs")
    names("--list", action="store_true", help="list the scenarios")
    options = parser.parse_args(words)
    if options.rig == "compose" and options.module != MODULE:
        parser.error("--module is for processes: containers are started by their image")
    return options


if __name__ == "__main__":
    sys.exit(main())
