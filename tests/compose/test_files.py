"""The files of deploy/compose and what they mount, by the tools that read them."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from app.deadlines import Deadlines
from app.main import CLOSE_SECONDS
from app.settings import Settings
from tests.compose.stack import FILES, FOLDER, ran
from tests.engine import ROOT, docker

PROMETHEUS = "prom/prometheus:v2.53.3"
ALERTMANAGER = "prom/alertmanager:v0.28.1"
RULES = sorted((ROOT / "deploy/prometheus").glob("*_test.yaml"))
NGINX = (FOLDER / "nginx.conf").read_text()


def merged(*files: str) -> dict[str, Any]:
    env = {"COMPOSE_FILE": ":".join(files), "COMPOSE_PROJECT_NAME": "x"}
    done = ran("docker", "compose", "--profile=*", "config", "--format=json", env=env)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def published(document: dict[str, Any]) -> dict[str, set[str]]:
    services = document["services"].items()
    return {name: {port["host_ip"] for port in one["ports"]} for name, one in services if one.get("ports")}


def test_the_first_file_is_short() -> None:
    assert len((FOLDER / FILES[0]).read_text().splitlines()) < 80


def test_every_file_fits_on_top_of_the_first(engine: None) -> None:
    for more in range(len(FILES)):
        for others in combinations(FILES[1:], more):
            merged(FILES[0], *others)


def test_nothing_is_published_but_what_has_to_be_and_on_loopback_alone(engine: None) -> None:
    loopback = {"127.0.0.1"}
    assert published(merged(FILES[0])) == {"collector": loopback}
    assert published(merged(*FILES[:2])) == {"nginx": loopback}
    more = dict.fromkeys(("nginx", "prometheus", "alertmanager", "grafana"), loopback)
    assert published(merged(*FILES)) == more


def test_every_container_is_hardened_and_limited(engine: None) -> None:
    own = {"postgres", "redis"}  # they begin as root, to make their folders theirs
    for name, service in merged(*FILES)["services"].items():
        assert int(service["mem_limit"]) <= 2**30, name
        if name not in own:
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["pids_limit"] <= 200, name


def test_the_grace_is_longer_than_the_leave(engine: None) -> None:
    for files in (FILES[:1], FILES[:2]):
        for name, service in merged(*files)["services"].items():
            if name.startswith(("collector", "worker")):
                settings = Settings(**{
                    key.lower(): value
                    for key, value in service["environment"].items()
                    if key.lower() in ("drain_seconds", "graceful_seconds")
                })  # fmt: skip
                leave = settings.drain_seconds + settings.graceful_seconds + CLOSE_SECONDS
                assert float(service["stop_grace_period"].removesuffix("s")) > leave, name
                assert settings.drain_seconds >= 10 or files == FILES[:1] or name == "worker"


def test_nginx_knows_the_addresses_that_the_collectors_have(engine: None) -> None:
    services = merged(*FILES[:2])["services"]
    addresses = {
        one["hostname"]: one["networks"]["front"]["ipv4_address"]
        for name, one in services.items()
        if name.startswith("collector")
    }
    assert len(addresses) == 3
    assert dict(line.split("=") for line in services["nginx"]["extra_hosts"]) == addresses
    assert re.findall(r"server (\S+):8080 ", NGINX) == sorted(addresses)


def test_nginx_closes_idle_connections_before_the_collectors_do() -> None:
    (upstream,) = re.findall(r"upstream collectors \{.*?keepalive_timeout (\d+)s;", NGINX, re.DOTALL)
    (drain,) = re.findall(r'DRAIN_SECONDS: "(\d+)"', (FOLDER / FILES[1]).read_text())
    assert int(upstream) < int(drain) < Deadlines.idle


def test_nginx_sends_nothing_twice_that_may_have_been_kept() -> None:
    assert re.findall(r"^ *proxy_next_upstream (.*);", NGINX, re.MULTILINE) == ["error timeout"]


def test_nginx_takes_its_configuration(engine: None) -> None:
    hosts = [f"--add-host=collector-{number}:127.0.0.1" for number in (1, 2, 3)]
    mount = f"--volume={FOLDER}/nginx.conf:/etc/nginx/nginx.conf:ro"
    image = "nginxinc/nginx-unprivileged:1"
    docker("run", "--rm", "--user=101:101", "--read-only", "--tmpfs=/tmp", *hosts, mount, image, "nginx", "-t")


def test_the_rules_do_what_their_tests_say(engine: None) -> None:
    mount, names = f"--volume={RULES[0].parent}:/rules:ro", (f"/rules/{file.name}" for file in RULES)
    said = docker("run", "--rm", mount, "--entrypoint=promtool", PROMETHEUS, "test", "rules", *names)
    assert said.count("SUCCESS") == len(RULES) == 3


def test_prometheus_takes_its_configuration_and_every_rule_file(engine: None) -> None:
    document = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    names = [Path(name).name for name in document["rule_files"]]
    assert sorted(names) == sorted(path.name.replace("_test", "") for path in RULES)
    # Where Compose mounts them, beside the configuration.
    mounts = [
        f"--volume={FOLDER}/prometheus.yaml:/etc/prometheus/prometheus.yaml:ro",
        f"--volume={ROOT}/deploy/prometheus:/etc/prometheus/rules:ro",
    ]
    check = ("check", "config", "/etc/prometheus/prometheus.yaml")
    said = docker("run", "--rm", *mounts, "--entrypoint=promtool", PROMETHEUS, *check)
    assert said.count("rules found") == len(names)


def test_an_alert_goes_to_whom_its_severity_says(engine: None) -> None:
    file = "/compose/alertmanager.yaml"
    wanted = {"severity=critical": "wake", "severity=warning": "today", "severity=info": "note", "x=y": "today"}
    route = f"amtool config routes test --config.file={file}"
    lines = [f"{route} --verify.receivers={receiver} {labels}" for labels, receiver in wanted.items()]
    command = " && ".join((f"amtool check-config {file}", *lines))
    mount = f"--volume={FOLDER}:/compose:ro"
    said = docker("run", "--rm", mount, "--entrypoint=sh", ALERTMANAGER, "-c", command)
    assert said.splitlines()[-4:] == list(wanted.values())


def test_what_is_inhibited_is_an_alert() -> None:
    document = yaml.safe_load((FOLDER / "alertmanager.yaml").read_text())
    named = set(re.findall(r"Collector\w+", json.dumps(document["inhibit_rules"])))
    rules = "".join(path.with_name(path.name.replace("_test", "")).read_text() for path in RULES)
    assert named
    assert named <= set(re.findall(r"alert: (\w+)", rules))


def test_grafana_is_given_the_sources_that_the_dashboard_asks() -> None:
    folder = ROOT / "deploy/grafana"
    sources = yaml.safe_load((folder / "provisioning/datasources/collector.yaml").read_text())["datasources"]
    services = yaml.safe_load((FOLDER / FILES[2]).read_text())["services"]
    assert {source["url"].split("//")[1].split(":")[0] for source in sources} <= services.keys()
    text = (folder / "dashboards/collector.json").read_text()
    assert set(re.findall(r'"uid": "(\w+)"', text)) == {source["uid"] for source in sources} | {"collector"}
    (provider,) = yaml.safe_load((folder / "provisioning/dashboards/collector.yaml").read_text())["providers"]
    assert f"../grafana/dashboards:{provider['options']['path']}:ro" in services["grafana"]["volumes"]


def test_loki_and_its_agent_speak_of_each_other() -> None:
    loki = yaml.safe_load((FOLDER / "loki.yaml").read_text())
    port = loki["server"]["http_listen_port"]
    assert f'url = "http://loki:{port}/loki/api/v1/push"' in (FOLDER / "config.alloy").read_text()
    assert loki["compactor"]["retention_enabled"]


def test_who_narrates_fails_nothing_where_there_is_nothing(tmp_path: Path) -> None:
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none", "COMPOSE_ENV_FILES": str(tmp_path / "none")}
    for switch in ({}, {"NARRATE": "off"}):
        done = ran("./narrate", env={**nowhere, **switch})
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
