"""Pods: where manifests describe them, whatever kind makes them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.kube.rendered import Manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """A pod that something will make: `owner` is like Deployment/collector."""

    owner: str
    metadata: dict[str, Any]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All of them: those that go first, those that stay."""
        kinds = ("initContainers", "containers", "ephemeralContainers")
        return [container for kind in kinds for container in self.spec.get(kind) or []]


def pods(manifests: Iterable[Manifest]) -> Iterator[Pod]:
    """Find them in Pods, and in the templates of everything else, CRDs included."""
    for manifest in manifests:
        for template in _templates(manifest):
            owner = f"{manifest['kind']}/{manifest['metadata'].get('name')}"
            yield Pod(owner=owner, metadata=template.get("metadata") or {}, spec=template["spec"])


def _templates(manifest: Manifest) -> Iterator[dict[str, Any]]:
    spec = manifest.get("spec")
    if not isinstance(spec, dict):
        return
    if manifest["kind"] == "Pod":
        yield manifest
    jobs = [
        (metric.get("provider") or {}).get("job") for metric in spec.get("metrics") or () if "provider" in metric
    ]
    for outer in (spec, *((each or {}).get("spec") or {} for each in (spec.get("jobTemplate"), *jobs))):
        template = outer.get("template")
        if isinstance(template, dict) and "containers" in (template.get("spec") or {}):
            yield template
