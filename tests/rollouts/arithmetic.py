"""Arithmetic: how many pods of which version a Deployment is to have now, as its controller computes it.

A surge is rounded up and what may be unavailable is rounded down; if both come to nothing, one pod may be
unavailable, or nothing could ever move.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.rollouts.manifest import Deployment, Portion


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """What a rolling update keeps to, in pods."""

    replicas: int
    most: int  # of all versions together, without those that are leaving
    least_available: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Of one version: how many pods it is to have, and how many of them are available."""

    wanted: int
    available: int


def bounds(deployment: Deployment) -> Bounds:
    """The numbers that the shares come to."""
    surge = _of(deployment.surge, deployment.replicas, up=True)
    unavailable = _of(deployment.unavailable, deployment.replicas, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Bounds(
        replicas=deployment.replicas,
        most=deployment.replicas + surge,
        least_available=max(0, deployment.replicas - unavailable),
    )


def grown(keep: Bounds, new: Counts, old: Sequence[Counts]) -> int:
    """How many pods the new version is to have now."""
    if new.wanted >= keep.replicas:
        return keep.replicas
    room = keep.most - new.wanted - sum(one.wanted for one in old)
    return new.wanted + max(0, min(room, keep.replicas - new.wanted))


def shrunk(keep: Bounds, new: Counts, old: Sequence[Counts]) -> list[int]:
    """How many pods each old version is to have now; the oldest comes first.

    Those that are not available go first: they serve nobody. Of the others go as many as leave enough.
    """
    everyone = new.wanted + sum(one.wanted for one in old)
    spare = everyone - keep.least_available - (new.wanted - new.available)
    left = [one.wanted for one in old]
    if spare <= 0:
        return left
    left = _less(left, [one.wanted - one.available for one in old], spare)
    available = new.available + sum(one.available for one in old)
    return _less(left, left, available - keep.least_available)


def _less(counts: Sequence[int], may_go: Sequence[int], most: int) -> list[int]:
    """Take from the first as many as may go, then from the next, `most` in all."""
    left = []
    for count, may in zip(counts, may_go, strict=True):
        go = max(0, min(may, most))
        most -= go
        left.append(count - go)
    return left


def _of(portion: Portion, replicas: int, *, up: bool) -> int:
    if isinstance(portion, int):
        return portion
    share = int(portion.removesuffix("%")) * replicas / 100
    return math.ceil(share) if up else math.floor(share)
