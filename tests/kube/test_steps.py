"""The steps: each file applies alone and says why it is there, and the page names what there is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.services import COMMANDS
from app.settings import SECRETS, Settings
from tests.kube.pods import pods
from tests.kube.rendered import K8S, Manifest, having, one, parse
from tests.kube.tools import ROOT

STEPS = K8S / "steps"
FILES = sorted(STEPS.glob("*.yaml"))
PAGE = (STEPS / "README.md").read_text()
SETTINGS = {name.upper() for name in Settings.model_fields} | {f"{name}_file".upper() for name in SECRETS}

each_file = pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])


def manifests(path: Path) -> list[Manifest]:
    return parse(path.read_text())


def sections() -> dict[int, str]:
    """The steps of the page by their number."""
    parts = re.split(r"^## (\d+)\. .*$", PAGE.partition("\n## Often said")[0], flags=re.MULTILINE)
    return {int(number): text for number, text in zip(parts[1::2], parts[2::2], strict=True)}


def commands(text: str) -> list[str]:
    return [
        found
        for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL)
        for found in re.findall(r"^\$ (.*)$", block, re.MULTILINE)
    ]


@each_file
def test_a_file_says_why_it_is_there(path: Path) -> None:
    comment = re.match(r"(?:# .*\n)+", path.read_text())
    assert comment, f"{path.name} does not begin with a comment"
    assert len(comment[0]) > 80
    for manifest in manifests(path):
        assert manifest["apiVersion"]
        assert manifest["kind"]
        assert manifest["metadata"]["name"]


def needs(spec: Manifest) -> Iterator[tuple[str, str]]:
    """What a pod does not start without: kind and name."""
    if account := spec.get("serviceAccountName"):
        yield "ServiceAccount", account
    for volume in spec.get("volumes", []):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
    for container in spec["containers"]:
        for source in container.get("envFrom", []):
            yield "ConfigMap", source["configMapRef"]["name"]


@each_file
def test_a_file_stands_alone(path: Path) -> None:
    there = manifests(path)
    for pod in pods(there):
        for kind, wanted in needs(pod.spec):
            assert having(there, kind, wanted), (
                f"{pod.owner} waits for {kind} {wanted}, which {path.name} does not have"
            )
    spaces = {manifest["metadata"]["name"] for manifest in having(there, "Namespace")}
    assert {
        manifest["metadata"]["namespace"] for manifest in there if "namespace" in manifest["metadata"]
    } <= spaces


@each_file
def test_what_a_pod_mounts_and_what_selects_it_fits(path: Path) -> None:
    for manifest in manifests(path):
        spec = manifest.get("spec", {})
        if labels := spec.get("selector", {}).get("matchLabels"):
            assert labels == spec["template"]["metadata"]["labels"]
        claims = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
        for pod in pods(manifests(path)) if manifest["kind"] == "StatefulSet" else []:
            mounted = {mount["name"] for each in pod.containers for mount in each["volumeMounts"]}
            assert mounted == claims
    for pod in pods(manifests(path)):
        volumes = {volume["name"] for volume in pod.spec.get("volumes", [])}
        mounted = {mount["name"] for each in pod.containers for mount in each.get("volumeMounts", [])}
        assert pod.owner.startswith("StatefulSet/") or mounted == volumes


@each_file
def test_a_collector_is_given_settings_and_commands_that_there_are(path: Path) -> None:
    for pod in pods(manifests(path)):
        for container in pod.containers:
            if not container["image"].startswith("collector:"):
                continue
            assert {variable["name"] for variable in container.get("env", [])} <= SETTINGS
            assert set(container.get("args", [])) <= COMMANDS.keys()
    plain = [
        each["data"] for each in having(manifests(path), "ConfigMap") if each["metadata"]["name"] != "prometheus"
    ]
    assert {name.upper() for data in plain for name in data} <= SETTINGS


def test_version_2_differs_in_its_image_alone() -> None:
    (old,), (new,) = manifests(STEPS / "03-deployment-v1.yaml"), manifests(STEPS / "03-deployment-v2.yaml")
    assert old["metadata"].pop("annotations") != new["metadata"].pop("annotations")
    images = [each["spec"]["template"]["spec"]["containers"][0].pop("image") for each in (old, new)]
    assert images == ["collector:v1", "collector:v2"]
    assert old == new


def declared(*, through: int) -> list[Manifest]:
    return [manifest for path in FILES if int(path.name[:2]) <= through for manifest in manifests(path)]


def test_redis_is_named_a_step_before_it_is_declared() -> None:
    step = pods(manifests(STEPS / "06-collector.yaml"))
    (pod,) = [pod for pod in step if pod.owner == "Deployment/collector-worker"]
    variables = {each["name"]: each["value"] for each in pod.containers[0]["env"]}
    host = re.fullmatch(r"redis://(\w+):\d+/0", variables["REDIS_URL"])
    assert host
    assert not having(declared(through=6), "Service", host[1])
    assert having(declared(through=7), "Service", host[1])
    database = re.fullmatch(r"postgres://\w+:\w+@(\w+)/\w+", variables["POSTGRES_CONNECTION_STRING"])
    assert database
    assert having(declared(through=5), "Service", database[1])


@pytest.mark.parametrize(
    "words", ["no spool: while the database is away, events are answered 503", "redis is away"]
)
def test_the_lines_of_the_log_on_the_page_are_the_collectors(words: str) -> None:
    assert words in PAGE
    assert any(f'"{words}"' in path.read_text() for path in (ROOT / "app").glob("*.py"))


def test_the_page_walks_every_file_in_order() -> None:
    steps = sections()
    assert list(steps) == list(range(1, len(steps) + 1))
    named = {
        number: set(re.findall(r"-f (\d\d-[\w-]+\.yaml)", "\n".join(commands(text))))
        for number, text in steps.items()
    }
    for path in FILES:
        assert path.name in named[int(path.name[:2])], (
            f"{path.name} is applied by none of the commands of its step"
        )


def test_every_step_has_a_problem_a_command_and_what_is_left() -> None:
    for number, text in sections().items():
        problem = text.strip().partition("\n\n")[0]
        assert not problem.startswith("```"), number
        assert commands(text), number
        assert "**Not solved:**" in text, number


def test_the_commands_name_files_that_there_are() -> None:
    for command in commands(PAGE):
        for name in re.findall(r"(?:-f|--filename) (\S+)", command):
            assert (STEPS / name).is_file(), command
    for link in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert (STEPS / link).exists(), link


def test_the_commands_name_objects_that_there_are() -> None:
    there = {(each["kind"].lower(), each["metadata"]["name"]) for each in declared(through=99)}
    there |= {("pod", "postgres-0")}
    pattern = r"\b(pod|deployment|statefulset|replicaset|job|service|externalsecret)/([\w-]+)"
    for command in commands(PAGE):
        for kind, name in re.findall(pattern, command):
            assert (kind, name) in there, command


def test_a_team_may_do_in_its_own_namespace_only_and_its_quota_has_no_cpu_limit() -> None:
    file = manifests(STEPS / "08-namespaces.yaml")
    spaces = [each["metadata"]["name"] for each in having(file, "Namespace")]
    assert len(spaces) == 2
    for binding, space in zip(having(file, "RoleBinding"), spaces, strict=True):
        assert binding["metadata"]["namespace"] == space
        assert [subject["name"] for subject in binding["subjects"]] == [space]
    for quota in having(file, "ResourceQuota"):
        assert set(quota["spec"]["hard"]) == {"requests.cpu", "requests.memory", "limits.memory", "pods"}
    for limits in having(file, "LimitRange"):
        assert all(set(item) == {"type", "defaultRequest"} for item in limits["spec"]["limits"])
    report: dict[str, Any] = one(file, "Job", "report")["spec"]["template"]["spec"]["containers"][0]
    assert "cpu" in report["resources"]["limits"]
