"""The chart posts its own releases: once each, with a token where one is asked for, and without failing any."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.child import clean_environment
from tests.kube.charts import BLUE_GREEN, CANARY, DIGEST, EXISTING, TOKENS, Values, pod, rendered
from tests.kube.rendered import having, one
from tests.kube.tools import ROOT
from tests.ports import LOOPBACK, free_port
from tests.process import CollectorProcess

NAME = "collector-narrate"


def container(*sets: Values) -> dict[str, Any]:
    (found,) = pod(rendered(*sets), "Job", NAME)["containers"]
    return dict(found)


async def told(folder: Path, url: str, *sets: Values) -> int | None:
    """Run the Job's container here, against this URL; gives its exit code."""
    shim = folder / "collector"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m app "$@"\n')
    shim.chmod(0o755)
    said = container(*sets)
    words = [f"--url={url}" if word.startswith("--url=") else word for word in said["args"]]
    process = await asyncio.create_subprocess_exec(
        *said["command"],
        *words,
        cwd=ROOT,
        env={**clean_environment(), "PATH": f"{folder}:{os.environ['PATH']}"},
    )
    return await process.wait()


def test_it_is_one_value_to_switch_off() -> None:
    assert having(rendered(), "Job", NAME)
    assert not having(rendered({"narrate.enabled": False}), "Job", NAME)
    assert "narrat" not in str(rendered({"narrate.enabled": False, "networkPolicy.enabled": True}))


def test_under_argo_cd_its_notifications_tell() -> None:
    assert not having(rendered(EXISTING, {"migrations.mode": "argoSync"}), "Job", NAME)


def test_where_tokens_are_asked_for_it_has_one_or_is_not_there() -> None:
    assert not having(rendered(TOKENS), "Job", NAME)
    own = {"narrate.secret.name": "narrator", "narrate.secret.key": "its"}
    spec = pod(rendered(TOKENS, own), "Job", NAME)
    (secret,) = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]
    (mount,) = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] != "tmp"]
    assert (secret["secretName"], secret["items"][0]["key"]) == ("narrator", "its")
    assert spec["containers"][0]["env"] == [
        {"name": "COLLECTOR_TOKEN_FILE", "value": f"{mount['mountPath']}/{secret['items'][0]['path']}"}
    ]


def test_it_runs_after_the_release_and_has_no_time_after_which_it_would_fail() -> None:
    job = one(rendered(), "Job", NAME)
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"
    assert "activeDeadlineSeconds" not in job["spec"]
    waits = {word.partition("=")[0]: word.partition("=")[2] for word in container()["args"]}["--wait"]
    assert 0 < float(waits) < 300, "or Helm would wait no longer itself"


@pytest.mark.parametrize(
    ("values", "action"),
    [({}, "succeeded"), (EXISTING, "succeeded"), (CANARY, "started"), (BLUE_GREEN, "started")],
    ids=["embedded", "rolling", "canary", "blueGreen"],
)
def test_what_has_only_begun_is_not_said_to_have_succeeded(values: Values, action: str) -> None:
    assert f"--action=deploy.{action}" in container(values)["args"]


def test_another_release_is_another_event() -> None:
    def id_of(*sets: Values) -> str:
        (found,) = [word for word in container(*sets)["args"] if word.startswith("--id=")]
        return str(found)

    assert id_of() == id_of()
    assert len({id_of(), id_of({"image.digest": DIGEST}), id_of({"settings.RETENTION_DAYS": 7})}) == 3


async def test_a_collector_has_it_once(tmp_path: Path) -> None:
    tag = {"image.tag": "1.2.3"}
    with CollectorProcess(env={"SQLITE_PATH": str(tmp_path / "collector.db")}) as process:
        await process.wait_until_ready(timeout=60)
        for _ in range(2):  # the Job's pod was started again
            assert await told(tmp_path, process.url, tag) == 0
        async with httpx.AsyncClient(base_url=process.url, trust_env=False) as client:
            (event,) = (await client.get("/events")).json()
    assert (event["source"], event["action"], event["subject"]) == ("helm", "deploy.succeeded", "collector")
    assert event["data"]["version"] == "1.2.3"
    assert event["data"]["image"].endswith("/collector:1.2.3")
    assert event["data"]["revision"] == 1


async def test_it_fails_no_release_where_nobody_listens(tmp_path: Path) -> None:
    assert await told(tmp_path, f"http://{LOOPBACK}:{free_port()}", {"narrate.waitSeconds": 0}) == 0
