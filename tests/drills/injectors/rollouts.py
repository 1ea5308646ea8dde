"""Rollouts: `deploy/compose/rollout` to images made of the one that runs, some of which are no good."""

import subprocess
import time
from collections.abc import Mapping, Sequence

from tests.compose.stack import Stack, ran
from tests.drills.injectors.containers import psql, verb
from tests.drills.injectors.waiting import since
from tests.drills.rig import Verb
from tests.engine import ROOT, docker, new_name

WITHIN = "120"  # seconds for one that does
IN_VAIN = "20"  # seconds for one that never does
LONG = 900.0  # seconds for all of it
GOOD = "new"
AS_EVER = 'CMD ["serve"]'  # which an ENTRYPOINT takes away
SHELL = 'ENTRYPOINT ["sh", "-c", "[ $0 = migrate ] || {}; exec collector $0 $*"]\n' + AS_EVER
MADE = {
    GOOD: "ENV MADE_FOR=rollout",
    "ends": 'ENTRYPOINT ["false"]\n' + AS_EVER,
    # It migrates and listens, and whoever asked it would be answered 503.
    "is never ready": SHELL.format(
        "{ export POSTGRES_CONNECTION_STRING=postgres://x@nowhere/x; unset REDIS_URL; }"
    ),
    "is well as a candidate only": SHELL.format("[ $HOSTNAME = candidate ] || exit 3"),
}

# What each of those that are no good is refused with, and whether a replica was replaced by it.
BAD: Mapping[str, tuple[str, str, bool]] = {
    "roll-out-ending": ("ends", "nothing was replaced", False),
    "roll-out-unready": ("is never ready", "nothing was replaced", False),
    "roll-out-broken": ("is well as a candidate only", "the others serve on; back: deploy/compose/rollout", True),
}

PASSWORD = "SELECT rolpassword FROM pg_authid WHERE rolname = 'collector'"  # a digest of it

Images = dict[str, tuple[str, str]]  # of each service, and the state of its container


class RolloutError(AssertionError):
    """A rollout was not what it has to be; the message is what it said."""


class Rollouts:
    """Of one stack, with `services` that a rollout replaces, in this order; `close` removes the images."""

    def __init__(self, stack: Stack, services: Sequence[str]) -> None:
        self._stack = stack
        self._services = services
        self._made: dict[str, str] = {}
        self.verbs: Mapping[str, Verb] = {
            "roll-out": verb(self._roll_out),
            "roll-back": verb(self._roll_back),
            "rotate-password": verb(self._rotate_password),
            **{name: verb(self._refused, *bad) for name, bad in BAD.items()},
        }

    def close(self) -> None:
        """Remove the images, which no container has any more."""
        if self._made:
            docker("image", "rm", "--force", *self._made.values())

    def _roll_out(self, _: float) -> str:
        return self._replaced(self._image(GOOD))

    def _roll_back(self, _: float) -> str:
        return self._replaced(self._stack.image)

    def _replaced(self, image: str) -> str:
        """All of them, one by one; and what is started later is of this image too."""
        began = time.monotonic()
        done = self._run(image, WITHIN)
        _check(done.returncode == 0 and self._images() == self._all_run(image), done)
        _check(self._stack.envfile.read_text() == f"COLLECTOR_IMAGE={image}\n", done)
        return f"{len(self._services)} replaced after {since(began)}"

    def _rotate_password(self, _: float) -> str:
        """All of them have read the new one; the old one opens nothing any more."""
        began = time.monotonic()
        old, containers = psql(self._stack, PASSWORD), self._ids()
        done = ran("./rotate-password", env=self._stack.env | {"ROLLOUT_SECONDS": WITHIN}, timeout=LONG)
        _check(done.returncode == 0 and self._all_run(self._stack.image) == self._images(), done)
        _check(psql(self._stack, PASSWORD) != old and not self._ids() & containers, done)
        return f"another password, and {len(containers)} replaced after {since(began)}"

    def _ids(self) -> set[str]:
        """Of the containers that a rollout replaces."""
        return set(self._stack.compose("ps", "--quiet", *self._services).split())

    def _refused(self, what: str, words: str, replaced: bool, _: float) -> str:
        """Stopped, with nothing replaced but the first, where that has run at all."""
        began = time.monotonic()
        before, image = self._images(), self._image(what)
        done = self._run(image, IN_VAIN)
        first = {self._services[0]: (image, "exited")} if replaced else {}
        _check(done.returncode == 1 and words in done.stdout + done.stderr, done)
        _check(self._images() == before | first, done)
        return f"stopped after {since(began)}: {words}"

    def _run(self, image: str, within: str) -> subprocess.CompletedProcess[str]:
        return ran("./rollout", image, env=self._stack.env | {"ROLLOUT_SECONDS": within}, timeout=LONG)

    def _images(self) -> Images:
        states = self._stack.states()
        return {name: (states[name]["Image"], states[name]["State"]) for name in self._services}

    def _all_run(self, image: str) -> Images:
        return dict.fromkeys(self._services, (image, "running"))

    def _image(self, what: str) -> str:
        """An image made of that of the stack, once."""
        if what not in self._made:
            name = f"{new_name()}:1"
            made = f"FROM {self._stack.image}\n{MADE[what]}\n"
            command = ["docker", "build", "--quiet", f"--tag={name}", "-"]
            subprocess.run(command, input=made, cwd=ROOT, capture_output=True, text=True, check=True)
            self._made[what] = name
        return self._made[what]


def _check(true: bool, done: subprocess.CompletedProcess[str]) -> None:
    if not true:
        raise RolloutError(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
