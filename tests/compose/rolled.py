"""Rolled: one story under one load. A new image, three that are no good, and back to the one before."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.compose.stack import Stack, ran
from tests.engine import new_name, run
from tests.probe.conftest import Probe, sent

REPLICAS = ("collector", "collector-2", "collector-3")
UNDER_WAY = 30  # requests
AFTERWARDS = 100  # requests: what lay in wait has shown itself
RATE = 60  # requests a second
SHELL = 'ENTRYPOINT ["sh", "-c", "{}; exec collector $0 $*"]'
VARIANTS = {
    "new": "ENV MADE_FOR=rollout",
    "ends": 'ENTRYPOINT ["false"]',
    # It migrates and listens, and whoever asked it would be answered 503.
    "is not ready": SHELL.format("[ $0 = migrate ] || export POSTGRES_CONNECTION_STRING=postgres://x@nowhere/x"),
    "is well as a candidate only": SHELL.format("[ $0 = migrate ] || [ $HOSTNAME = candidate ] || exit 3"),
}
WITHIN = {"is not ready": "20", "is well as a candidate only": "60"}  # seconds

Images = dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Step:
    """A rollout: its exit code, what it said, and which image each service runs then, in which state."""

    code: int
    said: str
    images: Images


@dataclass(frozen=True, slots=True)
class Story:
    """The verdict of a probe that sends nothing twice, the names of the images, and the steps by theirs."""

    verdict: dict[str, Any]
    names: dict[str, str]
    steps: dict[str, Step]


@contextmanager
def variants(image: str) -> Iterator[dict[str, str]]:
    """Images made of this one, by what they are for."""
    names = {what: f"{new_name()}:1" for what in VARIANTS}
    try:
        for what, line in VARIANTS.items():
            build = f"docker build --quiet --tag {names[what]} - <<'END'\nFROM {image}\n{line}\nEND"
            done = run("sh", "-c", build)
            assert done.returncode == 0, done.stderr
        yield names
    finally:
        run("docker", "image", "rm", "--force", *names.values())


async def tell(stack: Stack, ledger: Path) -> Story:
    """Let it happen. The stack then runs what it ran before."""
    steps: dict[str, Step] = {}
    with variants(stack.image) as names:
        words = ("--no-retry", f"--rate={RATE}", "--for=1200s", "--json", f"--ledger={ledger}")
        load = await Probe.start(stack.url, *words)
        await sent(ledger, UNDER_WAY)
        for what, name in (*names.items(), ("back", stack.image)):
            steps[what] = await _roll_out(stack, name, WITHIN.get(what, "120"))
        await sent(ledger, AFTERWARDS)
        load.interrupt()
        _, out, err = await load.end()
        assert out, err
    return Story(json.loads(out), names, steps)


async def _roll_out(stack: Stack, image: str, within: str) -> Step:
    env = stack.env | {"ROLLOUT_SECONDS": within}
    done = await asyncio.to_thread(ran, "./rollout", image, env=env, timeout=900)
    states = stack.states()
    images = {name: (states[name]["Image"], states[name]["State"]) for name in (*REPLICAS, "worker")}
    return Step(done.returncode, done.stdout + done.stderr, images)
