"""The units under a systemd that runs: in a container of its own, which Docker has to let it have."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import cache

import httpx
import pytest

from tests.credentials import credential, lines
from tests.engine import BUILD_PATIENCE, PATIENCE, ROOT, Container, built, docker, need_engine
from tests.faults.load import CLEAN, Load
from tests.faults.wire import ask
from tests.readme import commands_for

MACHINE = (
    "--privileged",
    "--cgroupns=private",
    "--tmpfs=/run",
    "--tmpfs=/run/lock",
    f"--volume={ROOT}/deploy/systemd:/units:ro",
)
OPEN = "HOST=0.0.0.0\nALLOW_ANONYMOUS=true\n"  # inside the container, which is published on loopback
HOOKS = {"github": {"kind": "github", "secrets": ["a-secret-of-github-alone"]}}
SOON = "[Service]\nWatchdogSec=3\n"


@cache
def machine_image() -> str:
    name = f"{built()}-systemd"
    folder = f"{ROOT}/tests/systemd"
    docker("build", "--quiet", "--tag", name, f"--build-arg=COLLECTOR={built()}", folder, timeout=BUILD_PATIENCE)
    return name


class Machine(Container):
    """A machine that systemd runs, with the units as README.md installs them."""

    def install(self) -> None:
        """Copy the units, and write what this test says of them."""
        self.sh("cp /units/collector* /etc/systemd/system/ && mkdir /etc/systemd/system/collector.service.d")
        self.write("/etc/systemd/system/collector.service.d/soon.conf", SOON)
        self.write("/etc/collector.env", OPEN)
        self.systemctl("daemon-reload")

    def write(self, path: str, text: str) -> None:
        """Put a text there."""
        self.sh(f"cat >{path} <<'END'\n{text}END")

    def systemctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it."""
        return self.exec("systemctl", *words)

    def sh(self, script: str) -> str:
        """Run a script, which has to go well."""
        done = self.exec("sh", "-c", script)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def shows(self, name: str) -> str:
        """A property of the collector's unit."""
        return self.sh(f"systemctl show --property={name} --value collector")

    @property
    def restarted(self) -> int:
        """How often systemd has started the collector again."""
        return int(self.shows("NRestarts"))

    def journal(self) -> str:
        """What the collector and systemd wrote about it."""
        return self.exec("journalctl", "--no-pager", "--unit=collector").stdout

    async def until(self, what: str, happened: Callable[[], bool]) -> None:
        """Wait for something. Raises TimeoutError with the journal."""
        deadline = time.monotonic() + PATIENCE
        while not await asyncio.to_thread(happened):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: {self.journal()[-4000:]}")
            await asyncio.sleep(0.1)

    async def until_restarted(self, before: int) -> None:
        """Wait until systemd has started it again more often than that."""
        await self.until("not started again", lambda: self.restarted > before)

    async def until_ready(self) -> None:
        """Wait until it can keep an event."""
        await self.until("not ready", lambda: self.systemctl("start", "collector-ready").returncode == 0)


@pytest.fixture
def machine() -> Iterator[Machine]:
    need_engine()
    with Machine(machine_image(), options=MACHINE, publish=8080) as started:
        deadline = time.monotonic() + PATIENCE
        while started.systemctl("is-system-running").stdout.strip() not in ("running", "degraded"):
            if started.state["Status"] == "exited":
                pytest.skip(f"systemd does not run in a container here: {started.logs()[-300:]}")
            started.fail_after(deadline, "systemd has not come up")
            time.sleep(0.2)
        started.install()
        yield started


async def test_killed_or_stuck_it_is_back_and_has_everything(machine: Machine) -> None:
    begun = machine.systemctl("start", "collector")
    assert begun.returncode == 0, machine.journal()
    assert machine.shows("ActiveState") == "active"
    assert machine.shows("WatchdogUSec") == "3s"
    await machine.until_ready()
    async with Load(machine.port, rate=50, retry=True) as load:
        for signal in ("KILL", "STOP"):
            await asyncio.sleep(1)
            before = machine.restarted
            await asyncio.to_thread(machine.sh, f"kill -{signal} $(systemctl show -P MainPID collector)")
            await machine.until_restarted(before)
            await machine.until_ready()
    assert "Watchdog timeout" in machine.journal()
    assert (await ask(machine.port, "GET", "/healthz")).status == 200
    assert await load.audit(machine.port) == CLEAN


async def test_it_leaves_in_order_and_its_check_says_whether_it_is_there(machine: Machine) -> None:
    (command,) = commands_for(__file__)
    machine.sh(command.removeprefix("sudo "))
    await machine.until_ready()
    assert machine.systemctl("is-enabled", "collector").stdout.strip() == "enabled"
    assert machine.systemctl("is-active", "collector-ready.timer").stdout.strip() == "active"
    async with Load(machine.port) as load:
        await asyncio.sleep(1)
        await asyncio.to_thread(machine.systemctl, "stop", "collector")
    assert (machine.shows("Result"), machine.shows("ExecMainStatus")) == ("success", "0")
    assert machine.systemctl("is-active", "collector-ready.timer").stdout.strip() == "inactive"
    assert machine.systemctl("start", "collector-ready").returncode != 0
    assert machine.systemctl("is-failed", "collector-ready").stdout.strip() == "failed"
    machine.systemctl("start", "collector")
    await machine.until_ready()
    assert await load.audit(machine.port) == CLEAN


def test_tokens_are_followed_and_webhooks_are_a_credential(machine: Machine) -> None:
    page = (ROOT / "deploy/systemd/README.md").read_text()
    settings, drop_in = (text for text in re.findall(r"```ini\n(.*?)```", page, re.DOTALL) if "S_FILE" in text)
    one, other = credential("one"), credential("other")
    machine.write("/etc/collector.env", settings)
    machine.write("/etc/collector.tokens", lines(one))
    machine.write("/etc/systemd/system/collector.service.d/hooks.conf", drop_in)
    machine.write("/etc/collector.hooks.json", json.dumps(HOOKS) + "\n")
    machine.sh("chmod 600 /etc/collector.hooks.json")
    machine.sh("mount --make-rshared /")  # as on a machine: in a container systemd's own mounts would not be seen
    machine.systemctl("daemon-reload")
    assert machine.systemctl("start", "collector").returncode == 0, machine.journal()
    asyncio.run(machine.until_ready())
    with httpx.Client(base_url=f"http://127.0.0.1:{machine.port}", trust_env=False) as client:

        def codes() -> list[int]:
            return [
                client.post("/events", json={"source": source, "action": "a"}, headers=headers).status_code
                for source, headers in (("one", {}), ("one", one.headers), ("other", other.headers))
            ]

        assert codes() == [401, 201, 401]
        machine.write("/etc/collector.tokens.new", lines(other))
        machine.sh("mv /etc/collector.tokens.new /etc/collector.tokens")
        asyncio.run(machine.until("the new tokens are not taken up", lambda: codes() == [401, 401, 201]))
        assert [client.post(f"/hooks/{name}").status_code for name in ("github", "none")] == [401, 404]


def test_a_wrong_setting_is_not_tried_again(machine: Machine) -> None:
    machine.write("/etc/collector.env", "PORT=eighty\n")
    assert machine.systemctl("start", "collector").returncode != 0
    assert (machine.shows("ActiveState"), machine.shows("NRestarts")) == ("failed", "0")
    assert "PORT" in machine.journal()
