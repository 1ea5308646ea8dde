"""Manifest: what a rendered Deployment asks for, with Kubernetes' own defaults where it says nothing.

What cannot be played is refused, rather than passed over: a drill of something else would prove nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tests.drills.supervisor import Check, Policy
from tests.kube.rendered import Manifest, having, one

Portion = int | str
"""Of the replicas: a number, or a share such as "25%"."""

DRAINS = ("DRAIN_SECONDS", "GRACEFUL_SECONDS")  # settings that are times of a rollout
# Settings that name places of a cluster, or what is mounted there. The simulator has its own; Redis is not part of
# it, and it is alone on loopback, where nobody is asked for a token.
PLACES = frozenset(
    {"HOST", "PORT", "POSTGRES_CONNECTION_STRING", "POSTGRES_PASSWORD", "POSTGRES_PASSWORD_FILE",
     "POSTGRES_REPLICA_CONNECTION_STRING", "POSTGRES_REPLICA_CONNECTION_STRING_FILE", "REDIS_URL",
     "REDIS_URL_FILE", "SPOOL_URL", "SPOOL_URL_FILE", "SQLITE_PATH", "CONFIG", "CONFIG_DIR",
     "TOKENS", "TOKENS_FILE", "HOOKS", "HOOKS_FILE"}
)  # fmt: skip


class Unplayable(ValueError):
    """The manifests have something that cannot be played; the message names it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """What every pod of a version is: its plain settings, and how a kubelet looks after it."""

    env: Mapping[str, str]
    policy: Policy

    def with_env(self, **env: str) -> "Template":
        """The template of another version."""
        return replace(self, env={**self.env, **env})


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """A Deployment with a rolling update. Times are in seconds."""

    replicas: int
    surge: Portion
    unavailable: Portion
    min_ready: float
    progress_deadline: float
    template: Template
    left_out: tuple[str, ...] = ()  # settings that name places

    def faster(self, pace: float) -> "Deployment":
        """The same with every time divided by `pace`, so that their ratios stay."""
        template = self.template
        drains = {name: f"{float(template.env[name]) / pace:g}" for name in DRAINS if name in template.env}
        return replace(
            self,
            min_ready=self.min_ready / pace,
            progress_deadline=self.progress_deadline / pace,
            template=replace(template.with_env(**drains), policy=_faster(template.policy, pace)),
        )


def read(manifests: Sequence[Manifest], name: str = "collector") -> Deployment:
    """The Deployment of this name, and what the others say of it. Raises Unplayable."""
    spec = _the(manifests, "Deployment", name)["spec"]
    strategy = spec.get("strategy") or {}
    if (kind := strategy.get("type", "RollingUpdate")) != "RollingUpdate":
        raise Unplayable(f"the strategy is {kind}: nothing of it is without an interruption")
    rolling = strategy.get("rollingUpdate") or {}
    pod = spec["template"]["spec"]
    container = _container(pod, name)
    env = dict(_environment(container, manifests))
    return Deployment(
        replicas=_replicas(spec, manifests, name),
        surge=rolling.get("maxSurge", "25%"),
        unavailable=rolling.get("maxUnavailable", "25%"),
        min_ready=float(spec.get("minReadySeconds", 0)),
        progress_deadline=float(spec.get("progressDeadlineSeconds", 600)),
        template=Template(
            env={key: value for key, value in env.items() if key not in PLACES}, policy=_policy(pod, container)
        ),
        left_out=tuple(sorted(PLACES & env.keys())),
    )


def _the(manifests: Sequence[Manifest], kind: str, name: str) -> Manifest:
    try:
        return one(manifests, kind, name)
    except LookupError as error:
        raise Unplayable(str(error)) from error


def _replicas(spec: Manifest, manifests: Sequence[Manifest], name: str) -> int:
    if "replicas" in spec:
        return int(spec["replicas"])
    for scaler in having(manifests, "HorizontalPodAutoscaler"):
        if scaler["spec"]["scaleTargetRef"]["name"] == name:
            return int(scaler["spec"].get("minReplicas", 1))
    return 1


