"""`make test`: side by side what may share a machine, then what others would disturb, then once more what failed.

A machine that other work shares makes a test late now and then. So a few that failed run once more, with nothing
beside them, and only who fails again fails the run; who does not is named at its end, where its traceback is to be
looked for. Many that fail are no accident, and neither is a run that broke off: those are final.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.sharing import ALONE

FEW = 5
JUDGED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)  # of a run that came to its end
BESIDE = ("--numprocesses=auto", "--dist=loadscope", "--no-loadscope-reorder")


def main(left_out: Sequence[str]) -> int:
    """Run all but these files and folders; give pytest's status."""
    return run(beside=[f"--ignore={name}" for name in (*ALONE, *left_out)], alone=ALONE)


def run(*, beside: Sequence[str], alone: Sequence[str]) -> int:
    """Run what these arguments of pytest's choose, in this folder; give its status, the first that is not 0."""
    statuses = (_pytest("--cache-clear", *BESIDE, *beside), _pytest(*alone))
    if not any(statuses):
        return 0
    if broken := [status for status in statuses if status not in JUDGED]:
        return broken[0]
    failed = _failed()
    if len(failed) > FEW:
        return pytest.ExitCode.TESTS_FAILED
    print(f"\nOnce more, alone: what failed ({len(failed)})", flush=True)
    if status := _pytest("--last-failed", "--last-failed-no-failures=none"):
        return status
    print("\nNot steady, failed (the traceback is above), then passed alone:", *failed, sep="\n  ", flush=True)
    return 0


def _pytest(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


def _failed() -> list[str]:
    """Names of what failed since the cache was cleared."""
    return sorted(json.loads(Path(".pytest_cache/v/cache/lastfailed").read_text()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
