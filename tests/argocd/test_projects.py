"""Projects: each lets in what its Applications are made of, and no more."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.argocd import applications
from tests.argocd.applications import HERE, environments, names, platform, rendered, sources
from tests.argocd.test_order import group
from tests.kube.rendered import Manifest, having

Kind = tuple[str, str]
WITHOUT_A_NAMESPACE = {
    *("Namespace", "ClusterSecretStore", "GatewayClass", "CustomResourceDefinition"),
    *("ClusterRole", "ClusterRoleBinding"),
}


def applied() -> dict[str, list[Manifest]]:
    """The Applications of each project, from the root's on."""
    found: dict[str, list[Manifest]] = {}
    for each in every_application():
        found.setdefault(each["spec"]["project"], []).append(each)
    return found


def every_application() -> Iterator[Manifest]:
    yield HERE.root
    yield from having(applications.hub(), "Application")
    yield from applications.clusters()
    for name in names():
        yield from having(platform(name), "Application")
        yield from environments(name)


def projects() -> dict[str, Mapping[str, Any]]:
    made = [*applications.hub(), *(one for name in names() for one in platform(name))]
    return {each["metadata"]["name"]: each["spec"] for each in having(made, "AppProject")}


def kinds(items: list[Mapping[str, str]] | None) -> set[Kind]:
    return {(item["group"], item["kind"]) for item in items or ()}


def test_every_application_is_in_a_project_of_ours() -> None:
    assert applied().keys() == projects().keys()


def test_a_project_names_the_repositories_that_are_used() -> None:
    for name, made in applied().items():
        used = {source["repoURL"] for each in made for source in sources(each)}
        assert set(projects()[name]["sourceRepos"]) == used, name


def test_a_project_names_the_places_that_are_used() -> None:
    for name, made in applied().items():
        allowed = projects()[name]["destinations"]
        used = {
            (each["spec"]["destination"]["name"], namespace) for each in made for namespace in namespaces(each)
        }
        for cluster, namespace in used:
            assert any(fits(item, cluster, namespace) for item in allowed), (name, cluster, namespace)
        for item in allowed:
            elsewhere = item["namespace"] == "kube-system"  # what others' charts put there; see values.yaml
            assert elsewhere or any(fits(item, *place) for place in used), (name, item)


def fits(item: Mapping[str, str], cluster: str, namespace: str) -> bool:
    return item["name"] == cluster and fnmatchcase(namespace, item["namespace"])


def namespaces(application: Manifest) -> set[str]:
    own = application["spec"]["destination"]["namespace"]
    return {own} | {each["metadata"].get("namespace", own) for each in rendered(HERE, application)}


def test_only_environments_have_a_pattern() -> None:
    """They are files, so the project cannot name their namespaces; a star is nowhere else, and nowhere alone."""
    patterns = {
        (name, item["namespace"])
        for name, spec in projects().items()
        for item in spec["destinations"]
        if "*" in str(item)
    }
    assert patterns == {(f"collector-{name}", "collector-*") for name in names()}
    for spec in projects().values():
        listed = [spec.get(f"{which}ResourceWhitelist", []) for which in ("cluster", "namespace")]
        assert "*" not in f"{spec['sourceRepos']} {listed}"


@pytest.mark.parametrize("project", ["default", *(f"collector-{name}" for name in names())])
def test_a_project_names_the_kinds_that_are_made(project: str) -> None:
    made = [one for each in applied()[project] for one in rendered(HERE, each)]
    used = {(group(each), each["kind"]) for each in made}
    spec = projects()[project]
    allowed = kinds(spec.get("namespaceResourceWhitelist"))
    assert {kind for kind in used if kind[1] not in WITHOUT_A_NAMESPACE} <= allowed
    # What one cluster has no use for, another has: the list is the same for all.
    everywhere = {(group(each), each["kind"]) for each in everything_of(project.partition("-")[0])}
    assert allowed <= everywhere, f"{project} lets in what nothing is made of: {allowed - everywhere}"
    assert kinds(spec.get("clusterResourceWhitelist")) == ({("", "Namespace")} if "-" in project else set())


def everything_of(family: str) -> Iterator[Manifest]:
    for name, made in applied().items():
        if name.partition("-")[0] == family:
            for each in made:
                yield from rendered(HERE, each)


@pytest.mark.parametrize("cluster", names())
def test_what_the_platform_makes_without_a_namespace_is_named(cluster: str) -> None:
    made = [one for each in applied()[f"platform-{cluster}"] for one in rendered(HERE, each)]
    used = {(group(each), each["kind"]) for each in made if each["kind"] in WITHOUT_A_NAMESPACE}
    assert used == {
        ("", "Namespace"),
        ("external-secrets.io", "ClusterSecretStore"),
        ("gateway.networking.k8s.io", "GatewayClass"),
    }
    assert used <= kinds(projects()[f"platform-{cluster}"]["clusterResourceWhitelist"])
