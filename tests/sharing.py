"""Sharing: which tests keep to one process where several run at once, which begin first, and which run alone."""

import os

import pytest
from xdist.scheduler import LoadScopeScheduling

# What a container that starts would disturb (a browser breaks off all that it loads, once the machine's network
# changes), or what compares times, has the machine to itself.
ALONE = ("tests/browser", "tests/faults/test_crowds.py")
CONTAINERS = ("tests/image", "tests/compose", "tests/systemd")  # one image, and one network that changes
# What waits longest begins first, so that nobody waits for it at the end.
LONGEST = (*CONTAINERS, "tests/faults", "tests/rollouts", "tests/probe", "tests/e2e", "tests/cli", "tests/drills")


class Parts(LoadScopeScheduling):  # type: ignore[misc]
    """The tests of a file are of one part, as they share its fixtures; those of all containers are of one too."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "containers" if file.startswith(CONTAINERS) else file


def processes() -> int:
    """How many run at once: as many as there are processors, since some of what is tested has limits of time."""
    return os.cpu_count() or 1


def place(item: pytest.Item) -> int:
    """Where it stands among the others: a smaller one begins earlier."""
    return next((n for n, folder in enumerate(LONGEST) if item.nodeid.startswith(folder)), len(LONGEST))