def _container(pod: Manifest, name: str) -> Manifest:
    if others := [*pod.get("initContainers", ()), *pod["containers"][1:]]:
        raise Unplayable(f"a pod has other containers: {', '.join(other['name'] for other in others)}")
    container: Manifest = pod["containers"][0]
    if container["name"] != name or container.get("args", ["serve"]) != ["serve"] or "command" in container:
        raise Unplayable(f"container {container['name']}: not one that runs `collector serve`")
    return container


def _environment(container: Manifest, manifests: Sequence[Manifest]) -> Iterator[tuple[str, str]]:
    """Plain values, in the order in which later ones win. Secrets are places, or files with passwords."""
    for source in container.get("envFrom") or ():
        if "configMapRef" in source:
            values = _the(manifests, "ConfigMap", source["configMapRef"]["name"]).get("data") or {}
            yield from ((source.get("prefix", "") + key, value) for key, value in values.items())
    for variable in container.get("env") or ():
        if "valueFrom" not in variable:
            yield variable["name"], variable.get("value", "")
        elif variable["name"] not in PLACES:
            raise Unplayable(f"the variable {variable['name']} comes from elsewhere")


def _policy(pod: Manifest, container: Manifest) -> Policy:
    ports = {port.get("name", ""): port["containerPort"] for port in container.get("ports") or ()}
    startup, liveness, readiness = (
        _check(container.get(f"{which}Probe"), which, ports) for which in ("startup", "liveness", "readiness")
    )
    grace = float(pod.get("terminationGracePeriodSeconds", 30))
    pre_stop = _pre_stop((container.get("lifecycle") or {}).get("preStop"))
    if pre_stop >= grace:
        raise Unplayable(f"a preStop of {pre_stop:g} s takes all of the grace of {grace:g} s")
    return Policy(startup=startup, liveness=liveness, readiness=readiness, grace=grace, pre_stop=pre_stop)


def _check(probe: Manifest | None, which: str, ports: Mapping[str, int]) -> Check | None:
    if probe is None:
        return None
    if (http := probe.get("httpGet")) is None or http.get("scheme", "HTTP") != "HTTP" or "host" in http:
        raise Unplayable(f"the {which} probe is not one by plain HTTP to the pod")
    if len(ports) != 1 or http["port"] not in {*ports, *ports.values()}:
        raise Unplayable(f"the {which} probe asks port {http['port']}, the container has {ports}")
    return Check(
        path=http.get("path", "/"),
        period=float(probe.get("periodSeconds", 10)),
        timeout=float(probe.get("timeoutSeconds", 1)),
        failures=int(probe.get("failureThreshold", 3)),
        successes=int(probe.get("successThreshold", 1)),
        delay=float(probe.get("initialDelaySeconds", 0)),
    )


def _pre_stop(hook: Manifest | None) -> float:
    if hook is None:
        return 0.0
    if set(hook) != {"sleep"}:
        raise Unplayable(f"the preStop is no sleep: {', '.join(hook)}")
    return float(hook["sleep"]["seconds"])


def _faster(policy: Policy, pace: float) -> Policy:
    """Periods, time-outs and waits alike; how often something has to fail stays."""
    return replace(
        policy,
        startup=_check_faster(policy.startup, pace),
        liveness=_check_faster(policy.liveness, pace),
        readiness=_check_faster(policy.readiness, pace),
        grace=policy.grace / pace,
        pre_stop=policy.pre_stop / pace,
        backoff=policy.backoff / pace,
        backoff_most=policy.backoff_most / pace,
        steady=policy.steady / pace,
    )


def _check_faster(check: Check | None, pace: float) -> Check | None:
    if check is None:
        return None
    return replace(check, period=check.period / pace, timeout=check.timeout / pace, delay=check.delay / pace)
