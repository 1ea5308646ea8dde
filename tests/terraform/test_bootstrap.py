"""terraform/bootstrap, applied with what stands in for Helm's provider, telling a real collector of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.kube.tools import ROOT, run, tool
from tests.ports import LOOPBACK, free_port
from tests.process import CollectorProcess
from tests.terraform.modules import TERRAFORM, Module, copy

GIVEN = """
kubeconfig = "/nowhere"
context    = "nobody"
argocd     = "tests/fixtures/argocd"
"""
CHART = TERRAFORM / "bootstrap" / "root"


@pytest.fixture
def bootstrap(tmp_path: Path) -> Module:
    module = copy("bootstrap", tmp_path, standins=True)
    (module.folder / "given.auto.tfvars").write_text(GIVEN, encoding="utf-8")
    return module


@pytest.mark.timeout(600)
async def test_it_tells_a_collector_once_of_each_change(bootstrap: Module, tmp_path: Path) -> None:
    with CollectorProcess(env={"SQLITE_PATH": str(tmp_path / "events.db")}) as collector:
        await collector.wait_until_ready(60)
        told = f"-var=narrate_url={collector.url}"
        bootstrap.apply(told)
        assert bootstrap.plan(told) == {}
        bootstrap.apply(told)
        (event,) = await _events(collector.url)
        assert (event["source"], event["action"], event["subject"]) == ("terraform", "deploy.succeeded", "argocd")
        assert event["data"]["argo_cd"] == "1.2.3"

        bootstrap.apply(told, "-var=storage=ebs")
        newest, oldest = await _events(collector.url)
        assert oldest["id"] == event["id"] != newest["id"]
        assert newest["data"]["root"] != event["data"]["root"]


@pytest.mark.timeout(600)
def test_a_collector_that_is_away_fails_nothing(bootstrap: Module) -> None:
    bootstrap.apply(f"-var=narrate_url=http://{LOOPBACK}:{free_port()}")
    assert "helm_release.root" in bootstrap.run("state", "list").stdout
    bootstrap.destroy()
    assert not bootstrap.run("state", "list", ok=(0, 1)).stdout


def test_the_chart_is_the_application_as_it_is_given() -> None:
    application = yaml.safe_load(
        (TERRAFORM / "bootstrap/tests/fixtures/argocd/root.yaml").read_text(encoding="utf-8")
    )
    assert _rendered({"application": application}) == [application]
    (_, storage) = _rendered({"application": application, "storage": "ebs"})
    assert storage["kind"] == "StorageClass"
    assert storage["parameters"] == {"type": "gp3", "encrypted": "true", "csi.storage.k8s.io/fstype": "ext4"}
    assert storage["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}


@pytest.mark.timeout(600)
def test_it_brings_up_what_argocd_says(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "argocd", tmp_path / "argocd")
    module = copy("bootstrap", tmp_path / "terraform", standins=True)
    module.run("plan", "-out=plan", "-var=kubeconfig=/nowhere", "-var=context=nobody")
    planned = json.loads(module.run("show", "-json", "plan").stdout)["planned_values"]["root_module"]["resources"]
    values = {one["address"]: one["values"] for one in planned}
    pinned = yaml.safe_load((ROOT / "argocd/hub/values.yaml").read_text(encoding="utf-8"))["argocd"]
    argocd = values["helm_release.argocd"]
    assert {"repo": argocd["repository"], "chart": argocd["chart"], "version": argocd["version"]} == pinned
    root = yaml.safe_load((ROOT / "argocd/root.yaml").read_text(encoding="utf-8"))
    brought = yaml.safe_load(values["helm_release.root"]["values"][0])["application"]
    assert brought == root


def _rendered(values: dict[str, Any]) -> list[Any]:
    done = run([tool("helm"), "template", "root", CHART, "--values", "-"], stdin=yaml.safe_dump(values))
    assert done.returncode == 0, done.stderr
    return sorted(filter(None, yaml.safe_load_all(done.stdout)), key=lambda one: str(one["kind"]))


async def _events(url: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/events")
        return list(answer.raise_for_status().json())
