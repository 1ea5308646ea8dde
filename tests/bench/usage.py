"""Usage: what processes took of the machine, as the kernel counts it."""

from dataclasses import dataclass
from typing import Self

import psutil  # type: ignore[import-untyped]

MEGABYTE = 10**6


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds so far: of the server, of the database, of the whole machine; and all that it had to give."""

    server: float
    database: float
    busy: float
    total: float

    @classmethod
    def now(cls, server: int | None, database: int | None) -> Self:
        """The figures of this moment, for the processes of these numbers and their children."""
        times = psutil.cpu_times()
        total = sum(times) - times.guest - times.guest_nice  # a guest's time is in `user` too
        return cls(cpu_seconds(server), cpu_seconds(database), total - times.idle - times.iowait, total)

    def since(self, start: "Usage") -> "Usage":
        """What was taken between the two."""
        return Usage(
            self.server - start.server,
            self.database - start.database,
            self.busy - start.busy,
            self.total - start.total,
        )


def cpu_seconds(pid: int | None) -> float:
    """CPU seconds of a process and all its children, those that have ended included."""
    return sum(map(_cpu_seconds, _family(pid)))


def memory(pid: int) -> float:
    """Megabytes (10⁶) of resident memory of a process and its children."""
    return sum(float(one.memory_info().rss) for one in _family(pid)) / MEGABYTE


def _cpu_seconds(process: psutil.Process) -> float:
    # What has ended and was waited for is in its parent's `children_*`, and in nobody else's.
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _family(pid: int | None) -> list[psutil.Process]:
    if pid is None:
        return []
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]
