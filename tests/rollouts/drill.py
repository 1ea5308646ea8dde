"""Drill: what is done to a Deployment while `collector probe` loads it without retries, and what has to be.

A rig of rollouts has one target, the Deployment, and these verbs: "update" to a version that is the same in all
but its name; "undo"; "misconfigure", which is a version that cannot serve, until it is stuck, and its undo.
"""

from collections.abc import Awaitable, Callable, Sequence

from tests.drills.rig import Targets, Verb
from tests.drills.scenario import Expect, Fault, Load, Scenario, Seconds

Turn = Callable[[], Awaitable[str | None]]
"""Does it, and says what was seen of it; None: nothing."""

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


def verbs(**turns: Turn) -> Targets:
    """The targets of a rig that does these turns."""
    return {"deployment": {name: _as_long_as_it_takes(turn) for name, turn in turns.items()}}


def _as_long_as_it_takes(turn: Turn) -> Verb:
    async def verb(lasts: float) -> str | None:
        return await turn()

    return verb
