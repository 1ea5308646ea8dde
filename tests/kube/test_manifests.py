"""Every rendering is what a cluster takes, and what this project asks of it."""

from functools import cache

import pytest

from tests.kube.cases import files, names, rendered, steps, switched
from tests.kube.findings import Finding, expect_none
from tests.kube.judges import refused, scored
from tests.kube.pods import pods
from tests.kube.policy import broken
from tests.kube.rendered import chart_lint, having, parse
from tests.kube.restricted import restricted
from tests.kube.schemas import NEWEST, OLDEST, Module


@pytest.mark.parametrize("kubernetes", [OLDEST, NEWEST], ids=lambda module: module.version)
@pytest.mark.parametrize("name", [*names(), *steps()], ids=str)
def test_a_cluster_knows_every_field(name: str, kubernetes: Module) -> None:
    expect_none(name, refused(rendered(name), kubernetes))


@pytest.mark.parametrize("name", names(), ids=str)
def test_pods_are_restricted_and_keep_the_projects_rules(name: str) -> None:
    expect_none(name, ruled(name))


@pytest.mark.parametrize("name", [name for name in (*names(), *steps()) if name.startswith("k8s/")], ids=str)
def test_pod_security_is_what_the_oldest_kubernetes_means_by_it(name: str) -> None:
    minor = OLDEST.version.rpartition(".")[0]
    for namespace in having(parse(rendered(name)), "Namespace"):
        labels = namespace["metadata"].get("labels", {}).items()
        assert {value for label, value in labels if label.endswith("-version")} <= {minor}


@pytest.mark.parametrize("name", steps(), ids=str)
def test_the_pods_of_a_step_are_restricted(name: str) -> None:
    expect_none(name, shut_in(name))


@pytest.mark.parametrize("name", names(), ids=str)
def test_the_linter_has_nothing_against_it(name: str) -> None:
    expect_none(name, linted(name))


@pytest.mark.parametrize("name", [name for name in names() if name.startswith("helm")], ids=str)
def test_helm_has_nothing_against_the_chart(name: str) -> None:
    assert "0 chart(s) failed" in chart_lint(*files(name), set=switched(name))


@cache
def ruled(name: str) -> list[Finding]:
    return broken(parse(rendered(name)))


@cache
def linted(name: str) -> list[Finding]:
    return scored(rendered(name))


@cache
def shut_in(name: str) -> list[Finding]:
    return [finding for pod in pods(parse(rendered(name))) for finding in restricted(pod)]
