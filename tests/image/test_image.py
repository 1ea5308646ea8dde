"""The image: its labels, what it holds, every role, and a hardened run from the first request to the last."""

import asyncio
import json
import re
import time

from app.about import VERSION
from tests.engine import HARDENED, PATIENCE, Container, docker, run
from tests.faults.load import CLEAN, Load
from tests.faults.wire import ask, event
from tests.image.conftest import Serve
from tests.ports import LOOPBACK, free_port

USER = 10001
DRAIN = 3.0  # seconds
OFTEN = ("--health-interval=300ms", "--health-start-period=1ms", "--health-retries=2")
NOT_IN_IT = ("gcc", "cc", "strip", "curl", "wget", "git", "flit")


def inside(image: str, *command: str) -> str:
    """What a command prints in a hardened container of the image."""
    entry, *rest = command
    return docker("run", "--rm", *HARDENED, f"--entrypoint={entry}", image, *rest)


def test_labels_say_which_version_it_is_and_where_it_is_from(image: str) -> None:
    labels = json.loads(docker("inspect", "--format={{json .Config.Labels}}", image))
    said = {name.removeprefix("org.opencontainers.image."): value for name, value in labels.items()}
    assert said["version"] == VERSION
    assert re.fullmatch("[0-9a-f]{40}", said["revision"])
    assert said["source"].startswith("https://")
    assert said["licenses"] == "Apache-2.0"


def test_its_user_is_a_number_and_not_root(image: str) -> None:
    assert docker("inspect", "--format={{.Config.User}}", image) == f"{USER}:{USER}"


def test_nothing_in_it_installs_compiles_or_makes_anybody_root(image: str) -> None:
    script = "import importlib.util as u, shutil; print([n for n in {} if {}(n)])"
    venv = "/opt/collector/bin/python"
    packages = script.format(["pip", "setuptools", "flit_core", "pytest"], "u.find_spec")
    assert inside(image, venv, "-c", packages) == "[]"
    assert inside(image, venv, "-c", script.format(list(NOT_IN_IT), "shutil.which")) == "[]"
    find = "find / -xdev -type f -perm /6000 2>/dev/null; true"
    assert inside(image, "sh", "-c", find) == ""


def test_nothing_is_compiled_at_a_start(image: str) -> None:
    load = "import app.main, app.background, app.spool, asyncpg, aiosqlite"
    done = run(
        "docker", "run", "--rm", *HARDENED, "--env=PYTHONVERBOSE=1", "--entrypoint=python", image, "-c", load
    )
    assert done.returncode == 0, done.stderr
    read = re.findall(r"# code object from '([^']+)'", done.stderr)
    assert [path for path in read if path.endswith(".pyc")]
    assert [path for path in read if not path.endswith(".pyc")] == []


def test_it_says_its_version(image: str) -> None:
    assert docker("run", "--rm", *HARDENED, image, "--version").split()[-1] == VERSION


def test_a_wrong_setting_is_named_and_ends_it_with_2(image: str) -> None:
    done = run("docker", "run", "--rm", *HARDENED, image, "serve", "--port=eighty")
    assert (done.returncode, done.stdout) == (2, "")
    assert "PORT" in done.stderr


async def test_migrate_and_worker_are_the_same_image(image: str, empty_postgres_url: str) -> None:
    """On the host's network, since the database of the tests listens on its loopback."""
    port = free_port()
    env = {"POSTGRES_CONNECTION_STRING": empty_postgres_url, "HOST": LOOPBACK, "WORKER_PORT": str(port)}
    options = (*HARDENED, "--network=host")
    with Container(image, "migrate", options=options, env=env) as migrate:
        assert await asyncio.to_thread(migrate.wait) == 0, migrate.logs()
    with Container(image, "worker", options=options, env=env) as worker:
        deadline = time.monotonic() + PATIENCE
        while (done := worker.exec("collector", "healthcheck", "--port", str(port))).returncode:
            worker.fail_after(deadline, done.stdout + done.stderr)
            await asyncio.sleep(0.1)
        docker("stop", worker.name)
        assert worker.state["ExitCode"] == 0


async def test_a_hardened_collector_keeps_events_and_leaves_without_losing_any(serve: Serve) -> None:
    first = serve(*OFTEN, "--stop-timeout=30", DRAIN_SECONDS=str(DRAIN))
    await asyncio.to_thread(first.wait_until, "healthy")
    assert (await ask(first.port, "POST", "/events", event("image", "1"))).status == 201
    assert [one["id"] for one in json.loads((await ask(first.port, "GET", "/events")).body)] == ["1"]
    is_hardened(first)
    async with Load(first.port) as load:
        await asyncio.sleep(1)
        leaving = asyncio.create_task(asyncio.to_thread(docker, "stop", first.name))
        await asyncio.sleep(DRAIN - 1)
        in_time = time.monotonic()
        await leaving
    assert first.state["ExitCode"] == 0, first.logs()
    # Later ones meet the engine's proxy without a collector behind it, which takes what it cannot hand on.
    assert {one.status for one in load.attempts if one.done < in_time} == {201}
    assert load.where("kept")
    second = serve(*OFTEN)
    await asyncio.to_thread(second.wait_until, "healthy")
    assert await load.audit(second.port) == CLEAN


def is_hardened(container: Container) -> None:
    status = dict(line.split(":\t", 1) for line in container.exec("cat", "/proc/1/status").stdout.splitlines())
    assert status["Uid"].split() == [str(USER)] * 4
    assert int(status["CapEff"], 16) == 0
    assert int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    assert "Read-only" in container.exec("touch", "/opt/collector/here").stderr


async def test_its_healthcheck_says_what_readyz_says(serve: Serve) -> None:
    nowhere = f"postgres://nobody@{LOOPBACK}:{free_port()}/nothing"
    away = serve(*OFTEN, POSTGRES_CONNECTION_STRING=nowhere)
    await asyncio.to_thread(away.wait_until, "unhealthy")
    said = away.exec("collector", "healthcheck")
    assert said.returncode == 1
    assert "database" in said.stdout
    assert (await ask(away.port, "GET", "/healthz")).status == 200
    assert away.restarts == 0
