"""Scenario files: they say nothing that the rig does not know, and what they say wrongly is refused."""

import pytest

from tests.drills import containers, processes, scenario
from tests.drills.scenario import FOLDERS, Containers, Processes, Scenario, Seconds

SHORT_SET = 150.0  # seconds that all of it may take
AROUND = 9.0  # seconds that a drill takes beside its load

ALL = [scenario.load(name) for name in scenario.names()]
EVERYWHERE = [scenario.load(name, kind) for kind in FOLDERS for name in scenario.names(kind)]
scenarios = pytest.mark.parametrize("one", EVERYWHERE, ids=lambda one: f"{type(one.rig).__name__}-{one.name}")


def offers(rig: Processes | Containers) -> dict[str, frozenset[str]]:
    return containers.offers(rig) if isinstance(rig, Containers) else processes.offers(rig)


@scenarios
def test_it_injects_only_what_its_rig_offers(one: Scenario) -> None:
    offered = offers(one.rig)
    unknown = [
        f"{fault.do} {fault.target}"
        for fault in one.faults
        if fault.target not in offered or fault.do not in offered[fault.target]
    ]
    assert not unknown, f"{one.name}: not to be had: {unknown}; there is {offered}"


@scenarios
def test_its_faults_begin_while_the_load_lasts(one: Scenario) -> None:
    assert all(0 < fault.at < one.load.seconds for fault in one.faults)
    assert one.shows.endswith(".")


def test_the_baseline_has_no_fault_and_forgives_nothing() -> None:
    one = scenario.load("baseline")
    assert one.faults == ()
    assert not any((one.expect.errors_without_retry, one.expect.lies, one.expect.restarts))
    assert None not in (one.expect.errors_without_retry, one.expect.lies)
    assert one.short


def test_the_short_set_is_short() -> None:
    short = [one for one in ALL if one.short]
    assert len(short) >= 5
    assert sum(one.load.seconds + AROUND for one in short) < SHORT_SET


def test_the_short_set_of_containers_is_what_users_fear_most() -> None:
    short = {one.name for one in EVERYWHERE if isinstance(one.rig, Containers) and one.short}
    assert short == {"kill-replica", "rollout", "postgres-away-briefly"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('shows = "a"\nshwos = "b"', "shwos"),
        ('shows = "a"\n[rig]\ncolectors = 2', "colectors"),
        ('shows = "a"\n[rig]\ncollectors = 0', "collectors"),
        ('shows = "a"\n[rig]\nthrough = ["nowhere"]', "nowhere"),
        ('shows = "a"\n[load]\nseconds = 3', "such as 2s"),
        ('shows = "a"\n[load]\nseconds = "3 s"', "3 s"),
        ('shows = "a"\n[expect]\nlongest_gap = "-1s"', "-1s"),
        ('shows = "a"\n[[faults]]\nat = "1s"\ntarget = "postgres"', "do"),
        ("shows = ", "end of document"),
        ("", "shows"),
    ],
)
def test_what_is_wrong_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(ValueError, match="odd: ") as caught:
        scenario.parse("odd", text)
    assert says in str(caught.value)


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("2s", 2), ("1.5s", 1.5), ("2m", 120)])
def test_durations_have_units(text: str, seconds: float) -> None:
    assert Seconds.parse(text) == seconds


def test_a_scenario_that_there_is_not_is_said() -> None:
    with pytest.raises(ValueError, match="there is no scenario 'nonesuch'"):
        scenario.load("nonesuch")
