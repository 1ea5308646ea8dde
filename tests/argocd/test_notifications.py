"""Argo CD tells the collector of its syncs: by its own engine, with our templates, to a collector that runs."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import yaml

from tests.argocd.applications import HERE
from tests.argocd.go_engine import EngineError, engine
from tests.http.serving import DEADLINE, client_of, kept
from tests.kube.tools import ROOT
from tests.process import CollectorProcess

SECRET = "argo-cds-very-own-secret"
HOOKS = {"argocd": {"kind": "argocd", "secrets": [SECRET]}}
STARTED, FINISHED = "2026-06-01T10:00:00Z", "2026-06-01T10:00:42Z"
VALUES = yaml.safe_load((ROOT / "argocd/install/values.yaml").read_text())["notifications"]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    path = tmp_path_factory.mktemp("argocd") / "events.db"
    with CollectorProcess(env={"SQLITE_PATH": str(path), "HOOKS": json.dumps(HOOKS)}) as process:
        asyncio.run(process.wait_until_ready(timeout=DEADLINE))
        yield process


@pytest.fixture(scope="module")
def client(process: CollectorProcess) -> Iterator[httpx.Client]:
    with client_of(process) as client:
        yield client


def application(uid: str, phase: str | None, health: str | None, **more: Any) -> dict[str, Any]:
    """An Application as the cluster has it, as far as notifications look at it."""
    status: dict[str, Any] = {"sync": {"status": "Synced", "revisions": ["6bed858", "6bed858"]}, **more}
    if health:
        status["health"] = {"status": health, "lastTransitionTime": "2026-06-01T10:03:00Z"}
    if phase:
        finished = {} if phase == "Running" else {"finishedAt": FINISHED}
        status["operationState"] = {
            "phase": phase,
            "message": f'it is "{phase}"\n',
            "startedAt": STARTED,
            **finished,
        }
    return {
        "metadata": {"uid": uid, "name": f"app-{uid}", "namespace": "argocd"},
        "spec": {"project": "collector-eu", "destination": {"name": "in-cluster", "namespace": "collector-x"}},
        "status": status,
    }


def config(url: str) -> dict[str, str]:
    """What the chart makes of the values: argocd-notifications-cm, with the collector's address changed."""
    notifiers = {
        name: text.replace("http://collector.collector-production.svc:8080", url)
        for name, text in VALUES["notifiers"].items()
    }
    return {
        **notifiers,
        **VALUES["templates"],
        **VALUES["triggers"],
        "subscriptions": yaml.safe_dump(VALUES["subscriptions"]),
    }


def notify(process: CollectorProcess, *apps: dict[str, Any], secret: str = SECRET) -> list[list[str]]:
    """Let Argo CD's engine look at these; gives what has fired for each."""
    question = {"config": config(process.url), "secret": {"collector-token": secret}, "apps": apps}
    return list(engine("notify", question))


class Told(NamedTuple):
    phase: str
    health: str | None
    fired: list[str]
    action: str
    time: str


CASES = [
    Told("Running", "Progressing", ["on-sync-running"], "deploy.started", STARTED),
    Told("Succeeded", "Healthy", ["on-deployed"], "deploy.succeeded", FINISHED),
    Told("Failed", "Healthy", ["on-sync-failed"], "deploy.failed", FINISHED),
    Told("Error", None, ["on-sync-failed"], "deploy.failed", FINISHED),
    Told("Failed", "Degraded", ["on-health-degraded", "on-sync-failed"], "deploy.failed", FINISHED),
    Told("Succeeded", "Degraded", ["on-health-degraded"], "health.degraded", FINISHED),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.phase}-{case.health}")
def test_a_sync_is_one_event_however_often_it_is_told(
    process: CollectorProcess, client: httpx.Client, case: Told
) -> None:
    app = application(f"{case.phase}-{case.health}", case.phase, case.health)
    assert notify(process, app, app) == [case.fired, case.fired]
    (stored,) = kept(client, "argocd", subject=app["metadata"]["name"])
    assert (stored["action"], stored["time"]) == (case.action, case.time)
    told = stored["data"]["app"]
    assert told["spec"]["destination"]["namespace"] == "collector-x"
    assert told["status"]["sync"]["revisions"] == ["6bed858", "6bed858"]
    assert told["status"]["operationState"]["message"] == f'it is "{case.phase}"\n'


def test_the_next_sync_is_another_event(process: CollectorProcess, client: httpx.Client) -> None:
    first, second = application("twice", "Succeeded", "Healthy"), application("twice", "Succeeded", "Healthy")
    second["status"]["operationState"]["startedAt"] = "2026-06-01T11:00:00Z"
    notify(process, first, second, first)
    assert len(kept(client, "argocd", subject="app-twice")) == 2


def test_an_application_that_was_never_synced_is_told_of_only_when_degraded(
    process: CollectorProcess, client: httpx.Client
) -> None:
    fired = notify(process, application("new", None, None), application("new", None, "Degraded"))
    assert fired == [[], ["on-health-degraded"]]
    (stored,) = kept(client, "argocd", subject="app-new")
    assert stored["action"] == "health.degraded"


def test_another_secret_is_turned_away(process: CollectorProcess) -> None:
    with pytest.raises(EngineError, match="401"):
        notify(process, application("no", "Failed", None), secret="not-the-secret-at-all")


def test_the_secret_is_the_one_that_is_made(tmp_path: Path) -> None:
    """`$collector-token` is a key of argocd-notifications-secret, which the chart is not to make."""
    assert "Bearer $collector-token" in VALUES["notifiers"]["service.webhook.collector"]
    assert VALUES["secret"] == {"create": False}
    assert HERE.read("argocd/clusters/eu.yaml")["foundation"]["notifications"] is True


def test_what_is_subscribed_to_is_there() -> None:
    (subscription,) = VALUES["subscriptions"]
    assert {f"trigger.{name}" for name in subscription["triggers"]} == VALUES["triggers"].keys()
    assert {f"service.webhook.{name}" for name in subscription["recipients"]} == VALUES["notifiers"].keys()
