"""deploy/compose/rollout under a probe that sends nothing twice: forth, back, and with images that are no good."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.compose.stack import Stack, ran
from tests.engine import docker, new_name, run
from tests.probe.conftest import Probe, sent

REPLICAS = ("collector", "collector-2", "collector-3")
UNDER_WAY = 30  # requests
SHELL = 'ENTRYPOINT ["sh", "-c", "{}; exec collector $0 $*"]'
AFTERWARDS = 100  # requests: what lay in wait has shown itself
Variant = Callable[..., str]
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def variant(stack: Stack) -> Iterator[Variant]:
    """Makes an image of the stack's and some more lines; gives its name."""
    made: list[str] = []

    def make(*lines: str) -> str:
        made.append(f"{new_name()}:1")
        text = "\n".join((f"FROM {stack.image}", *lines))
        done = run("sh", "-c", f"docker build --quiet --tag {made[-1]} - <<'END'\n{text}\nEND")
        assert done.returncode == 0, done.stderr
        return made[-1]

    yield make
    docker("image", "rm", "--force", *made)


@asynccontextmanager
async def nothing_lost(url: str, ledger: Path) -> AsyncIterator[None]:
    """Load while the block runs: every request was acknowledged at the first attempt, and is there."""
    load = await Probe.start(url, "--no-retry", "--rate=60", "--for=800s", "--json", f"--ledger={ledger}")
    await sent(ledger, UNDER_WAY)
    yield
    await sent(ledger, AFTERWARDS)
    load.interrupt()
    code, out, err = await load.end()
    assert out, err
    verdict = json.loads(out)
    print({"requests": verdict["requests"], "availability": verdict["availability"]})
    assert (code, verdict["reasons"]) == (0, [])
    assert verdict["requests"]["errors_without_retry"] == 0, verdict["requests"]


async def roll_out(stack: Stack, image: str, **env: str) -> tuple[int, str]:
    done = await asyncio.to_thread(ran, "./rollout", image, env=stack.env | env, timeout=600)
    return done.returncode, done.stdout + done.stderr


def images(stack: Stack) -> dict[str, tuple[str, str]]:
    """Which image each replica and the worker run, and how they are."""
    states = stack.states()
    return {name: (states[name]["Image"], states[name]["State"]) for name in (*REPLICAS, "worker")}


async def test_a_rollout_and_its_rollback_lose_no_request(stack: Stack, variant: Variant, tmp_path: Path) -> None:
    new = variant("ENV MADE_FOR=rollout")
    async with nothing_lost(stack.url, tmp_path / "ledger"):
        code, said = await roll_out(stack, new)
        assert code == 0, said
        assert set(images(stack).values()) == {(new, "running")}
        assert f"COLLECTOR_IMAGE={new}" in stack.envfile.read_text()
        assert f"back: deploy/compose/rollout {stack.image}" in said

        code, said = await roll_out(stack, stack.image)
        assert code == 0, said
    assert set(images(stack).values()) == {(stack.image, "running")}
    assert "candidate" not in stack.states()


async def test_images_that_are_no_good_stop_it_and_the_others_serve_on(
    stack: Stack, variant: Variant, tmp_path: Path
) -> None:
    before = images(stack)
    never = variant('ENTRYPOINT ["false"]')
    # It migrates and listens, and whoever asked it would be answered 503.
    unready = variant(SHELL.format("[ $0 = migrate ] || export POSTGRES_CONNECTION_STRING=postgres://x@nowhere/x"))
    only_there = variant(SHELL.format("[ $0 = migrate ] || [ $HOSTNAME = candidate ] || exit 3"))
    async with nothing_lost(stack.url, tmp_path / "ledger"):
        for image in (never, unready):
            code, said = await roll_out(stack, image, ROLLOUT_SECONDS="20")
            assert code == 1, said
            assert "nothing was replaced" in said
            assert images(stack) == before

        code, said = await roll_out(stack, only_there, ROLLOUT_SECONDS="60")
        assert code == 1, said
        assert "collector is not healthy, the others serve on" in said
        assert images(stack) == before | {"collector": (only_there, "exited")}

        code, said = await roll_out(stack, stack.image)
        assert code == 0, said
    assert images(stack) == before
