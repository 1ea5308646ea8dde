"""Drill: what is done to a Deployment while `collector probe` loads it without retries, and what has to come of it."""

from collections.abc import Sequence

from tests.drills.scenario import Expect, Fault, Load, Scenario, Seconds

STARTS = ("update", "undo")  # in turn
TAKES = 2.0  # seconds of load at least; it goes on until all is done


def plan(turns: Sequence[str], *, rate: int, name: str = "rollouts") -> Scenario:
    """These turns one after the other, under so many requests a second, of which none may fail.

    What /readyz says of itself is not judged: one that leaves is unready and accepts, as it should.
    """
    return Scenario(
        name=name,
        shows="No request fails while every pod is replaced, though nobody retries.",
        load=Load(rate=rate, seconds=Seconds(TAKES), retry=False),
        # A target has one turn at a time; these are seconds apart so that they keep their order.
        faults=tuple(Fault(at=Seconds(1 + n), target="deployment", do=turn) for n, turn in enumerate(turns)),
        expect=Expect(errors_without_retry=0, statuses=(201,), lies=None),
    )


def turns(times: int, *, misconfigure: bool) -> list[str]:
    """So many updates and undos in turn; then a version that cannot serve, if asked for."""
    return [STARTS[n % 2] for n in range(times)] + ["misconfigure"] * misconfigure
