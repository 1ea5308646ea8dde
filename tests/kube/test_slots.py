"""Blue-green: what each command of `slots` makes of the rendered manifests."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kube.rendered import K8S, Manifest, having, kustomization, one
from tests.kube.tools import NotHere

NEW = "registry.example/collector:1.2.3"
OVERLAY = "overlays/blue-green"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The manifests, to be written to."""
    return Path(shutil.copytree(K8S, tmp_path / "k8s"))


def slots(copy: Path, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(copy / OVERLAY / "slots"), *words]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=60, check=False
    )


def edit(copy: Path, *words: str) -> list[Manifest]:
    done = slots(copy, "--edit", *words)
    assert done.returncode == 0, done.stderr
    return kustomization(copy / OVERLAY)


def goes_to(manifests: list[Manifest], service: str) -> str:
    return str(one(manifests, "Service", service)["spec"]["selector"]["slot"])


def runs(manifests: list[Manifest], deployment: str) -> tuple[str, Any]:
    spec = one(manifests, "Deployment", deployment)["spec"]
    return spec["template"]["spec"]["containers"][0]["image"], spec["replicas"]


def test_at_rest_one_slot_is_live_and_the_other_has_no_pods(copy: Path) -> None:
    there = kustomization(copy / OVERLAY)
    assert (goes_to(there, "collector"), goes_to(there, "collector-preview")) == ("blue", "green")
    assert runs(there, "collector-blue")[1] == 4
    assert runs(there, "collector-green")[1] == 0
    assert not having(there, "Slots"), "what is live is for this folder, no cluster knows the kind"
    assert not having(there, "HorizontalPodAutoscaler")
    assert not having(there, "Deployment", "collector")


def test_a_slot_selects_its_own_pods_and_spreads_them_by_themselves(copy: Path) -> None:
    there = kustomization(copy / OVERLAY)
    for slot in ("blue", "green"):
        spec = one(there, "Deployment", f"collector-{slot}")["spec"]
        assert spec["selector"]["matchLabels"]["slot"] == spec["template"]["metadata"]["labels"]["slot"] == slot
        for spread in spec["template"]["spec"]["topologySpreadConstraints"]:
            assert spread["labelSelector"]["matchLabels"]["slot"] == slot
    budget = one(there, "PodDisruptionBudget", "collector")["spec"]["selector"]["matchLabels"]
    assert "slot" not in budget


def test_the_slots_differ_from_production_in_name_slot_and_number_only(copy: Path) -> None:
    plain = one(kustomization(copy / "overlays/production"), "Deployment", "collector")["spec"]["template"]["spec"]
    blue = one(kustomization(copy / OVERLAY), "Deployment", "collector-blue")["spec"]["template"]["spec"]
    for spec in (plain, blue):
        for spread in spec["topologySpreadConstraints"]:
            del spread["labelSelector"]
    assert blue == plain


def test_stage_brings_up_the_idle_slot_and_moves_nobody(copy: Path) -> None:
    there = edit(copy, "stage", NEW)
    assert runs(there, "collector-green") == (NEW, 4)
    assert runs(there, "collector-blue")[0] != NEW
    assert (goes_to(there, "collector"), goes_to(there, "collector-preview")) == ("blue", "green")
    assert runs(there, "collector-worker")[0] == NEW
    migration = one(there, "Job", "collector-migrate-1-2-3")
    assert migration["spec"]["template"]["spec"]["containers"][0]["image"] == NEW


def test_one_command_there_and_one_back(copy: Path) -> None:
    staged = edit(copy, "stage", NEW)
    there = edit(copy, "switch", "green")
    assert (goes_to(there, "collector"), goes_to(there, "collector-preview")) == ("green", "blue")
    services = ("collector", "collector-preview")
    for before, after in zip(staged, there, strict=True):
        if before["metadata"]["name"] not in services:
            assert before == after, "a switch changes the Services and nothing else"
    assert edit(copy, "switch", "blue") == staged


def test_retire_scales_the_idle_slot_to_zero(copy: Path) -> None:
    edit(copy, "stage", NEW)
    before = edit(copy, "switch", "green")
    there = edit(copy, "retire")
    assert runs(there, "collector-blue") == (runs(before, "collector-blue")[0], 0)
    assert runs(there, "collector-green") == (NEW, 4)
    assert goes_to(there, "collector") == "green"


def test_the_next_version_goes_to_the_other_slot(copy: Path) -> None:
    edit(copy, "stage", NEW)
    edit(copy, "switch", "green")
    edit(copy, "retire")
    there = edit(copy, "stage", "localhost:5000/collector@sha256:0123abcd")
    assert runs(there, "collector-blue") == ("localhost:5000/collector@sha256:0123abcd", 4)
    assert runs(there, "collector-green") == (NEW, 4)
    assert having(there, "Job", "collector-migrate-0123abcd")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("switch", "green"), "green has no replicas"),
        (("switch", "purple"), "slots switch blue|green"),
        (("stage",), "an image with its tag or digest is needed"),
        (("stage", "localhost:5000/collector"), "an image with its tag or digest is needed"),
        (("stage", "collector:1|2"), "an image with its tag or digest is needed"),
        ((), "slots stage IMAGE"),
        (("delete",), "slots stage IMAGE"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(copy: Path, words: tuple[str, ...], why: str) -> None:
    before = (copy / OVERLAY / "slots.yaml").read_text()
    done = slots(copy, "--edit", *words)
    assert done.returncode != 0
    assert why in done.stderr
    assert (copy / OVERLAY / "slots.yaml").read_text() == before


def test_a_slot_that_is_not_seen_to_be_ready_gets_no_traffic(copy: Path) -> None:
    if shutil.which("kubectl") is None:
        raise NotHere("no kubectl on PATH")
    nowhere = copy / "kubeconfig"
    nowhere.write_text(
        "{apiVersion: v1, kind: Config, current-context: none, clusters: [{name: none, cluster: {server: "
        "'https://127.0.0.1:1'}}], contexts: [{name: none, context: {cluster: none}}]}"
    )
    edit(copy, "stage", NEW)
    done = slots(copy, "switch", "green", env={"KUBECONFIG": str(nowhere)})
    assert done.returncode == 1
    assert "green is not ready; blue is live as before" in done.stderr
    assert goes_to(kustomization(copy / OVERLAY), "collector") == "blue"


def test_the_smoke_test_may_pass_the_network_policies(copy: Path) -> None:
    (job,) = [each for each in kustomization_of_smoke(copy) if each["kind"] == "Job"]
    labels = job["spec"]["template"]["metadata"]["labels"]
    there = kustomization(copy / OVERLAY)
    probe = one(there, "NetworkPolicy", "probe")["spec"]["podSelector"]["matchLabels"]
    assert probe.items() <= labels.items()
    url = job["spec"]["template"]["spec"]["containers"][0]["args"][1]
    (port,) = one(there, "Service", "collector-preview")["spec"]["ports"]
    assert url == f"http://collector-preview:{port['port']}"


def kustomization_of_smoke(copy: Path) -> list[Manifest]:
    folder = copy / "smoke"
    folder.mkdir()
    shutil.copy(copy / OVERLAY / "smoke.yaml", folder)
    (folder / "kustomization.yaml").write_text("resources: [smoke.yaml]\n")
    return kustomization(folder)
