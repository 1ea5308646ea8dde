"""Guardian: kills the processes that a test session leaves behind, and removes their folder.

It is a child that waits for the end of its standard input. The kernel brings that end about however the session
ends: by itself, by Ctrl-C, by SIGKILL. A death signal (PR_SET_PDEATHSIG) would not do: it is Linux only, it comes
when the thread that started the server ends, it misses the server's own children and it leaves the folder.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import psutil  # type: ignore[import-untyped]

PATIENCE = 10.0  # seconds; SIGKILL takes milliseconds, so this is for a machine that swaps
POLL = 0.01  # seconds


class Guardian:
    """A temporary folder, and a watch over processes, that both end with this process."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="collector-tests-", dir=_enterable_temporary_folder()))
        self.folder.chmod(0o755)
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self.folder)],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests
        )

    def new_folder(self, name: str) -> Path:
        """Make a fresh folder that any account may enter; its name begins with `name`."""
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))
        folder.chmod(0o755)
        return folder

    def watch(self, pid: int) -> None:
        """Kill this process and its children when the session ends, if they are there still."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{pid}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End the watch now: kill what is left, remove the folder. Blocks until it is done."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@cache
def guardian() -> Guardian:
    """Give the guardian of this process; the first call starts it."""
    started = Guardian()
    atexit.register(started.close)
    return started


def _enterable_temporary_folder() -> Path:
    # Servers of root run under another account, which may be shut out of a TMPDIR of root's own.
    folder = Path(tempfile.gettempdir()).resolve()
    shut = any(not parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))
    return Path("/tmp") if os.geteuid() == 0 and shut else folder


def _watch_until_end_of_input() -> list[psutil.Process]:
    # A Process remembers when it began, so that a number used again is not killed by mistake.
    watched = []
    for line in sys.stdin:
        try:
            watched.append(psutil.Process(int(line)))
        except psutil.NoSuchProcess:
            continue
    return watched


def _kill(process: psutil.Process) -> list[psutil.Process]:
    if not process.is_running():
        return []
    family = [process, *process.children(recursive=True)]
    for member in family:
        member.kill()
    return family


def _is_alive(process: psutil.Process) -> bool:
    # A zombie is dead: its parent may be waiting for this process, and so not look at it.
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def main() -> None:
    """Wait for the end of the session that started this process, then clean up after it."""
    killed = []
    for process in _watch_until_end_of_input():
        try:
            killed += _kill(process)
        except psutil.NoSuchProcess:
            continue
    deadline = time.monotonic() + PATIENCE
    while any(map(_is_alive, killed)) and time.monotonic() < deadline:
        time.sleep(POLL)
    shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
