"""Teeth: what counts as caught, and what does not although the verdict is red."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.drills.planted import BUGS, COMPOSE
from tests.drills.runner import Outcome, Result
from tests.drills.scenario import load
from tests.drills.teeth import TEETH, Tooth, caught, clean

LOSES = next(tooth for tooth in TEETH if tooth.what == "lost")
RESTARTS = next(tooth for tooth in TEETH if tooth.what == "restarts")
BITTEN, NOT_BITTEN = {"bit": True}, {"bit": False}


def outcome(
    result: Result = "red", *, lost: int = 0, faults: Sequence[dict[str, bool]] = (BITTEN,), **more: Any
) -> Outcome:
    report = {"verdict": "broken" if lost else "clean", "events": {"lost": lost}, "faults": list(faults)}
    return Outcome(scenario=LOSES.scenario, result=result, report=report, **more)


def test_every_bug_has_its_scenario() -> None:
    assert sorted(tooth.bug for tooth in TEETH if tooth.rig == "processes") == sorted(BUGS)
    spoiled = {path.stem for path in COMPOSE.glob("*.yaml")}
    assert {tooth.bug for tooth in TEETH if tooth.rig == "compose"} == spoiled
    for tooth in TEETH:
        assert load(tooth.scenario, tooth.rig).faults


def test_its_own_reason_is_caught() -> None:
    assert caught(LOSES, outcome(lost=1))
    assert caught(RESTARTS, outcome(restarts={"collector-1": ["liveness check"]}))


@pytest.mark.parametrize(
    ("tooth", "found"),
    [
        (LOSES, outcome("clean")),
        (LOSES, outcome(reasons=["longest gap in s: 3, at most 2"])),
        (LOSES, outcome("invalid", lost=1)),
        (LOSES, outcome(lost=1, faults=[BITTEN, NOT_BITTEN])),
        (LOSES, outcome(lost=1, reasons=["lost 1", "the log of 1-serve tells of a bug: Traceback"])),
        (LOSES, Outcome(scenario=LOSES.scenario, result="invalid", reasons=["ProbeError"])),
        (RESTARTS, outcome(restarts={"collector-1": ["exit code 1"]})),
    ],
)
def test_another_reason_is_not(tooth: Tooth, found: Outcome) -> None:
    assert not caught(tooth, found)


def test_the_control_judges_promises_and_not_speed() -> None:
    scenario = load(LOSES.scenario)
    assert clean(scenario, outcome("red", reasons=["longest gap in s: 3, at most 2"]))
    assert not clean(scenario, outcome(lost=1))
    assert not clean(scenario, outcome("invalid", faults=[NOT_BITTEN]))
    assert not clean(scenario, Outcome(scenario=LOSES.scenario, result="invalid"))
