"""What comes from others comes at one version; what is secret is not here at all; the repository stands once."""

import re
import tomllib
from typing import Any

import yaml

from tests.argocd import applications
from tests.argocd.applications import HERE, all_manifests, names, platform, theirs
from tests.kube.rendered import having
from tests.kube.schemas import OPERATORS
from tests.kube.tools import ROOT

EXACT = re.compile(r"v?\d+\.\d+\.\d+")
VALUES = yaml.safe_load((ROOT / "argocd/platform/values.yaml").read_text())
SECRETIVE = re.compile(r"password|token|secret|accessKey|privateKey", re.IGNORECASE)


def test_a_version_of_others_is_exact() -> None:
    made = [*having(applications.hub(), "Application")]
    made += [one for name in names() for one in having(platform(name), "Application")]
    found = {source["repoURL"]: source["targetRevision"] for each in made for source in theirs(HERE, each)}
    assert len(found) > 5
    assert not {repo: version for repo, version in found.items() if not EXACT.fullmatch(version)}
    switched_off = [addon["version"] for addon in VALUES["addons"].values() if not addon["enabled"]]
    assert all(EXACT.fullmatch(version) for version in switched_off)


def test_definitions_are_those_that_manifests_are_checked_with() -> None:
    """Where the chart has the version of what it installs."""
    checked = {module.path.rpartition("/")[2]: module.version for module in OPERATORS}
    addons = VALUES["addons"]
    assert addons["gateway-api"]["version"] == checked["gateway-api"]
    assert f"v{addons['external-secrets']['version']}" == checked["external-secrets"]


def test_the_page_installs_what_argo_cd_then_keeps() -> None:
    chart = yaml.safe_load((ROOT / "argocd/hub/values.yaml").read_text())["argocd"]
    page = (ROOT / "argocd/README.md").read_text()
    assert f"{chart['chart']} --repo {chart['repo']} --version {chart['version']} " in page


def test_what_is_fetched_at_run_time_names_its_version() -> None:
    plugins = yaml.safe_load((ROOT / "argocd/platform/values/argo-rollouts.yaml").read_text())["controller"]
    for plugin in plugins["trafficRouterPlugins"]:
        assert re.search(r"/releases/download/v\d+\.\d+\.\d+/", plugin["location"])


def test_no_secret_has_data() -> None:
    for name, manifests in all_manifests():
        found = [each["metadata"]["name"] for each in having(manifests, "Secret")]
        assert not found, f"{name} brings Secrets: {found}"
    for path in sorted(ROOT.glob("argocd/**/*.yaml")):
        if "templates" not in path.parts:
            for document in yaml.safe_load_all(path.read_text()):
                assert not list(secretive(document)), path


def secretive(node: Any, key: str = "") -> Any:
    """Every plain text under a key that sounds like a secret, but for names of where one is."""
    if isinstance(node, dict):
        for name, nested in node.items():
            yield from secretive(nested, str(name))
    elif isinstance(node, list):
        for nested in node:
            yield from secretive(nested, key)
    elif isinstance(node, str) and SECRETIVE.search(key) and not key.endswith(("Key", "key", "Secret", "secrets")):
        yield key, node


def test_a_secret_would_be_noticed() -> None:
    assert list(secretive({"grafana": {"adminPassword": "hunter2"}})) == [("adminPassword", "hunter2")]
    assert not list(secretive({"admin": {"existingSecret": "grafana-admin", "passwordKey": "admin-password"}}))


def test_the_repository_stands_once() -> None:
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    assert HERE.repo == about
    said = [
        str(path.relative_to(ROOT))
        for path in sorted(ROOT.glob("argocd/**/*"))
        if path.is_file() and about in path.read_text()
    ]
    assert said == ["argocd/root.yaml"]


def test_the_revision_is_followed_everywhere() -> None:
    revision = HERE.root["spec"]["source"]["targetRevision"]
    for _, manifests in all_manifests():
        for each in having(manifests, "Application"):
            ours = [one for one in applications.sources(each) if one["repoURL"] == HERE.repo]
            assert {one["targetRevision"] for one in ours} <= {revision}
