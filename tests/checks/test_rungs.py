"""Every rung of deploy/, and the image: they name settings, paths, ports, versions and times that there are."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.cli.services import COMMANDS
from app.main import CLOSE_SECONDS
from app.settings import SECRETS, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETTINGS = {name.upper() for name in Settings.model_fields} | {f"{name}_file".upper() for name in SECRETS}
PROBES = {"/healthz", "/readyz"}

# What others read: Python itself, and Docker Compose where it reads a file of ours.
PYTHONS = {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}

Service = dict[str, Any]


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text().replace("\\\n", " ")


def units() -> dict[str, list[tuple[str, str]]]:
    return {
        path.name: re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE)
        for path in sorted((DEPLOY / "systemd").iterdir())
        if path.suffix in (".service", ".timer")
    }


def of(unit: str, key: str) -> list[str]:
    return [value for name, value in units()[unit] if name == key]


class _Compose(yaml.SafeLoader):  # type: ignore[misc]  # it has no types
    """YAML with the tag by which a Compose file takes back what one below it says."""


_Compose.add_constructor("!reset", lambda *_: None)


def services(path: Path) -> dict[str, Service]:
    """The services of a Compose file, on top of those of compose.yaml that they are made of."""
    mine: dict[str, Service] = yaml.load(path.read_text(), _Compose).get("services") or {}
    if path.name == "compose.yaml":
        return {name: _on_top({}, service) for name, service in mine.items()}
    below = services(path.with_name("compose.yaml"))
    made_of = {name: service.get("extends", {}).get("service", name) for name, service in mine.items()}
    return {name: _on_top(below.get(made_of[name], {}), service) for name, service in mine.items()}


def _on_top(below: Service, service: Service) -> Service:
    variables = {**(below.get("environment") or {}), **(service.get("environment") or {})}
    return {**below, **service, "environment": variables}


def collectors() -> Iterator[tuple[str, Service]]:
    """Every service of every Compose file that runs our image."""
    for path in sorted((DEPLOY / "compose").glob("compose*.yaml")):
        for name, service in services(path).items():
            if "collector" in str(service.get("image", "")):
                yield f"{path.name}: {name}", service


def kube() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every Deployment of the plain manifests, by its name."""
    for path in sorted((DEPLOY / "k8s" / "base").rglob("*.yaml")):
        for manifest in yaml.safe_load_all(path.read_text()):
            if manifest["kind"] == "Deployment":
                yield f"k8s: {manifest['metadata']['name']}", manifest


