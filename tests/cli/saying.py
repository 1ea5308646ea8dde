"""Saying: the command line as its users run it, in a pipe or on a terminal of its own."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tests.child import clean_environment
from tests.process import ROOT

COMMAND = (sys.executable, "-m", "app")
PATIENCE = 60.0  # seconds; a command takes one or two
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str = ""


def environment(more: Mapping[str, str] = NOTHING) -> dict[str, str]:
    return {**clean_environment(), "COLUMNS": "100", "TERM": "xterm-256color", "TZ": "UTC", **more}


def started(*words: str, env: Mapping[str, str] = NOTHING, **more: int) -> subprocess.Popen[bytes]:
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.Popen((*COMMAND, *words), cwd=ROOT, env=environment(env), **pipes)  # type: ignore[call-overload, no-any-return]


def said(*words: str, stdin: bytes = b"", env: Mapping[str, str] = NOTHING) -> Said:
    """In pipes."""
    process = started(*words, env=env, stdin=subprocess.PIPE)
    out, err = process.communicate(stdin, timeout=PATIENCE)
    return Said(process.returncode, out.decode(), err.decode())


@dataclass(slots=True)
class Terminal:
    """A command on a pseudo-terminal of 100 columns; `seen` is all that was drawn so far."""

    process: subprocess.Popen[bytes]
    file: int
    seen: str = ""

    def until(self, text: str) -> None:
        """Read until this was drawn."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            if not self._read(deadline):
                raise AssertionError(f"it has ended without {text!r}: {self.seen!r}")

    def ends(self) -> Said:
        """Read to the end."""
        while self._read(time.monotonic() + PATIENCE):
            pass
        os.close(self.file)
        return Said(self.process.wait(PATIENCE), self.seen)

    def types(self, text: str) -> None:
        os.write(self.file, text.encode())

    def _read(self, deadline: float) -> bool:
        if not select.select([self.file], [], [], max(0.0, deadline - time.monotonic()))[0]:
            self.process.kill()
            raise TimeoutError(f"it drew nothing more after {self.seen!r}")
        with contextlib.suppress(OSError):  # EIO: whoever drew has left
            piece = os.read(self.file, 65_536)
            self.seen += piece.decode(errors="replace")
            return bool(piece)
        return False


# In the background of a script Ctrl-C is ignored, and what we start would ignore it too.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _control() -> None:
    """So that Ctrl-C is a signal to it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def on_a_terminal(*words: str, env: Mapping[str, str] = NOTHING, command: Sequence[str] = COMMAND) -> Terminal:
    """On one."""
    own, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    process = subprocess.Popen(
        (*command, *words),
        cwd=ROOT,
        env=environment(env),
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        preexec_fn=_control,  # noqa: PLW1509 - it takes no lock
    )
    os.close(its)
    return Terminal(process, own)
