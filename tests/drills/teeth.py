"""Teeth: each planted bug has to turn its drill red, and for its own reason: `python -m tests.drills.teeth`.

A drill that a broken collector passes proves nothing about a sound one. Where a bug is not caught, it is the probe
or the scenario that is wrong.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from tests.drills import planted
from tests.drills.runner import Outcome, run
from tests.drills.scenario import Expect, Scenario, Seconds, load

SEED = 1
CALM = Seconds(6)  # of load where there is no fault
SETTLE = Seconds(10)  # what is lost does not arrive, however long somebody waits for it
Count = Callable[[Outcome], int]


@dataclass(frozen=True, slots=True)
class Tooth:
    """A bug, the scenario that has to find it, and by what: `count` of `what` has to be above 0."""

    bug: str
    scenario: str
    what: str
    count: Count


def _reported(part: str, name: str) -> Count:
    return lambda outcome: int((outcome.report or {}).get(part, {}).get(name, 0))


def _by_liveness(outcome: Outcome) -> int:
    return sum(reason == "liveness check" for reasons in outcome.restarts.values() for reason in reasons)


TEETH = (
    Tooth("early_ack", "kill-postgres", "lost", _reported("events", "lost")),
    Tooth("redis_only", "spool-flush", "lost", _reported("events", "lost")),
    Tooth("no_identity", "postgres-lost-replies", "doubled", _reported("events", "doubled")),
    Tooth("serial_cursor", "postgres-uneven", "gaps in the tail", _reported("tail", "gaps")),
    Tooth("early_delete", "worker-kill", "lost", _reported("events", "lost")),
    Tooth("liveness_on_database", "postgres-down", "restarts", _by_liveness),
    Tooth("no_drain", "roll", "errors without retry", _reported("requests", "errors_without_retry")),
    Tooth("swallowed_error", "postgres-down", "lost", _reported("events", "lost")),
)


def main(words: Sequence[str]) -> int:
    """Run them; the exit code is 0 where all is as it has to be."""
    options = _options(words)
    teeth = [tooth for tooth in TEETH if not options.only or tooth.bug in options.only]
    began = time.monotonic()
    caught = sum(_caught(tooth) for tooth in teeth)
    fine = all([*_controls(teeth)] if options.control else [])
    print(f"caught {caught} of {len(teeth)}, in {time.monotonic() - began:.0f} s")
    return 0 if fine and caught == len(teeth) else 1


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.drills.teeth", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--control",
        action="store_true",
        help="also: the sound collector in the same drills, and each bug without a fault; all have to be clean",
    )
    parser.add_argument("--only", nargs="+", choices=planted.BUGS, metavar="BUG", help="these bugs alone")
    return parser.parse_args(words)


def _caught(tooth: Tooth) -> bool:
    outcome = _run(_scenario(tooth.scenario), tooth.bug)
    count = tooth.count(outcome)
    caught = outcome.result == "red" and count > 0 and _bit(outcome) and not _broke(outcome)
    words = f"{tooth.what} {count} (all that was said: {'; '.join(outcome.reasons)})"
    _tell(tooth.bug, tooth.scenario, words if caught else f"NOT CAUGHT: {_words(outcome)}")
    return caught


def _controls(teeth: Sequence[Tooth]) -> Iterator[bool]:
    for name in dict.fromkeys(tooth.scenario for tooth in teeth):
        yield _clean("(sound)", _scenario(name))
    for tooth in teeth:
        yield _clean(tooth.bug, _calm(_scenario(tooth.scenario)))


def _clean(who: str, scenario: Scenario) -> bool:
    """Whether the probe found nothing, and the teeth of this scenario nothing either: how fast it was is not
    judged here."""
    outcome = _run(scenario, who if who in planted.BUGS else None)
    counts = {tooth.what: tooth.count(outcome) for tooth in TEETH if tooth.scenario == scenario.name}
    kept = outcome.report is not None and outcome.report["verdict"] == "clean"
    clean = kept and not any(counts.values()) and _bit(outcome) and not _broke(outcome)
    what = scenario.name if scenario.faults else f"{scenario.name}, calm"
    _tell(who, what, "clean" if clean else f"NOT CLEAN: {_words(outcome)}")
    return clean


def _calm(scenario: Scenario) -> Scenario:
    """One collector, no fault."""
    rig, load_ = replace(scenario.rig, collectors=1), replace(scenario.load, seconds=CALM)
    return replace(scenario, rig=rig, load=load_, faults=(), expect=Expect())


def _scenario(name: str) -> Scenario:
    found = load(name)
    return replace(found, load=replace(found.load, settle=SETTLE))


def _run(scenario: Scenario, bug: str | None) -> Outcome:
    module = "app" if bug is None else f"{planted.__name__} {bug}"
    return asyncio.run(run(scenario, module, seed=SEED))


def _bit(outcome: Outcome) -> bool:
    """Whether the scenario was what it says: a verdict that is red leaves open whether its faults have bitten."""
    return outcome.report is not None and all(fault["bit"] for fault in outcome.report["faults"])


def _broke(outcome: Outcome) -> bool:
    """Whether a collector did what nobody has planted: then it was not the bug that was caught."""
    return any("tells of a bug" in reason for reason in outcome.reasons)


def _words(outcome: Outcome) -> str:
    return f"{outcome.result}: {'; '.join(outcome.reasons) or 'nothing was found'} ({outcome.kept})"


def _tell(bug: str, scenario: str, what: str) -> None:
    print(f"{bug:22} {scenario:32} {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
