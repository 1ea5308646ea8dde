"""Agreement: whether two renderings say the same of what they both run, however they spell it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.kube.findings import Finding
from tests.kube.rendered import Manifest

Facts = Mapping[str, Any]

CHECK = "agreement"
NOTHING = "nothing"
# What both have to have. Namespaces, quotas and monitors are the platform's on one side or the other; network
# policies are cut differently, and compared by what they let through: reach.py.
KINDS = (
    *("Deployment", "StatefulSet", "Job", "Service", "ServiceAccount", "ConfigMap", "HTTPRoute"),
    *("PodDisruptionBudget", "HorizontalPodAutoscaler", "Cluster", "ScheduledBackup"),
)
OWN_LABELS = re.compile(r"(app\.kubernetes\.io/(instance|managed-by|part-of|version)|helm\.sh/chart)$")
OWN_ANNOTATIONS = re.compile(r"(checksum/.*|helm\.sh/.*|argocd\.argoproj\.io/.*)$")
LABELS = ("labels", "matchLabels", "selector")
# A name that bears a hash of what it names: Kustomize's ConfigMap, the chart's Job.
HASHED = re.compile(r"^(collector|collector-migrate-\d+-\d+-\d+)-(?=\w*\d)[a-z0-9]{8,10}$")
# What an API server fills in, so that it may be left out: the last part of a path, and the value.
DEFAULTS = {
    "protocol": "TCP",
    "scheme": "HTTP",
    "successThreshold": 1,
    "initialDelaySeconds": 0,
    "imagePullPolicy": "IfNotPresent",
    "restartPolicy": "Always",
    "type": "ClusterIP",
    "dnsPolicy": "ClusterFirst",
    "sessionAffinity": "None",
    "readOnly": False,
    "completions": 1,
    "parallelism": 1,
    # Of a claim in a StatefulSet.
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "volumeMode": "Filesystem",
}
# By what the elements of a list are known, in this order.
IDENTITIES = ("name", "mountPath", "topologyKey", "key", "port", "type")


def differences(left: Iterable[Manifest], right: Iterable[Manifest], names: tuple[str, str]) -> list[Finding]:
    """Give what one says and the other does not, or says otherwise; `names` are theirs."""
    ours, theirs = _by_name(left), _by_name(right)
    found = []
    for thing in sorted(ours.keys() | theirs.keys()):
        said = _between(ours.get(thing), theirs.get(thing), names)
        found += [Finding(check=CHECK, object=thing, says=each) for each in said]
    return found


def _between(left: Facts | None, right: Facts | None, names: tuple[str, str]) -> Iterator[str]:
    if left is None or right is None:
        yield f"{names[0] if left is None else names[1]} has none"
        return
    for path in sorted(left.keys() | right.keys()):
        here, there = left.get(path, NOTHING), right.get(path, NOTHING)
        if here != there:
            yield f"{path}: {names[0]} {here}, {names[1]} {there}"


def _by_name(manifests: Iterable[Manifest]) -> dict[str, Facts]:
    return {
        f"{manifest['kind']}/{_plain(manifest['metadata']['name'])}": facts(manifest)
        for manifest in manifests
        if manifest["kind"] in KINDS
    }


def facts(manifest: Manifest) -> Facts:
    """Flatten a manifest: each value by its path, lists by the names of their elements, defaults left out."""
    kept = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind", "metadata")}
    return {path: value for path, value in _flat(kept, ()) if DEFAULTS.get(path.rpartition(".")[2]) != value}


def _flat(node: object, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        if not node and path:
            yield ".".join(path), "{}"
        for key, value in node.items():
            if not _is_own(key, path):
                yield from _flat(value, (*path, str(key)))
    elif isinstance(node, list) and any(isinstance(element, dict) for element in node):
        yield from _flat(_named(node), path)
    elif node is not None:
        value = [_plain(element) for element in node] if isinstance(node, list) else _plain(node)
        yield ".".join(path), value


def _is_own(key: str, path: tuple[str, ...]) -> bool:
    above = path[-1] if path else ""
    own = OWN_LABELS if above in LABELS else OWN_ANNOTATIONS if above == "annotations" else None
    return own is not None and own.match(key) is not None


def _named(elements: list[dict[str, Any]]) -> dict[str, Any]:
    for identity in IDENTITIES:
        keys = [str(element.get(identity)) for element in elements if element.get(identity) is not None]
        if len(set(keys)) == len(elements):
            return dict(zip(keys, elements, strict=True))
    # Nothing names them, as the peers of a policy: by what they say, in an order that is the same for both.
    said = sorted((sorted(map(str, _flat(element, ()))), number) for number, element in enumerate(elements))
    return {f"[{place}]": elements[number] for place, (_, number) in enumerate(said)}


def _plain(value: Any) -> Any:
    if isinstance(value, str) and (hashed := HASHED.match(value)):
        return hashed[1]
    return value
