"""Cluster: the same drill on the Deployment of a cluster, by kubectl. The probe runs in a pod beside it.

A port-forward would not do: it ends with the one pod that it leads to. So a pod of the same image, with the labels
that the network policies know, asks the Service; kubectl starts it, hands the fault log in and the ledger out.
"""

import asyncio
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

from tests.drills.probing import Probe, Report, question
from tests.drills.rig import NotHere, Rig, Targets
from tests.drills.scenario import Load, Scenario
from tests.kube.rendered import Manifest
from tests.rollouts.drill import verbs

NAME, POD = "collector", "collector-rollouts-probe"
DEPLOYMENT = f"deployment/{NAME}"
LABELS = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "probe"}
SELECTOR = f"app.kubernetes.io/name={NAME},app.kubernetes.io/component=collector"
PATIENCE = 900.0  # seconds beyond which no kubectl is waited for; a progress deadline is shorter
IN_POD = Path("/tmp")
POLL = 1.0  # seconds
# A version that keeps nothing: with a Redis within reach it would still take events.
NOWHERE = ("POSTGRES_CONNECTION_STRING=postgres://nobody@127.0.0.1:1/none", "REDIS_URL=redis://127.0.0.1:1/0")
TOKEN = "/run/secrets/probe/token"
WITH_TOKEN = f"if [ -e {TOKEN} ]; then export COLLECTOR_TOKEN_FILE={TOKEN}; fi"
IDS = """
import asyncio, json, sys
from app.settings import load
from app.store.choice import open_store

async def ids(source):
    store = open_store(load(), on_unreplicated=lambda: None)
    connection = await store.connect({})
    return [row["id"] for row in await connection.fetch("SELECT id FROM events WHERE source = $1", source)]

print(json.dumps(asyncio.run(ids(sys.argv[1]))))
"""


class Refused(Exception):
    """kubectl ended with an error; the message is what it said."""


class Kubectl:
    """kubectl in one namespace of the cluster that KUBECONFIG names."""

    def __init__(self, namespace: str) -> None:
        self._start = [shutil.which("kubectl") or "kubectl", f"--namespace={namespace}"]

    def command(self, *words: str) -> list[str]:
        """The words of a command."""
        return [*self._start, *words]

    async def __call__(self, *words: str, stdin: bytes = b"") -> str:
        """Run it, and give what it prints. Raises Refused, NotHere without a kubectl, TimeoutError."""
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command(*words), stdin=pipe, stdout=pipe, stderr=pipe
            )
        except FileNotFoundError:
            raise NotHere("there is no kubectl") from None
        try:
            async with asyncio.timeout(PATIENCE):
                out, err = await process.communicate(stdin)
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode:
            raise Refused(f"kubectl {' '.join(words)}: {err.decode(errors='replace').strip()}")
        return out.decode()

    async def json(self, *words: str) -> Any:
        """Run it, and read what it prints."""
        return json.loads(await self(*words, "--output=json"))


class ClusterRig:
    """The Deployment that runs there. Nothing is installed, and nothing removed but the probe's pod."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        self._before: dict[str, int] = {}
        self._pods: dict[str, Manifest] = {}
        self._logs: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        try:
            deployment = await self._kubectl.json("get", DEPLOYMENT)
            await self._kubectl("rollout", "status", DEPLOYMENT)
            image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
            await self._kubectl("apply", "--filename=-", stdin=json.dumps(probe_pod(image)).encode())
            await self._kubectl("wait", "--for=condition=Ready", f"pod/{POD}", "--timeout=120s")
        except Refused as reason:
            raise NotHere(str(reason)) from reason
        await self._look()
        self._before = {name: _restarts(pod) for name, pod in self._pods.items()}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._kubectl("delete", f"pod/{POD}", "--ignore-not-found", "--wait=false")

    @property
    def urls(self) -> Sequence[str]:
        """The Service, as pods of its namespace know it."""
        return [f"http://{NAME}:8080"]

    @property
    def targets(self) -> Targets:
        """The same as of the Deployment that is played."""
        return verbs(update=self._update, undo=self._undo, misconfigure=self._misconfigure)

    @property
    def restarts(self) -> Mapping[str, Sequence[str]]:
        """Of the pods that were seen, how often a container was started again, and why the last time."""
        return {
            name: [_reason(pod)] * max(0, _restarts(pod) - self._before.get(name, 0))
            for name, pod in self._pods.items()
        }

    @property
    def logs(self) -> Mapping[str, str]:
        """What the pods that there are after a turn have written; those that have left took theirs along."""
        return self._logs

    async def stored(self, source: str) -> Counter[str]:
        """How often each id of this source is in the table, as a collector's own connection sees it."""
        found = await self._kubectl("exec", DEPLOYMENT, "--", "python", "-c", IDS, source)
        return Counter(json.loads(found.splitlines()[-1]))

    async def _update(self) -> str | None:
        await self._kubectl("rollout", "restart", DEPLOYMENT)
        return await self._rolled()

    async def _undo(self) -> str | None:
        await self._kubectl("rollout", "undo", DEPLOYMENT)
        return await self._rolled()

    async def _misconfigure(self) -> str | None:
        await self._kubectl("set", "env", DEPLOYMENT, *NOWHERE)
        try:
            await self._kubectl("rollout", "status", DEPLOYMENT)
            end = "went through"
        except Refused as stuck:
            end = f"was stuck ({stuck})"
        return f"{end}; undone, {await self._undo()}"

    async def _rolled(self) -> str | None:
        """Wait until it is done, and until those that it has replaced have left."""
        before, began = set(await self._look()), time.monotonic()
        await self._kubectl("rollout", "status", DEPLOYMENT)
        took = time.monotonic() - began
        while any("deletionTimestamp" in pod["metadata"] for pod in (await self._look()).values()):  # noqa: ASYNC110
            await asyncio.sleep(POLL)
        after = await self._look()
        self._logs |= {name: await self._kubectl("logs", name) for name in after}
        gone = before - set(after)
        return f"done in {took:.1f} s; {len(gone)} left" if gone else None

    async def _look(self) -> dict[str, Manifest]:
        """The pods that there are now."""
        pods = (await self._kubectl.json("get", "pods", f"--selector={SELECTOR}"))["items"]
        now = {pod["metadata"]["name"]: pod for pod in pods}
        self._pods |= now
        return now


