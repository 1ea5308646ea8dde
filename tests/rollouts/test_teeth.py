"""Teeth: every mutated manifest makes its drill fail, and what counts as that."""

import asyncio

import pytest

from tests.drills.runner import Outcome, Result
from tests.kube.rendered import kustomization
from tests.rollouts.mutations import MUTATIONS, Mutation
from tests.rollouts.teeth import caught, drilled


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
async def test_a_manifest_without_a_guarantee_makes_it_fail(mutation: Mutation) -> None:
    mutated = mutation.of(kustomization("overlays/production"), replicas=1)
    outcome = await asyncio.to_thread(drilled, mutated, mutation.turns, name=mutation.name)
    assert caught(outcome), outcome


def outcome(result: Result = "red", *, failed: int = 1, reason: str = "", restarts: int = 0) -> Outcome:
    report = {"requests": {"errors_without_retry": failed}}
    restarted = {"pod-1": ["liveness check"] * restarts}
    return Outcome(scenario="no-drain", result=result, report=report, reasons=[reason], restarts=restarted)


def test_only_requests_that_have_failed_count() -> None:
    assert caught(outcome())
    assert not caught(outcome(failed=0))
    assert not caught(outcome("invalid"))
    assert not caught(outcome("clean", failed=0))
    assert not caught(outcome(reason="the log of pod-1 tells of a bug: Traceback"))
    assert not caught(outcome(restarts=1))
    assert not caught(Outcome(scenario="no-drain", result="invalid"))
