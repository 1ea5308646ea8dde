"""The command of deploy/docker/README.md: what it starts comes back with all that it acknowledged."""

import asyncio
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.engine import PATIENCE, ROOT, Container, docker
from tests.faults.load import CLEAN, Load
from tests.faults.wire import ask, event
from tests.process import CollectorProcess
from tests.readme import commands_for

README = ROOT / "deploy" / "docker" / "README.md"
LEAVING_SYSTEMD = ROOT / "deploy" / "systemd" / "README.md"
KILLS = 3


def words(page: Path, option: str) -> list[str]:
    """The page's `docker run` with this option first, without its prompt."""
    command = re.compile(rf"^\$ (docker run {option} (?:.*\\\n)*.*)$", re.MULTILINE)
    (found,) = command.findall(page.read_text())
    return shlex.split(found.replace("\\\n", ""))


class AsTheReadmeSays(Container):
    """The container that the README's command starts, with a name, port and volume of its own.

    With `access`, a folder, it asks for the tokens in it, as the README says.
    """

    def __init__(self, image: str, volume: str, access: Path | None = None) -> None:
        super().__init__(image)
        given = words(README, "--detach")
        assert (given[:3], given[-1]) == (["docker", "run", "--detach"], "collector")
        ours = {
            "--name": self.name,
            "--publish": f"127.0.0.1:{self.port}:8080",
            "--volume": f"{volume}:/data",
        }
        for option, value in ours.items():
            given[given.index(option) + 1] = value
        if access is not None:
            (options,) = re.findall(r"^(--volume .* --env TOKENS_FILE=.*)$", README.read_text(), re.MULTILINE)
            open_door = given.index("ALLOW_ANONYMOUS=true")
            given[open_door - 1 : open_door + 1] = options.replace("/etc/collector:", f"{access}:", 1).split()
        self._words = [*given[1:-1], image]


def test_the_readmes_command_is_this_pages() -> None:
    (command,) = commands_for(__file__)
    assert shlex.split(command) == words(README, "--detach")


@pytest.fixture
def container(image: str, volume: str) -> Iterator[AsTheReadmeSays]:
    with AsTheReadmeSays(image, volume) as started:
        yield started


async def until_ready(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        while True:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def test_killed_from_the_host_it_is_back_and_has_everything(container: AsTheReadmeSays) -> None:
    await until_ready(container.port)
    async with Load(container.port, retry=True) as load:
        for kill in range(1, KILLS + 1):
            await asyncio.sleep(1)
            container.kill_from_the_host()
            killed = time.monotonic()
            while container.restarts < kill:
                container.fail_after(killed + PATIENCE, "it was not started again")
                await asyncio.sleep(0.1)
            print(f"acknowledged again {await load.until_kept(killed):.1f} s after it was killed")
    assert load.where("unknown") or load.where("not_kept")  # the kills were felt
    assert await load.audit(container.port) == CLEAN


async def test_docker_kill_switches_the_restart_policy_off(container: AsTheReadmeSays) -> None:
    await until_ready(container.port)
    async with Load(container.port) as load:
        await asyncio.sleep(1)
        docker("kill", container.name)
    container.wait_until("exited")
    await asyncio.sleep(2)  # the engine starts again after a tenth of a second what it starts again
    assert (container.state["Status"], container.restarts) == ("exited", 0)
    docker("start", container.name)
    await until_ready(container.port)
    assert load.where("kept")
    assert await load.audit(container.port) == CLEAN


async def test_with_tokens_nobody_else_comes_in(image: str, volume: str, tmp_path: Path) -> None:
    new = [image if word == "collector" else word for word in words(README, "--rm collector token new")[1:]]
    token, entry = docker(*new).splitlines()[:2]
    (access := tmp_path / "access").mkdir(mode=0o755)
    (access / "tokens").write_text(f"{entry}\n")
    with AsTheReadmeSays(image, volume, access) as container:
        await until_ready(container.port)
        bearer = {"Authorization": f"Bearer {token}"}
        answers = [await post(container.port, source, headers) for source, headers in
                   (("web-1", {}), ("web-1", bearer), ("other", bearer))]  # fmt: skip
        assert answers == [401, 201, 403]


async def post(port: int, source: str, headers: dict[str, str]) -> int:
    """The status of an event of this source."""
    url = f"http://127.0.0.1:{port}/events"
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.post(url, json={"source": source, "action": "a"}, headers=headers)).status_code


async def test_what_systemd_left_goes_on_in_a_container(image: str, volume: str, tmp_path: Path) -> None:
    with CollectorProcess(env={"SQLITE_PATH": str(tmp_path / "collector.db")}) as process:
        await process.wait_until_ready()
        for n in range(3):
            assert (await ask(process.port, "POST", "/events", event("climbs", str(n)))).status == 201
        before = (await ask(process.port, "GET", "/events")).body
        process.kill()  # the harder case: what it had not yet put into the file lies beside it
    theirs = {
        "/var/lib/private/collector:/from:ro": f"{tmp_path}:/from:ro",
        "collector:/data": f"{volume}:/data",
        "collector": image,
    }
    docker(*[theirs.get(word, word) for word in words(LEAVING_SYSTEMD, "--rm")[1:]])
    with AsTheReadmeSays(image, volume) as container:
        await until_ready(container.port)
        assert (await ask(container.port, "GET", "/events")).body == before
