"""Teeth: each planted bug has to turn its drill red, and for its own reason: `python -m tests.drills.teeth`.

A drill that a broken collector passes proves nothing about a sound one. Where a bug is not caught, it is the probe
or the scenario that is wrong.
"""

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from tests.drills import planted
from tests.drills.containers import ContainerRig
from tests.drills.runner import Outcome, run
from tests.drills.scenario import FOLDERS, Containers, Expect, Kind, Processes, Scenario, Seconds, load

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
    rig: Kind = "processes"


def _reported(part: str, name: str) -> Count:
    return lambda outcome: int((outcome.report or {}).get(part, {}).get(name, 0))


def _by_liveness(outcome: Outcome) -> int:
    return sum(reason == "liveness check" for reasons in outcome.restarts.values() for reason in reasons)


FAILED = _reported("requests", "errors_without_retry")

TEETH = (
    Tooth("early_ack", "kill-postgres", "lost", _reported("events", "lost")),
    Tooth("redis_only", "spool-flush", "lost", _reported("events", "lost")),
    Tooth("no_identity", "postgres-lost-replies", "doubled", _reported("events", "doubled")),
    Tooth("serial_cursor", "postgres-uneven", "gaps in the tail", _reported("tail", "gaps")),
    Tooth("early_delete", "worker-kill", "lost", _reported("events", "lost")),
    Tooth("liveness_on_database", "postgres-down", "restarts", _by_liveness),
    Tooth("no_drain", "roll", "errors without retry", FAILED),
    Tooth("swallowed_error", "postgres-down", "lost", _reported("events", "lost")),
    Tooth("no_grace", "rollout", "errors without retry", FAILED, "compose"),
    Tooth("no_drain", "rollout", "errors without retry", FAILED, "compose"),
)


def main(words: Sequence[str]) -> int:
    """Run them; the exit code is 0 where all is as it has to be."""
    options = _options(words)
    teeth = [tooth for tooth in TEETH if tooth.rig == options.rig and tooth.bug in (options.only or [tooth.bug])]
    began = time.monotonic()
    bitten = sum(_bite(tooth, options.seed) for tooth in teeth)
    fine = all([*_controls(teeth, options.seed)] if options.control else [])
    print(f"caught {bitten} of {len(teeth)}, in {time.monotonic() - began:.0f} s, seed {options.seed}")
    return 0 if fine and bitten == len(teeth) else 1


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.drills.teeth", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--control",
        action="store_true",
        help="also: the sound collector in the same drills, and each bug without a fault; all have to be clean",
    )
    parser.add_argument(
        "--rig", choices=FOLDERS, default="processes", help="what is spoiled; compose needs Docker"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the schedules")
    parser.add_argument(
        "--only", nargs="+", choices=[tooth.bug for tooth in TEETH], metavar="BUG", help="these bugs alone"
    )
    return parser.parse_args(words)


def caught(tooth: Tooth, outcome: Outcome) -> bool:
    """Whether the verdict is red for the bug's own reason, and for none that nobody has planted."""
    return outcome.result == "red" and tooth.count(outcome) > 0 and _bit(outcome) and not _broke(outcome)


def clean(scenario: Scenario, outcome: Outcome) -> bool:
    """Whether the probe found nothing, nor the teeth of this scenario. How fast it was is not judged here."""
    kept = outcome.report is not None and outcome.report["verdict"] == "clean"
    counts = [tooth.count(outcome) for tooth in TEETH if tooth.scenario == scenario.name]
    return kept and not any(counts) and _bit(outcome) and not _broke(outcome)


def _bite(tooth: Tooth, seed: int) -> bool:
    outcome = _run(_scenario(tooth), tooth.bug, seed)
    words = f"{tooth.what} {tooth.count(outcome)} (all that was said: {'; '.join(outcome.reasons)})"
    return _tell(tooth.bug, tooth.scenario, outcome, words, "NOT CAUGHT", fine=caught(tooth, outcome))


def _controls(teeth: Sequence[Tooth], seed: int) -> Iterator[bool]:
    for name, tooth in {tooth.scenario: tooth for tooth in teeth}.items():
        outcome = _run(scenario := _scenario(tooth), None, seed)
        yield _tell("(sound)", name, outcome, "clean", "NOT CLEAN", fine=clean(scenario, outcome))
    for tooth in teeth:
        outcome = _run(calm := _calm(_scenario(tooth)), tooth.bug, seed)
        yield _tell(tooth.bug, f"{calm.name}, calm", outcome, "clean", "NOT CLEAN", fine=clean(calm, outcome))


def _calm(scenario: Scenario) -> Scenario:
    """No fault; of processes, one collector."""
    rig = replace(scenario.rig, collectors=1) if isinstance(scenario.rig, Processes) else scenario.rig
    load_ = replace(scenario.load, seconds=CALM)
    return replace(scenario, rig=rig, load=load_, faults=(), expect=Expect())


def _scenario(tooth: Tooth) -> Scenario:
    found = load(tooth.scenario, tooth.rig)
    return replace(found, load=replace(found.load, settle=SETTLE))


def _run(scenario: Scenario, bug: str | None, seed: int) -> Outcome:
    if isinstance(plan := scenario.rig, Containers):
        on_top = [planted.COMPOSE / f"{bug}.yaml"] if bug else []
        return asyncio.run(
            run(scenario, seed=seed, make_rig=lambda _, folder, __: ContainerRig(plan, folder, on_top))
        )
    module = "app" if bug is None else f"{planted.__name__} {bug}"
    return asyncio.run(run(scenario, module, seed=seed))


def _bit(outcome: Outcome) -> bool:
    """Whether the scenario was what it says: a verdict that is red leaves open whether its faults have bitten."""
    return outcome.report is not None and all(fault["bit"] for fault in outcome.report["faults"])


def _broke(outcome: Outcome) -> bool:
    """Whether a collector did what nobody has planted: then it was not the bug that was caught."""
    return any("tells of a bug" in reason for reason in outcome.reasons)


def _tell(who: str, scenario: str, outcome: Outcome, well: str, ill: str, *, fine: bool) -> bool:
    """Say it; what a drill has left behind stays only where somebody has to look at it."""
    why = f"{ill}: {outcome.result}: {'; '.join(outcome.reasons) or 'nothing was found'}"
    print(f"{who:22} {scenario:32} {well if fine else f'{why} ({outcome.kept})'}", flush=True)
    if fine and outcome.kept is not None:
        shutil.rmtree(outcome.kept)
    return fine


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
