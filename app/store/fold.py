"""Events of one group that bear the same identity: which are sent to the database, and what the others become."""

from collections.abc import Awaitable, Callable, Sequence

from app.errors import Unavailable
from app.events import Event
from app.store import Kept

Keep = Callable[[Sequence[Event]], Awaitable[list[Kept]]]


async def folded(events: Sequence[Event], keep: Keep) -> list[Kept]:
    """Call `keep` with events whose identities differ, as often as it takes; a result for each event, in order.

    An event that repeats an earlier one of the group to the letter shares its fate as its duplicate. One that
    only bears the same identity comes in the next round, when the database knows the first.
    """
    keys = {event.identity.key if event.identity else n for n, event in enumerate(events)}
    if events and len(keys) == len(events):
        return await keep(events)
    results: list[Kept | None] = [None] * len(events)
    left = list(range(len(events)))
    while left:
        firsts, twins, later = _round(events, left)
        try:
            answers = await keep([events[n] for n in firsts])
        except Unavailable as problem:
            if len(left) == len(events):
                raise
            # The rounds before this one are committed, and one answer goes to all who wait for the group.
            raise Unavailable(problem.detail, outcome="unknown") from problem
        for n, kept in zip(firsts, answers, strict=True):
            results[n] = kept
        for n, first in twins.items():
            results[n] = _twin(results[first] or Kept("skipped"))
        left = later
    return [result for result in results if result is not None]


def _round(events: Sequence[Event], left: Sequence[int]) -> tuple[list[int], dict[int, int], list[int]]:
    seen: dict[bytes, int] = {}
    firsts: list[int] = []
    twins: dict[int, int] = {}
    later: list[int] = []
    for n in left:
        identity = events[n].identity
        if identity is None or identity.key not in seen:
            firsts.append(n)
            if identity is not None:
                seen[identity.key] = n
        elif events[seen[identity.key]].identity == identity:
            twins[n] = seen[identity.key]
        else:
            later.append(n)
    return firsts, twins, later


def _twin(first: Kept) -> Kept:
    return Kept("duplicate", first.seq, first.at) if first.state == "new" else first


def conflicts(events: Sequence[Event]) -> list[Kept]:
    """The results of a strict batch in which two events bear one identity and differ in content; else empty."""
    _, _, later = _round(events, range(len(events)))
    return [Kept("conflict" if n in later else "skipped") for n in range(len(events))] if later else []
