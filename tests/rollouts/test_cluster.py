"""On a cluster: what can be shown without one. kubectl is real, the server that it asks is not there."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.child import clean_environment
from tests.databases import migrate
from tests.drills.injectors.postgres import stored
from tests.drills.rig import NotHere
from tests.kube.judges import refused
from tests.kube.pods import pods
from tests.kube.rendered import kustomization, one
from tests.kube.restricted import restricted
from tests.kube.schemas import NEWEST, OLDEST, Module
from tests.ports import LOOPBACK, free_port
from tests.rollouts.cluster import IDS, LABELS, ClusterRig, Kubectl, Refused, probe_pod
from tests.servers import PostgresServer

ROOT = Path(__file__).parents[2]
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl")


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    """A kubectl for a cluster that does not answer."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "none", "cluster": {"server": f"http://{LOOPBACK}:{free_port()}"}}],
        "contexts": [{"name": "none", "context": {"cluster": "none", "user": ""}}],
        "current-context": "none",
    }
    (tmp_path / "config").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    return Kubectl("staging")


@needs_kubectl
async def test_a_cluster_that_does_not_answer_is_said(nowhere: Kubectl) -> None:
    with pytest.raises(NotHere, match="refused"):
        async with ClusterRig(nowhere):
            pass


@needs_kubectl
@pytest.mark.parametrize("turn", ["update", "undo", "misconfigure"])
async def test_every_turn_is_a_command_that_kubectl_knows(nowhere: Kubectl, turn: str) -> None:
    with pytest.raises(Refused, match="refused"):
        await ClusterRig(nowhere).targets["deployment"][turn](0)


@needs_kubectl
@pytest.mark.parametrize(
    "words",
    [
        ("get", "deployment/collector", "--output=json"),
        ("rollout", "status", "deployment/collector"),
        ("wait", "--for=condition=Ready", "pod/collector", "--timeout=120s"),
        ("delete", "pod/collector", "--ignore-not-found", "--wait=false"),
        ("exec", "--stdin", "collector", "--", "sh", "-c", "true"),
        ("logs", "collector"),
    ],
)
async def test_so_is_what_is_asked_besides(nowhere: Kubectl, words: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="refused"):
        await nowhere(*words)


@pytest.mark.parametrize("kubernetes", [OLDEST, NEWEST], ids=lambda module: module.version)
def test_the_pod_of_the_probe_is_one_that_kubernetes_takes(kubernetes: Module) -> None:
    assert refused(json.dumps(probe_pod("collector:1")), kubernetes) == []


def test_the_pod_of_the_probe_is_as_restricted_as_its_namespace_demands() -> None:
    (pod,) = pods([probe_pod("collector:1")])
    assert list(restricted(pod)) == []


def test_the_network_policies_let_the_probe_ask() -> None:
    manifests = kustomization("overlays/production")
    policy = one(manifests, "NetworkPolicy", "collector")
    allowed = [
        peer["podSelector"]["matchLabels"]
        for peer in policy["spec"]["ingress"][0]["from"]
        if set(peer) == {"podSelector"}
    ]
    assert LABELS in allowed


async def test_a_collector_tells_the_ids_that_its_database_has() -> None:
    with PostgresServer() as server:
        await asyncio.to_thread(migrate, server.url())
        env = {**clean_environment(), "POSTGRES_CONNECTION_STRING": server.url()}
        command = [sys.executable, "-c", IDS, "nobody"]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
        assert not await stored(server, "nobody")
