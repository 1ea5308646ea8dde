"""Cases: everything that is rendered to be judged: each overlay, each file of values, and the chart's switches."""

from collections.abc import Mapping
from functools import cache
from itertools import combinations, product
from types import MappingProxyType
from typing import Any

from tests.kube.rendered import CHART, K8S, chart_text, kustomization_text

NAMESPACE = "collector"
# A switch is some values at once, as somebody would set them; a name tells those that are not the first.
SWITCHES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "database": {
        "embedded": {},
        "existing": {
            "database.mode": "existing",
            "database.existing.host": "postgres.example.com",
            "database.existing.secret.name": "postgres",
        },
        "external-secret": {
            "database.mode": "existing",
            "database.existing.host": "postgres.example.com",
            "database.existing.secret.name": "postgres",
            "database.existing.externalSecret.enabled": True,
            "database.existing.externalSecret.store": "vault",
            "database.existing.externalSecret.remoteKey": "collector/postgres",
        },
        "cnpg": {"database.mode": "cnpg"},
        "standby": {
            "database.mode": "existing",
            "database.existing.host": "postgres.example.com",
            "database.existing.secret.name": "postgres",
            "database.standby.of": "postgres.example.com",
            "database.standby.secret.name": "standby",
        },
    },
    "redis": {
        "none": {},
        "statefulset": {"redis.mode": "statefulset"},
        "existing": {"redis.mode": "existing", "redis.existing.url": "redis://redis.example.com:6379/0"},
    },
    "scaling": {
        "fixed": {},
        "hpa": {"autoscaling.enabled": True, "database.connections.max": 200},
        "keda": {
            "autoscaling.enabled": True,
            "database.connections.max": 200,
            "autoscaling.keda.enabled": True,
            "autoscaling.keda.prometheus": "http://prometheus.monitoring:9090",
        },
    },
    "delivery": {
        "rolling": {},
        "canary": {
            "delivery.strategy": "canary",
            "delivery.analysis.prometheus": "http://prometheus.monitoring:9090",
            "database.connections.max": 300,
        },
        "blueGreen": {"delivery.strategy": "blueGreen", "database.connections.max": 300},
    },
    "migrations": {"job": {}, **{mode: {"migrations.mode": mode} for mode in ("helmHook", "argoSync", "off")}},
    "gateway": {
        "off": {},
        "on": {"gateway.enabled": True, "gateway.name": "shared"},
    },
    "access": {
        "anonymous": {"gateway.anonymous": True},
        "tokens": {
            "tokens.secret.name": "collector-tokens",
            "hooks.secret.name": "collector-hooks",
            "test.secret.name": "collector-probe",
            "narrate.secret.name": "collector-narrator",
        },
    },
    "network": {"on": {"networkPolicy.enabled": True}, "off": {}},
    "monitoring": {
        "off": {},
        "on": {
            "monitoring.serviceMonitor.enabled": True,
            "monitoring.rules.enabled": True,
            "monitoring.dashboard.enabled": True,
        },
    },
    "image": {"tag": {}, "digest": {"image.digest": "sha256:" + "0" * 64}},
}
FIRST = {switch: next(iter(options)) for switch, options in SWITCHES.items()}
# What the chart refuses to do at once; that it does is a test of its own.
REFUSED = (
    {"database": "embedded", "scaling": "hpa"},
    {"database": "embedded", "scaling": "keda"},
    {"database": "embedded", "delivery": "canary"},
    {"database": "embedded", "delivery": "blueGreen"},
    {"gateway": "off", "delivery": "canary"},
    {"database": "cnpg", "migrations": "helmHook"},
    {"database": "external-secret", "migrations": "helmHook"},
)
ON_TOP_OF = {"values-region.yaml": ["values-production.yaml"]}  # as its first line says
Choice = Mapping[str, str]  # an option of each switch
_Pair = tuple[tuple[str, str], tuple[str, str]]


def names() -> list[str]:
    """Name every case. The base and the parts of overlays are judged where they are used."""
    overlays = [f"k8s/{file.parent.relative_to(K8S)}" for file in K8S.glob("overlays/*/kustomization.yaml")]
    of_chart = [f"helm/{path.name}" for path in sorted(CHART.glob("values*.yaml"))]
    return sorted(overlays) + of_chart + [f"helm:{_told(choice)}" for choice in pairs()]


def steps() -> list[str]:
    """Name the steps' files, which are cases too: they are applied as they are, and leave out what comes later."""
    return [f"k8s/{file.relative_to(K8S)}" for file in sorted(K8S.glob("steps/*.yaml"))]


@cache
def rendered(name: str) -> str:
    """Render a case, once; gives YAML. Raises RenderError, NotHere."""
    if name in steps():
        return (K8S / name.removeprefix("k8s/")).read_text()
    if name.startswith("k8s/"):
        return kustomization_text(name.removeprefix("k8s/"))
    return chart_text(*files(name), set=switched(name), namespace=NAMESPACE)


def files(name: str) -> list[str]:
    """Give the files of values of a case of the chart, the later ones count; none where it is switches."""
    if not name.startswith("helm/"):
        return []
    file = name.removeprefix("helm/")
    return [*ON_TOP_OF.get(file, []), file]


def switched(name: str) -> Mapping[str, Any]:
    """Give what a case of the chart sets; nothing where it is a file."""
    if not name.startswith("helm:"):
        return {}
    told = dict(word.split("=") for word in name.removeprefix("helm:").split(",") if word)
    return values(FIRST | told)


def values(choice: Choice) -> Mapping[str, Any]:
    """Give what to set for an option of each switch."""
    merged: dict[str, Any] = {}
    for switch, option in choice.items():
        merged |= SWITCHES[switch][option]
    return merged


@cache
def pairs() -> tuple[Choice, ...]:
    """Choose so that every two options of two switches meet in one case at least, where they may."""
    having = [(choice, _pairs_of(choice)) for choice in _allowed()]
    open_pairs = set[_Pair]().union(*(pairs for _, pairs in having))
    chosen = []
    while open_pairs:
        best, closed = max(having, key=lambda each: len(open_pairs & each[1]))
        open_pairs -= closed
        chosen.append(MappingProxyType(best))
    return tuple(chosen)


@cache
def _allowed() -> tuple[dict[str, str], ...]:
    choices = (dict(zip(SWITCHES, options, strict=True)) for options in product(*SWITCHES.values()))
    return tuple(choice for choice in choices if not any(each.items() <= choice.items() for each in REFUSED))


def _told(choice: Choice) -> str:
    return ",".join(f"{switch}={option}" for switch, option in choice.items() if option != FIRST[switch])


def _pairs_of(choice: Choice) -> set[_Pair]:
    return set(combinations(choice.items(), 2))
