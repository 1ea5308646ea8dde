"""Policy: what this project asks of its manifests beyond what a cluster asks, as findings."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.kube.findings import Finding
from tests.kube.pods import Pod, pods
from tests.kube.rendered import Manifest
from tests.kube.restricted import restricted

LEVELS = ("enforce", "audit", "warn")
RESOURCES = (
    *(("requests", name) for name in ("cpu", "memory", "ephemeral-storage")),
    *(("limits", name) for name in ("memory", "ephemeral-storage")),
)
SECRETIVE = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL", re.IGNORECASE)
PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
TAGGED = re.compile(r".+[^/]:[\w][\w.-]*$|.+@sha256:[0-9a-f]{64}$")
KINDS_THAT_ARE_GONE = {"Ingress", "PodSecurityPolicy", "Endpoints"}


def broken(manifests: Iterable[Manifest]) -> list[Finding]:
    """Give every rule that they break, the Pod Security Standard's among them."""
    manifests = list(manifests)
    found = [finding for manifest in manifests for finding in _of_object(manifest)]
    for pod in pods(manifests):
        found += [*restricted(pod), *_of_pod(pod)]
    return found


def _of_object(manifest: Manifest) -> Iterator[Finding]:
    name = f"{manifest['kind']}/{manifest['metadata'].get('name')}"
    rules: dict[str, Callable[[Manifest], Iterator[str]]] = {
        "Namespace": _of_namespace,
        "Secret": _of_secret,
        "ConfigMap": _of_settings,
        "ResourceQuota": _of_quota,
        "LimitRange": _of_limit_range,
        "HTTPRoute": _of_route,
    }
    if rule := rules.get(manifest["kind"]):
        for says in rule(manifest):
            yield Finding(check="policy", object=name, says=says)
    if manifest["kind"] in KINDS_THAT_ARE_GONE:
        yield Finding(check="policy", object=name, says="nothing here is made of this kind")


def _of_namespace(manifest: Manifest) -> Iterator[str]:
    labels = manifest["metadata"].get("labels") or {}
    for level in LEVELS:
        if labels.get(f"pod-security.kubernetes.io/{level}") != "restricted":
            yield f"it does not {level} restricted"
        if not re.fullmatch(r"v1\.\d+", labels.get(f"pod-security.kubernetes.io/{level}-version", "")):
            yield f"its {level}-version is not pinned"


def _of_secret(manifest: Manifest) -> Iterator[str]:
    if manifest.get("data") or manifest.get("stringData"):
        yield "a secret lies in the open"


def _of_settings(manifest: Manifest) -> Iterator[str]:
    for key, value in (manifest.get("data") or {}).items():
        if PASSWORD_IN_URL.search(str(value)) or (SECRETIVE.search(key) and not key.endswith("_FILE")):
            yield f"{key} may be a secret"


def _of_quota(manifest: Manifest) -> Iterator[str]:
    if "limits.cpu" in manifest["spec"]["hard"]:
        yield "it would reject every pod without a CPU limit"


def _of_limit_range(manifest: Manifest) -> Iterator[str]:
    if any((limit.get("default") or {}).get("cpu") for limit in manifest["spec"]["limits"]):
        yield "it would give pods a CPU limit"


def _of_route(manifest: Manifest) -> Iterator[str]:
    # Spelled out, or Argo CD sees a difference for ever; and what is for operators is not public.
    for rule in manifest["spec"]["rules"]:
        for backend in rule.get("backendRefs") or []:
            if missing := {"group", "kind", "weight"} - backend.keys():
                yield f"a backend leaves out {', '.join(sorted(missing))}"
        paths = [match.get("path", {}).get("value", "/") for match in rule.get("matches") or [{}]]
        kinds = [match.get("path", {}).get("type", "PathPrefix") for match in rule.get("matches") or [{}]]
        for path, kind in zip(paths, kinds, strict=True):
            private = path in ("/metrics", "/healthz", "/readyz", "/purge")
            if private or (kind == "PathPrefix" and path == "/"):
                yield f"it publishes {path} and what is below"
    for parent in manifest["spec"].get("parentRefs") or []:
        if missing := {"group", "kind"} - parent.keys():
            yield f"a parent leaves out {', '.join(sorted(missing))}"


def _of_pod(pod: Pod) -> Iterator[Finding]:
    for field in ("automountServiceAccountToken", "enableServiceLinks"):
        if pod.spec.get(field) is not False:
            yield Finding(check="policy", object=pod.owner, says=f"{field} is not false")
    for container in pod.containers:
        for says in _of_container(container):
            yield Finding(check="policy", object=f"{pod.owner}/{container['name']}", says=says)


def _of_container(container: dict[str, Any]) -> Iterator[str]:
    resources = container.get("resources") or {}
    for side, name in RESOURCES:
        if name not in (resources.get(side) or {}):
            yield f"it has no {side}.{name}"
    if "cpu" in (resources.get("limits") or {}):
        yield "its CPU is limited"
    if not TAGGED.fullmatch(container["image"]) or container["image"].endswith(":latest"):
        yield "its image has no tag that stays"
    if (container.get("securityContext") or {}).get("readOnlyRootFilesystem") is not True:
        yield "its root is not read-only"
    for variable in container.get("env") or []:
        value = str(variable.get("value", ""))
        secretive = SECRETIVE.search(variable["name"]) and not variable["name"].endswith("_FILE") and value
        if secretive or PASSWORD_IN_URL.search(value):
            yield f"{variable['name']} may be a secret"
