"""The command: `python -m tests.rollouts`, or `make rollouts ARGS="--times 20"`.

Where KUBECONFIG names a cluster, the Deployment that runs there is rolled out and undone by kubectl. Else the
rendered one is played on this machine, by processes. Exit code 0: no request failed and nothing was lost. 1: some
did, or was. 2: nothing was shown, or it was wrongly asked for. Without what renders manifests it says so, and 0.
"""

import argparse
import asyncio
import os
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.drills.matrix import matrix
from tests.drills.probing import Probe
from tests.drills.runner import MakeProbe, MakeRig, Outcome, run
from tests.drills.supervisor import Check, Policy
from tests.kube.rendered import RenderError
from tests.kube.tools import NotHere, NotInstalled
from tests.rollouts.cluster import Kubectl, PodProbe, on_cluster
from tests.rollouts.drill import plan, turns
from tests.rollouts.manifest import DRAINS, Deployment, Unplayable, read
from tests.rollouts.simulated import Stage, simulated
from tests.rollouts.source import PRODUCTION, manifests

SHORT: Mapping[str, Any] = {"times": 3, "pace": 3, "misconfigure": False}


def main(words: Sequence[str]) -> int:
    """Run the drill and tell."""
    options = _options(words)
    try:
        make_rig, make_probe = _on_cluster(options) if os.environ.get("KUBECONFIG") else _played(options)
    except NotHere as reason:
        print(f"rollouts: skipped: {reason}")
        return 0
    except (NotInstalled, RenderError, Unplayable, OSError) as reason:
        print(f"rollouts: {reason}", file=sys.stderr)
        return 2
    scenario = plan(turns(options.times, misconfigure=options.misconfigure), rate=options.rate)
    began = time.monotonic()
    outcome = asyncio.run(
        run(scenario, seed=secrets.randbelow(2**31), keep=options.keep, make_rig=make_rig, make_probe=make_probe)
    )
    _tell(outcome, time.monotonic() - began)
    if outcome.result == "skipped":
        return 2 if os.environ.get("KUBECONFIG") else 0
    return {"clean": 0, "red": 1}.get(outcome.result, 2)


def _on_cluster(options: argparse.Namespace) -> tuple[MakeRig, MakeProbe]:
    kubectl = Kubectl(options.namespace)
    print(f"{options.times} rollouts by kubectl, in namespace {options.namespace} of the cluster of KUBECONFIG")
    return partial(on_cluster, kubectl), partial(PodProbe, kubectl)


def _played(options: argparse.Namespace) -> tuple[MakeRig, MakeProbe]:
    asked = read(manifests(options.of))
    print(f"{options.times} rollouts of {options.of}, played on this machine")
    print(_described(asked, options.lag))
    if options.pace != 1:
        print(
            f"Every time of this is divided by {options.pace:g}, the lag too, so that their ratios are the"
            " manifest's; what a collector needs to start, to commit and to notice is not: to it, time is shorter."
        )
    if asked.left_out:
        print(f"Places of the cluster, for which this machine has its own, or none: {', '.join(asked.left_out)}")
    sys.stdout.flush()
    stage = Stage(deployment=asked.faster(options.pace), lag=options.lag / options.pace)
    return partial(simulated, stage), Probe


def _described(asked: Deployment, lag: float) -> str:
    policy = asked.template.policy
    leaving = ", ".join(f"{name} {asked.template.env.get(name, 'not set')}" for name in DRAINS)
    return (
        f"  replicas {asked.replicas}, maxSurge {asked.surge}, maxUnavailable {asked.unavailable},"
        f" minReadySeconds {asked.min_ready:g}, progressDeadlineSeconds {asked.progress_deadline:g}\n"
        f"  {_checks(policy)}\n"
        f"  preStop {policy.pre_stop:g} s, {leaving}, terminationGracePeriodSeconds {policy.grace:g};"
        f" endpoints change {lag:g} s late"
    )


def _checks(policy: Policy) -> str:
    named = (("startup", policy.startup), ("liveness", policy.liveness), ("readiness", policy.readiness))
    return "; ".join(f"{which}: {_check(check)}" for which, check in named)


def _check(check: Check | None) -> str:
    if check is None:
        return "none"
    return f"{check.path} every {check.period:g} s, {check.timeout:g} s long, {check.failures} failures"


def _tell(outcome: Outcome, took: float) -> None:
    report = outcome.report
    for fault in report["faults"] if report else ():
        print(f"  {fault['kind']:12} {fault['effect'] or 'nothing was seen of it'}")
    for reason in outcome.reasons:
        print(f"  ! {reason}")
    if outcome.kept:
        print(f"  ! ledger, fault log and logs: {outcome.kept}")
    print(f"\n{matrix([outcome])}\n")
    if report:
        requests, events = report["requests"], report["events"]
        failed, lost, doubled = requests["errors_without_retry"], events["lost"], events["doubled"]
        print(f"{requests['sent']:,} requests: {failed} failed, {lost} lost, {doubled} doubled", end="; ")
    # Where something else had the machine, times say little.
    print(f"{took:.0f} s, load {os.getloadavg()[0] / (os.cpu_count() or 1):.1f} a core")


def _options(words: Sequence[str]) -> argparse.Namespace:
    about = (__doc__ or "").split("\n\n")[1]
    parser = argparse.ArgumentParser(
        prog="python -m tests.rollouts", description=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    names = parser.add_argument
    names("--times", type=int, default=20, metavar="N", help="so many rollouts, an update and its undo in turn")
    names("--short", action="store_true", help=f"the same as {_in_words(SHORT)}")
    names(
        "--of", default=PRODUCTION, metavar="SOURCE", help="overlays/NAME, the chart's values-NAME.yaml, or a file"
    )
    names("--pace", type=float, default=4.0, metavar="X", help="divide all times by X; 1: as the manifest says")
    names("--lag", type=float, default=5.0, metavar="S", help="seconds, before that, until endpoints change")
    names("--rate", type=int, default=100, metavar="R", help="requests a second")
    also = "at the end, also a version that cannot serve: it has to be stuck, and is undone"
    names("--misconfigure", action=argparse.BooleanOptionalAction, default=True, help=also)
    names("--namespace", default="collector-staging", help="on a cluster: where the Deployment is")
    names("--keep", type=Path, metavar="DIR", help="where what is not clean leaves its ledger and logs")
    if parser.parse_args(words).short:
        parser.set_defaults(**SHORT)
    return parser.parse_args(words)


def _in_words(options: Mapping[str, object]) -> str:
    return " ".join(f"--no-{name}" if value is False else f"--{name} {value}" for name, value in options.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
