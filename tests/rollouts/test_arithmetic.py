"""The arithmetic of a rolling update: shares, bounds, and that it comes to an end within them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drills.supervisor import Policy
from tests.rollouts.arithmetic import Bounds, Counts, bounds, grown, shrunk
from tests.rollouts.manifest import Deployment, Portion, Template

PORTIONS = st.one_of(st.integers(0, 6), st.integers(0, 100).map("{}%".format))


def deployment(replicas: int, surge: Portion, unavailable: Portion) -> Deployment:
    template = Template(env={}, policy=Policy())
    return Deployment(
        replicas=replicas,
        surge=surge,
        unavailable=unavailable,
        min_ready=0,
        progress_deadline=1,
        template=template,
    )


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "most", "least"),
    [
        (4, 1, 0, 5, 4),
        (1, 1, 0, 2, 1),
        (10, "25%", "25%", 13, 8),  # 2.5 is 3 more, and 2 less
        (4, "25%", "25%", 5, 3),
        (1, "25%", "25%", 2, 1),
        (3, "1%", "99%", 4, 1),
        (5, 0, "10%", 5, 4),  # nothing and nothing: one may be away
        (5, 0, 0, 5, 4),
        (2, 0, 7, 2, 0),
    ],
)
def test_a_surge_is_rounded_up_and_what_may_be_away_down(
    replicas: int, surge: Portion, unavailable: Portion, most: int, least: int
) -> None:
    expected = Bounds(replicas=replicas, most=most, least_available=least)
    assert bounds(deployment(replicas, surge, unavailable)) == expected


def counts(wanted: int, available: int | None = None) -> Counts:
    return Counts(wanted=wanted, available=wanted if available is None else available)


FOUR = Bounds(replicas=4, most=5, least_available=4)


@pytest.mark.parametrize(
    ("new", "old", "wanted"),
    [
        (counts(0), [], 4),  # the first version at once
        (counts(0), [counts(4)], 1),
        (counts(1, 0), [counts(4)], 1),  # no room
        (counts(1), [counts(3)], 2),  # one leaves, and counts no longer
        (counts(2), [counts(1), counts(1)], 3),
        (counts(4), [counts(1)], 4),
        (counts(6), [], 4),
    ],
)
def test_the_new_version_grows_into_what_is_free(new: Counts, old: list[Counts], wanted: int) -> None:
    assert grown(FOUR, new, old) == wanted


@pytest.mark.parametrize(
    ("new", "old", "left"),
    [
        (counts(1, 0), [counts(4)], [4]),  # not before the new one is available
        (counts(1, 1), [counts(4)], [3]),
        (counts(2, 1), [counts(3)], [3]),
        (counts(4), [counts(1, 0)], [0]),  # of a version that was stuck
        (counts(3, 3), [counts(1, 0), counts(1)], [0, 1]),  # who serves nobody goes first
        (counts(0), [counts(1, 0), counts(4)], [0, 4]),
        (counts(4), [counts(1), counts(1)], [0, 0]),
        (counts(1, 0), [counts(4, 3)], [4]),  # one that is away already is not to be followed by another
    ],
)
def test_the_old_ones_shrink_as_far_as_enough_are_available(
    new: Counts, old: list[Counts], left: list[int]
) -> None:
    assert shrunk(FOUR, new, old) == left


@given(replicas=st.integers(1, 12), surge=PORTIONS, unavailable=PORTIONS)
def test_a_rollout_stays_within_its_bounds_and_comes_to_an_end(
    replicas: int, surge: Portion, unavailable: Portion
) -> None:
    keep = bounds(deployment(replicas, surge, unavailable))
    new, old = counts(0), counts(replicas)
    for _ in range(4 * replicas + 4):
        new = Counts(wanted=grown(keep, new, [old]), available=new.available)
        (left,) = shrunk(keep, new, [old])
        old = counts(left)
        assert new.wanted + old.wanted <= keep.most
        assert new.available + old.available >= keep.least_available
        new = counts(new.wanted)  # all come up until the next look
    assert (new.wanted, old.wanted) == (replicas, 0)
