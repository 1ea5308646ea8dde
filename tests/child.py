"""Child: a process that a test starts, stops, freezes, and reads the log of."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from tests.binaries import Account
from tests.guardian import guardian

PATIENCE = 60.0  # seconds; a start takes under one, so this is for a machine under load
POLL = 0.01  # seconds
TAIL = 4000  # characters of the log that an error shows


class Child:
    """A running process with its output in the file `log`; it ends with the test session at the latest.

    The command runs in `cwd` with exactly the environment `env`, as `account` (None: as this process).
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path,
        env: Mapping[str, str],
        account: Account | None = None,
    ) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env=env,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                start_new_session=True,  # Ctrl-C is for the tests
            )
        guardian().watch(self._process.pid)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens if the process has ended."""
        self._process.send_signal(number)

    def pause(self) -> None:
        """Freeze the process and its children (SIGSTOP): connections stay open, nothing answers."""
        # The parent first: frozen, it starts no more children.
        parent = psutil.Process(self.pid)
        _signal([parent], signal.SIGSTOP)
        _signal(parent.children(recursive=True), signal.SIGSTOP)

    def resume(self) -> None:
        """Let the process and its children go on (SIGCONT)."""
        parent = psutil.Process(self.pid)
        _signal([*parent.children(recursive=True), parent], signal.SIGCONT)

    def end(self, number: int, timeout: float = PATIENCE) -> int:
        """Send a signal and wait for the end; gives the exit code. TimeoutError after `timeout` seconds."""
        self.signal(number)
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"signal {number} did not end it within {timeout} s\n{self.tail()}") from None

    def kill(self) -> None:
        """Kill the process (SIGKILL) and wait for its end; nothing happens if it has ended."""
        self._process.kill()
        self._process.wait()

    def wait_until(self, ready: Callable[[], bool], timeout: float = PATIENCE) -> None:
        """Poll until `ready` is true. Raises TimeoutError, or RuntimeError if the process ends, with the log."""
        deadline = time.monotonic() + timeout
        while not ready():
            if self.exit_code is not None:
                raise RuntimeError(f"it ended with exit code {self.exit_code}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"it was not ready within {timeout} s\n{self.tail()}")
            time.sleep(POLL)

    def tail(self) -> str:
        """The end of the log."""
        return self._log.read_text(errors="replace")[-TAIL:]


def _signal(processes: Iterable[psutil.Process], number: int) -> None:
    for process in processes:
        # A child may end at any moment, a session's by its disconnection.
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def clean_environment() -> dict[str, str]:
    """Give the environment of a child: PATH and HOME, and nothing of this machine's settings."""
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
