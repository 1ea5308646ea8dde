"""Teeth: each mutated manifest has to make its drill fail: `python -m tests.rollouts.teeth`.

A drill that a manifest without a guarantee passes proves nothing about one that has it.
"""

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import Sequence
from functools import partial

from tests.drills.runner import Outcome, run
from tests.kube.rendered import Manifest, RenderError
from tests.kube.tools import NotHere
from tests.rollouts.drill import plan
from tests.rollouts.manifest import read
from tests.rollouts.mutations import MUTATIONS, Mutation, changed, nothing
from tests.rollouts.simulated import Stage, simulated
from tests.rollouts.source import PRODUCTION, manifests

PACE, LAG, RATE, REPLICAS = 4.0, 5.0, 100, 2


def main(words: Sequence[str]) -> int:
    """Run them; the exit code is 0 where all is as it has to be."""
    options = _options(words)
    try:
        sound = manifests(options.of)
    except (NotHere, RenderError, OSError) as reason:
        print(f"rollouts: {reason}", file=sys.stderr)
        return 2
    chosen = [one for one in MUTATIONS if not options.only or one.name in options.only]
    began = time.monotonic()
    bitten = sum(_bite(one, sound) for one in chosen)
    fine = all([_control(turns, sound) for turns in {one.turns for one in chosen}] if options.control else [])
    print(f"caught {bitten} of {len(chosen)}, in {time.monotonic() - began:.0f} s")
    return 0 if fine and bitten == len(chosen) else 1


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.rollouts.teeth", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--of", default=PRODUCTION, metavar="SOURCE", help="what is mutated, as for tests.rollouts"
    )
    parser.add_argument("--control", action="store_true", help="also: the sound manifests in the same drills")
    parser.add_argument("--only", nargs="+", choices=[one.name for one in MUTATIONS], metavar="NAME", help="these")
    return parser.parse_args(words)


def drilled(found: Sequence[Manifest], turns: Sequence[str], *, name: str, pace: float = PACE) -> Outcome:
    """A drill of these manifests, with these turns."""
    stage = Stage(deployment=read(found).faster(pace), lag=LAG / pace)
    return asyncio.run(run(plan(turns, rate=RATE, name=name), make_rig=partial(simulated, stage)))


def caught(outcome: Outcome) -> bool:
    """Whether requests have failed in a drill that shows something, and nothing broke that nobody has mutated."""
    broke = any("tells of a bug" in reason for reason in outcome.reasons) or any(outcome.restarts.values())
    return outcome.result == "red" and failed(outcome) > 0 and not broke


def failed(outcome: Outcome) -> int:
    """Requests that were not acknowledged at once."""
    return int(outcome.report["requests"]["errors_without_retry"]) if outcome.report else 0


def _bite(mutation: Mutation, sound: Sequence[Manifest]) -> bool:
    outcome = drilled(mutation.of(sound, replicas=REPLICAS), mutation.turns, name=mutation.name)
    return _tell(mutation.name, mutation.breaks, outcome, fine=caught(outcome))


def _control(turns: Sequence[str], sound: Sequence[Manifest]) -> bool:
    outcome = drilled(changed(sound, nothing, REPLICAS), turns, name="-".join(turns))
    return _tell("(sound)", " ".join(turns), outcome, fine=outcome.result == "clean")


def _tell(who: str, what: str, outcome: Outcome, *, fine: bool) -> bool:
    """Say it; what a drill has left behind stays only where somebody has to look at it."""
    asked = outcome.report["requests"]["sent"] if outcome.report else 0
    why = "" if fine else f"  NOT AS IT HAS TO BE: {outcome.result}: {'; '.join(outcome.reasons)} ({outcome.kept})"
    print(f"{who:20} {failed(outcome):5,} of {asked:5,} requests failed: {what}{why}", flush=True)
    if fine and outcome.kept is not None:
        shutil.rmtree(outcome.kept)
    return fine


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
