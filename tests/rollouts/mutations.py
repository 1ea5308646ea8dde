"""Mutations: manifests with one guarantee taken out, each of which a drill has to notice."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.kube.rendered import Manifest, one

Change = Callable[[Manifest], None]  # of a Deployment, in place


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutation:
    """What a team could have written in good faith, and the turns in which it is found out."""

    name: str
    breaks: str
    change: Change
    turns: tuple[str, ...]

    def of(self, manifests: Sequence[Manifest], *, replicas: int) -> list[Manifest]:
        """The manifests with it."""
        return changed(manifests, self.change, replicas)


def changed(manifests: Sequence[Manifest], change: Change, replicas: int) -> list[Manifest]:
    """A copy, in which the Deployment has so many replicas and this change."""
    mine = copy.deepcopy(list(manifests))
    deployment = one(mine, "Deployment", "collector")
    deployment["spec"]["replicas"] = replicas
    change(deployment)
    return mine


def nothing(_: Manifest) -> None:
    """The manifest as it is."""


def _no_drain(deployment: Manifest) -> None:
    _container(deployment).setdefault("env", []).append({"name": "DRAIN_SECONDS", "value": "0"})


def _short_grace(deployment: Manifest) -> None:
    deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 2


def _ready_before_schema(deployment: Manifest) -> None:
    _container(deployment)["readinessProbe"]["httpGet"]["path"] = "/healthz"


def _always_ready(deployment: Manifest) -> None:
    del _container(deployment)["readinessProbe"]


def _container(deployment: Manifest) -> Manifest:
    container: Manifest = deployment["spec"]["template"]["spec"]["containers"][0]
    return container


MUTATIONS = (
    Mutation(
        name="no-drain",
        breaks="a pod stops accepting before the Service knows that it leaves",
        change=_no_drain,
        turns=("update",),
    ),
    Mutation(
        name="grace-of-2s",
        breaks="a pod is killed before its drain is over",
        change=_short_grace,
        turns=("update",),
    ),
    Mutation(
        name="ready-before-schema",
        breaks="a pod gets requests that it cannot keep, since the migration is not done",
        change=_ready_before_schema,
        turns=("update",),
    ),
    Mutation(
        name="always-ready",
        breaks="a version that does not reach its database replaces one that does",
        change=_always_ready,
        turns=("misconfigure",),
    ),
)
