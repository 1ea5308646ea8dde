"""systemd: told that this process is up, alive and leaving, as sd_notify does it: a datagram to its socket.

Alive is what /healthz means by it: every loop has turned lately. The word comes from the event loop itself, so
that a process which is stuck, in whatever way, falls silent, and is ended and started again.
"""

import asyncio
import socket
from collections.abc import Callable

from app.health import Beat, Loops
from app.logs import log
from app.settings import Supervisor

UNWATCHED_EVERY = 10.0  # seconds between two turns where no watchdog waits for them
LATE = 15.0  # seconds that a turn may come late before the process is taken for stuck


def notify(supervisor: Supervisor | None, loops: Loops) -> Callable[[], None]:
    """Tell the supervisor, if there is one, from a loop of its own. Returns what to call on leaving."""
    if supervisor is None:
        return _nobody_to_tell
    systemd = Systemd(supervisor, loops.late)
    loops.start("systemd", systemd.run, deadline=systemd.every + LATE)
    return systemd.leave


def _nobody_to_tell() -> None:
    """Started by hand, by a container engine, by a test."""


class Systemd:
    """The supervisor's socket; `late` names the loops that have not turned lately, `every` is in seconds."""

    def __init__(self, supervisor: Supervisor, late: Callable[[], list[str]]) -> None:
        # A name that begins with @ is one of Linux's abstract sockets.
        self._address = "\0" + supervisor.socket[1:] if supervisor.socket[0] == "@" else supervisor.socket
        self._late = late
        self._heard = True
        self.every = UNWATCHED_EVERY if supervisor.watchdog is None else supervisor.watchdog / 2

    async def run(self, beat: Beat) -> None:
        """The loop. Its first turn comes when all the others have been started and the port is open."""
        ready = False
        while True:
            beat()
            ready = ready or self._tell(b"READY=1")
            if not self._late():
                self._tell(b"WATCHDOG=1")
            await asyncio.sleep(self.every)

    def leave(self) -> None:
        """Say so."""
        self._tell(b"STOPPING=1")

    def _tell(self, state: bytes) -> bool:
        """Whether it was taken. Waits for nobody: what is not taken now is said again at the next turn."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)  # noqa: FBT003
            try:
                channel.sendto(state, self._address)
            except OSError as error:
                if self._heard:
                    log.warning("systemd does not hear", socket=self._address, reason=error.strerror)
                self._heard = False
            else:
                self._heard = True
        return self._heard