def kube_settings() -> dict[str, str]:
    lines = (DEPLOY / "k8s/base/settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def docker_run() -> list[str]:
    page = (DEPLOY / "docker/README.md").read_text()
    (command,) = re.findall(r"^\$ (docker run --detach (?:.*\\\n)*.*)$", page, re.MULTILINE)
    return str(command).replace("\\\n", " ").split()


def after(words: list[str], option: str) -> list[str]:
    return [words[place + 1] for place, word in enumerate(words) if word == option]


def environments() -> dict[str, set[str]]:
    """The names of all variables that a rung sets for the collector."""
    image = re.findall(r"^ENV (.*)$", dockerfile(), re.MULTILINE)
    found = {"Dockerfile": set(re.findall(r"(\w+)=", " ".join(image))) - PYTHONS}
    found["docker run"] = {word.partition("=")[0] for word in after(docker_run(), "--env")}
    for name in units():
        found[name] = {value.partition("=")[0] for value in of(name, "Environment")}
    for name, service in collectors():
        found[name] = set(service["environment"])
    return {**found, "k8s": set(kube_settings())}


@pytest.mark.parametrize(("rung", "names"), environments().items(), ids=environments())
def test_every_variable_is_a_setting(rung: str, names: set[str]) -> None:
    assert names <= SETTINGS, f"{rung} sets what no setting reads: {sorted(names - SETTINGS)}"


def test_the_variables_of_a_rung_were_found() -> None:
    assert {"HOST", "SQLITE_PATH"} <= environments()["Dockerfile"]
    assert environments()["docker run"] == {"ALLOW_ANONYMOUS"}
    assert environments()["collector.service"] == {"SQLITE_PATH"}
    assert "POSTGRES_CONNECTION_STRING" in environments()["compose.yaml: collector"]


def test_ports_are_the_collectors_own() -> None:
    port = str(Settings.model_fields["port"].default)
    assert re.findall(r"^EXPOSE (.*)$", dockerfile(), re.MULTILINE) == [port]
    published = after(docker_run(), "--publish")
    assert published == [f"127.0.0.1:{port}:{port}"]
    for name, service in collectors():
        for one in service.get("ports") or []:
            assert re.search(rf"127\.0\.0\.1:\d+\}}?:{port}$", one), f"{name} publishes {one}"


def test_every_probe_asks_for_a_path_that_there_is() -> None:
    asked = {
        (str(path.relative_to(ROOT)), found)
        for path in sorted([*DEPLOY.rglob("*"), ROOT / "Dockerfile"])
        if path.is_file() and path.suffix in (".yaml", ".conf", ".service", ".timer", ".md", "")
        for found in re.findall(r"(?<![A-Za-z_.])/(?:health|ready|live)\w*\b", path.read_text())
    }
    assert {found for _, found in asked} <= PROBES | {"/ready"}, asked
    source = (ROOT / "app" / "api.py").read_text()
    assert all(f'"{path}"' in source for path in PROBES)


def test_the_healthcheck_is_a_command_that_there_is() -> None:
    assert "healthcheck" in COMMANDS
    assert re.findall(r'^HEALTHCHECK .* CMD \["collector", "(\w+)"\]$', dockerfile(), re.MULTILINE) == [
        "healthcheck"
    ]
    assert of("collector-ready.service", "ExecStart") == ["/opt/collector/bin/collector healthcheck"]
    worker = dict(collectors())["compose.yaml: worker"]
    port = str(Settings.model_fields["worker_port"].default)
    assert worker["healthcheck"]["test"] == ["CMD", "collector", "healthcheck", "--port", port]
    assert of("collector.service", "ExecStart") == ["/opt/collector/bin/collector serve"]


def grace() -> dict[str, tuple[float, dict[str, Any]]]:
    """For each rung the seconds from SIGTERM to SIGKILL, and the settings that say how long leaving takes."""
    (stop,) = after(docker_run(), "--stop-timeout")
    (unit,) = of("collector.service", "TimeoutStopSec")
    found: dict[str, tuple[float, dict[str, Any]]] = {
        "docker run": (float(stop), dict(word.split("=", 1) for word in after(docker_run(), "--env"))),
        "systemd": (float(unit), dict(value.split("=", 1) for value in of("collector.service", "Environment"))),
    }
    for name, service in collectors():
        if service.get("command", ["serve"]) in (["serve"], ["worker"]) and "entrypoint" not in service:
            seconds = re.fullmatch(r"(\d+)s", str(service.get("stop_grace_period")))
            assert seconds, f"{name} has no stop_grace_period in seconds"
            found[name] = (float(seconds[1]), service["environment"])
    for name, deployment in kube():
        pod = deployment["spec"]["template"]["spec"]
        found[name] = (float(pod["terminationGracePeriodSeconds"]), kube_settings())
    return found


@pytest.mark.parametrize("rung", grace())
def test_leaving_gets_the_time_that_it_takes(rung: str) -> None:
    seconds, environment = grace()[rung]
    drain, graceful = (
        float(environment.get(name.upper(), Settings.model_fields[name].default))
        for name in ("drain_seconds", "graceful_seconds")
    )
    assert seconds > drain + graceful + CLOSE_SECONDS


def test_the_image_has_its_version_from_the_one_place() -> None:
    labels = dict(re.findall(r'(org\.opencontainers\.image\.\w+)="([^"]*)"', dockerfile()))
    assert labels["org.opencontainers.image.version"] == "${VERSION}"
    assert labels["org.opencontainers.image.title"] == PYPROJECT["project"]["name"]
    assert labels["org.opencontainers.image.licenses"] == PYPROJECT["project"]["license"]
    assert labels["org.opencontainers.image.description"] == PYPROJECT["project"]["description"]
    short = PYPROJECT["tool"]["collector"]["image"].rpartition("/")[2]
    assert docker_run()[-1] == short
    assert all(f"COLLECTOR_IMAGE:-{short}:latest" in str(service["image"]) for _, service in collectors())


@pytest.mark.parametrize(
    "folder", [path.name for path in sorted(DEPLOY.iterdir()) if (path / "README.md").exists()]
)
def test_a_rungs_page_shows_a_command(folder: str) -> None:
    page = (DEPLOY / folder / "README.md").read_text()
    assert re.search(r"^```console\n\$ ", page, re.MULTILINE)


def workflows() -> dict[str, dict[str, Any]]:
    return {path.name: yaml.safe_load(path.read_text()) for path in sorted((ROOT / ".github/workflows").iterdir())}


def test_actions_are_pinned_by_digest_and_jobs_get_the_least_rights() -> None:
    for name, workflow in workflows().items():
        assert workflow["permissions"] == {}, name
        for job in workflow["jobs"].values():
            assert "permissions" in job, name
            for step in [job, *job.get("steps", [])]:
                uses = step.get("uses", "./")
                assert uses.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", uses), uses
