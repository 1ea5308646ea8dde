"""All of deploy/compose running: what is reached from outside, what Prometheus sees, what the dashboard shows."""

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.compose.stack import FILES, START_SECONDS, Stack, eventually
from tests.engine import ROOT, docker
from tests.probe.conftest import Probe
from tests.readme import commands_for

DASHBOARD = ROOT / "deploy/grafana/dashboards/collector.json"
ONCE = {"migrate", "secrets"}  # they end
# There is no replica here; tests/faults/test_near.py reads these two of a collector that has one.
OF_A_REPLICA = {
    "max(collector_replica_lag_seconds)",
    "sum by (server) (rate(collector_reads_total[$__rate_interval]))",
}
pytestmark = pytest.mark.timeout(600)


def test_it_is_well_from_nothing(stack: Stack) -> None:
    states = stack.states()
    assert {name for name, state in states.items() if state["State"] == "exited"} == ONCE
    assert {states[name]["ExitCode"] for name in ONCE} == {0}
    assert {state["Health"] for name, state in states.items() if name not in ONCE} == {"healthy"}


def test_make_up_says_where_it_is_and_make_down_keeps_what_there_is(stack: Stack, tmp_path: Path) -> None:
    small = Stack(stack.image, tmp_path / "env", FILES[:1])
    try:
        (command,) = commands_for(__file__)
        said = small.run(*command.split(), "-C", str(ROOT), f"IMAGE={stack.image}", "ARGS=")
        assert said.splitlines()[-2] == f"The collector: {small.url}"
        (told,) = narrated(small)
        assert (told["action"], told["subject"]) == ("deploy.succeeded", small.name)
        assert told["data"]["image"] == small.image
        small.run("./narrate")
        assert narrated(small) == [told], "nothing was deployed since"
        event = {"source": "s", "action": "a"}
        assert httpx.post(f"{small.url}/events", json=event, trust_env=False).status_code == 201
        small.run("make", "-C", str(ROOT), "down", "ARGS=")
        assert not small.states()
        volumes = docker("volume", "ls", "--quiet", f"--filter=name={small.name}").split()
        assert {name.removeprefix(f"{small.name}_") for name in volumes} == {"postgres", "redis", "secrets"}
    finally:
        small.down()


def narrated(stack: Stack) -> list[dict[str, Any]]:
    """What the stack has posted of itself."""
    found: list[dict[str, Any]] = httpx.get(f"{stack.url}/events?source=compose", trust_env=False).json()
    return found


def test_every_replica_answers_and_what_is_not_public_does_not(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url, trust_env=False) as client:
        posted = [client.post("/events", json={"source": "s", "action": "a"}) for _ in range(12)]
        assert {answer.status_code for answer in posted} == {201}
        replicas = {answer.headers["collector-instance"].rpartition("-")[0] for answer in posted}
        assert replicas == {"collector-1", "collector-2", "collector-3"}
        seqs = [answer.json()["seq"] for answer in posted]
        assert [one["seq"] for one in client.get("/events?source=s&order=asc").json()] == seqs
        public = ("/events", "/events/stats", f"/events/{seqs[0]}", "/sources", "/openapi.json")
        pages = ("/", "/page/main.js", "/docs")
        assert {client.get(path).status_code for path in (*public, *pages)} == {200}
        inside = (
            "/metrics",
            "/healthz",
            "/readyz",
            "/ready",
            "/readyz?verbose",
            "/purge?source=s&before=0s",
            "/events/../metrics",
        )
        assert {client.get(path).status_code for path in inside} == {404}
        too_large = client.post(
            "/events", content=b" " * (5 * 2**20 + 1), headers={"Content-Type": "application/json"}
        )
        assert (too_large.status_code, too_large.headers["content-type"]) == (413, "application/problem+json")


def test_a_stream_comes_through_at_once(stack: Stack) -> None:
    with (
        httpx.Client(base_url=stack.url, trust_env=False, timeout=30) as client,
        client.stream("GET", "/events/stream?source=streamed") as stream,
    ):
        posted = client.post("/events", json={"source": "streamed", "action": "a"}).json()
        line = next(line for line in stream.iter_lines() if line.startswith("data:"))
        assert json.loads(line.removeprefix("data:"))["seq"] == posted["seq"]


async def test_every_panel_of_the_dashboard_shows_something_under_load(stack: Stack) -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    every = {target["expr"] for panel in panels for target in panel.get("targets", ())}
    asked = every - OF_A_REPLICA
    assert len(asked) > 30
    assert asked | OF_A_REPLICA == every

    def empty() -> set[str]:
        return {expression for expression in asked if not shown(stack, expression)}

    load = await Probe.start(stack.url, "--rate=20", "--for=10m")
    await asyncio.to_thread(
        eventually, lambda: not empty(), START_SECONDS
    )  # a rate is there with the second scrape
    left = empty()
    load.interrupt()
    code, out, err = await load.end()
    assert left == set()
    assert code == 0, out + err


def shown(stack: Stack, expression: str) -> bool:
    """Whether at least one series has a number."""
    found = stack.query(expression.replace("$__rate_interval", "2m"))
    return any(not math.isnan(float(series["value"][1])) for series in found)


def test_prometheus_finds_every_process_and_alertmanager(stack: Stack) -> None:
    def found() -> dict[str, float]:
        return {one["metric"]["job"]: float(one["value"][1]) for one in stack.query("sum by (job) (up)")}

    wanted = {"collector": 3, "worker": 1, "prometheus": 1}
    eventually(lambda: found() == wanted)
    assert found() == wanted
    with httpx.Client(base_url=stack.prometheus, trust_env=False) as client:
        managers = client.get("/api/v1/alertmanagers").json()["data"]["activeAlertmanagers"]
        assert [one["url"] for one in managers] == ["http://alertmanager:9093/api/v2/alerts"]
        groups = client.get("/api/v1/rules").json()["data"]["groups"]
        assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