class PodProbe(Probe):
    """The probe in its pod; what it leaves behind is fetched from there."""

    def __init__(
        self, kubectl: Kubectl, urls: Sequence[str], load: Load, folder: Path, *, faults: Path | None, seed: int
    ) -> None:
        super().__init__(urls, load, folder, faults=faults, seed=seed)
        self._kubectl = kubectl
        self._env = dict(os.environ)  # kubectl's, which may need more than KUBECONFIG to reach the cluster
        there = IN_POD / "faults.jsonl" if faults else None
        words = question(urls, load, IN_POD, faults=there, seed=seed)
        script = f'echo $$ >{IN_POD}/pid; {WITH_TOKEN}; exec "$@"'
        self._command = kubectl.command("exec", POD, "--", "sh", "-c", script, "sh", "collector", *words)

    async def requests(self) -> int:
        """How many requests it has sent."""
        try:
            return int(await self._in_pod(f"cat {IN_POD}/ledger.jsonl | grep -c '\"sent\"' || true"))
        except Refused:
            return 0

    async def end_load(self) -> None:
        """Hand in the fault log, and tell it that the load is to end."""
        if self._faults is not None:
            await self._in_pod(f"cat >{IN_POD}/faults.jsonl", stdin=self._faults.read_bytes())
        await self._in_pod(f"kill -INT $(cat {IN_POD}/pid)")

    async def verdict(self) -> Report:
        """Wait for its end, and fetch the ledger. Raises ProbeError."""
        report = await super().verdict()
        self.ledger.write_text(await self._in_pod(f"cat {IN_POD}/ledger.jsonl"))
        return report

    async def _in_pod(self, script: str, stdin: bytes = b"") -> str:
        return await self._kubectl("exec", "--stdin", POD, "--", "sh", "-c", script, stdin=stdin)


def on_cluster(kubectl: Kubectl, scenario: Scenario, folder: Path, module: str) -> Rig:
    """The rig, as a runner of drills makes one."""
    return ClusterRig(kubectl)


def probe_pod(image: str) -> Manifest:
    """A pod that waits, for the probe to be started in it; as restricted as the others are."""
    tmp = {"name": "tmp", "mountPath": str(PurePosixPath(IN_POD))}
    token = {"name": "probe", "mountPath": str(PurePosixPath(TOKEN).parent), "readOnly": True}
    secret = {"secretName": "collector-probe", "optional": True, "defaultMode": 0o440}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD, "labels": LABELS},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "probe",
                    "image": image,
                    "command": ["sleep", "infinity"],
                    "workingDir": str(IN_POD),
                    "resources": {
                        "requests": {"cpu": "500m", "memory": "256Mi", "ephemeral-storage": "1Gi"},
                        "limits": {"memory": "1Gi", "ephemeral-storage": "2Gi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [tmp, token],
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}}, {"name": "probe", "secret": secret}],
        },
    }  # fmt: skip


def _restarts(pod: Manifest) -> int:
    return sum(one["restartCount"] for one in pod["status"].get("containerStatuses", ()))


def _reason(pod: Manifest) -> str:
    states = [one.get("lastState", {}).get("terminated", {}) for one in pod["status"].get("containerStatuses", ())]
    return "; ".join(f"{one.get('reason', 'unknown')}, exit code {one.get('exitCode')}" for one in states)
