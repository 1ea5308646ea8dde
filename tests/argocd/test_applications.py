"""From the root Application on everything exists, renders, and is what the API server takes."""

from pathlib import Path

import pytest
import yaml

from tests.argocd import applications
from tests.argocd.applications import HERE, Checkout, all_manifests, environments, names, platform, theirs
from tests.argocd.go_engine import EngineError, engine
from tests.kube.judges import refused
from tests.kube.rendered import RenderError, having, one
from tests.kube.schemas import NEWEST, OLDEST, Module
from tests.kube.tools import ROOT

ADDONS = yaml.safe_load((ROOT / "argocd/platform/values.yaml").read_text())["addons"]


@pytest.mark.parametrize("kubernetes", [OLDEST, NEWEST], ids=lambda module: module.version)
def test_everything_renders_and_is_taken(kubernetes: Module) -> None:
    made = dict(all_manifests())
    assert {"root", "cluster-eu", "cluster-us", "production-eu", "production-us", "staging-eu"} <= made.keys()
    text = yaml.safe_dump_all([one for manifests in made.values() for one in manifests])
    found = refused(text, kubernetes)
    assert not found, found


def test_what_is_generated_is_taken_too() -> None:
    found = [one for name in names() for one in (*applications.clusters(), *environments(name))]
    assert not refused(yaml.safe_dump_all(found), NEWEST)


def test_every_file_of_values_is_used_and_there() -> None:
    """Of `$values` too, whose charts are not here to be rendered."""
    made = [
        *having(applications.hub(), "Application"),
        *(one for name in names() for one in having(platform(name), "Application")),
    ]
    used = {
        file for one in made for source in theirs(HERE, one) for file in applications.values_files(HERE, source)
    }
    missing = [str(file.relative_to(ROOT)) for file in used if not file.is_file()]
    assert not missing
    there = {ROOT / "argocd/install/values.yaml", *(ROOT / "argocd/platform/values").iterdir()}
    switched_off = {ROOT / f"argocd/platform/values/{name}.yaml" for name in ADDONS if not ADDONS[name]["enabled"]}
    assert used | switched_off == there


def test_a_file_of_overrides_belongs_to_an_environment_on_a_cluster() -> None:
    there = {file.relative_to(ROOT / "argocd/overrides") for file in ROOT.glob("argocd/overrides/*/*")}
    run = {
        Path(name) / f"{each['metadata']['name'].removesuffix(f'-{name}')}.yaml"
        for name in names()
        for each in environments(name)
    }
    assert there <= run


def test_an_environment_is_one_file(copy: Checkout) -> None:
    text = (copy.path / "argocd/envs/staging.yaml").read_text()
    more = "tokens: {secret: {name: collector-tokens}}\n"
    (copy.path / "argocd/envs/demo.yaml").write_text(text + more)
    demo = one(environments("eu", copy), "Application", "demo-eu")
    assert demo["spec"]["destination"] == {"name": "in-cluster", "namespace": "collector-demo"}
    assert one(applications.rendered(copy, demo), "Deployment", "collector")
    assert "demo-us" not in {each["metadata"]["name"] for each in environments("us", copy)}


def test_a_cluster_is_one_file(copy: Checkout) -> None:
    text = (copy.path / "argocd/clusters/us.yaml").read_text()
    (copy.path / "argocd/clusters/ap.yaml").write_text(text.replace("us,", "ap,").replace("us}", "ap}"))
    assert one(platform("ap", copy), "AppProject", "collector-ap")
    (production,) = environments("ap", copy)
    assert production["spec"]["destination"]["name"] == "ap"


def test_a_cluster_without_a_name_is_an_error(copy: Checkout) -> None:
    (copy.path / "argocd/clusters/ap.yaml").write_text("environments: [production]\n")
    with pytest.raises(EngineError, match="cluster"):
        applications.clusters(copy)


def test_a_value_that_there_is_not_is_an_error(copy: Checkout) -> None:
    with (copy.path / "argocd/envs/staging.yaml").open("a") as file:
        file.write("replicsa: 2\n")
    (staging,) = (each for each in environments("eu", copy) if each["metadata"]["name"] == "staging-eu")
    with pytest.raises(RenderError, match="replicsa"):
        applications.rendered(copy, staging)


def test_what_a_template_lacks_is_an_error() -> None:
    with pytest.raises(EngineError, match="no entry for key"):
        engine("template", {"template": "{{ .a }}", "options": ["missingkey=error"], "parameters": [{}]})


def test_an_addon_is_switched_by_cluster(copy: Checkout) -> None:
    def has(cluster: str) -> set[str]:
        return {each["metadata"]["name"] for each in having(platform(cluster, copy), "Application")}

    with (copy.path / "argocd/clusters/us.yaml").open("a") as file:
        file.write("addons: {keda: {enabled: true}}\n")
    assert "metrics-server-eu" not in has("eu")
    assert {"metrics-server-us", "keda-us"} <= has("us")


def test_all_of_it_is_kept_by_argo_cd() -> None:
    """Automated, tried five times, by the server, and with what is ignored left alone."""
    made = [HERE.root, *having(applications.hub(), "Application"), *applications.clusters()]
    for name in names():
        made += [*having(platform(name), "Application"), *environments(name)]
    for each in made:
        policy = each["spec"]["syncPolicy"]
        assert policy["automated"]["selfHeal"] is True
        assert policy["retry"]["limit"] == 5
        assert {"ServerSideApply=true", "RespectIgnoreDifferences=true"} <= set(policy["syncOptions"])
        brings_definitions = bool(theirs(HERE, each))
        assert policy["automated"]["prune"] is not brings_definitions, each["metadata"]["name"]


def test_nothing_that_holds_data_is_ever_deleted() -> None:
    """Neither by a commit that leaves it out, nor with its Application."""
    keep = {"PersistentVolumeClaim", "Cluster", "ObjectStore", "Namespace"}
    found = [each for _, manifests in all_manifests() for each in manifests if each["kind"] in keep]
    assert {"Cluster", "ObjectStore"} <= {each["kind"] for each in found}
    for each in found:
        assert each["metadata"]["annotations"]["argocd.argoproj.io/sync-options"] == "Prune=false,Delete=false"
    for name in names():
        for made in having([*applications.hub(), *platform(name)], "ApplicationSet"):
            assert made["spec"]["syncPolicy"]["preserveResourcesOnDeletion"] is True
    for _, manifests in all_manifests():
        assert not [each for each in manifests if each["metadata"].get("finalizers")]
