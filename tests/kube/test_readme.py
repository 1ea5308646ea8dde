"""What the README does to a cluster: its commands are rendered with the same words."""

import shlex

import pytest

from tests.kube.rendered import CHART, K8S, RenderError, having, kustomization, parse
from tests.kube.tools import ROOT, run, tool
from tests.readme import commands_for

OURS = commands_for(__file__)
KUSTOMIZED, APPLIED = "kubectl apply --kustomize ", "kubectl apply --filename "
INSTALLED, TESTED = "helm install ", "helm test "


@pytest.mark.parametrize("command", OURS)
def test_each_is_one_of_these(command: str) -> None:
    assert command.startswith((KUSTOMIZED, APPLIED, INSTALLED, TESTED))


@pytest.mark.parametrize("command", [one for one in OURS if one.startswith(KUSTOMIZED)])
def test_what_is_applied_can_be_built(command: str) -> None:
    folder = ROOT / command.removeprefix(KUSTOMIZED)
    assert folder.is_relative_to(K8S)
    assert having(kustomization(folder), "Deployment", "collector")


@pytest.mark.parametrize("command", [one for one in OURS if one.startswith(INSTALLED)])
def test_what_is_installed_can_be_rendered_and_has_a_test(command: str) -> None:
    words = shlex.split(command)
    name, chart = words[2:4]
    assert ROOT / chart == CHART
    done = run((tool("helm"), "template", name, ROOT / chart, *words[4:]))
    if done.returncode:
        raise RenderError(done.stderr)
    hooks = [one["metadata"].get("annotations", {}).get("helm.sh/hook") for one in parse(done.stdout)]
    assert "test" in hooks
    namespace = words[words.index("--namespace") + 1]
    assert f"{TESTED}{name} --namespace {namespace}" in OURS


@pytest.mark.parametrize("command", [one for one in OURS if one.startswith(APPLIED)])
def test_what_is_applied_is_the_root_application(command: str) -> None:
    (application,) = parse((ROOT / command.removeprefix(APPLIED)).read_text())
    assert application["kind"] == "Application"
