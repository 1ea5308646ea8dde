"""Machine: on what, and with which versions, a run was made."""

import os
import platform
import re
import statistics
import subprocess
import sysconfig
import time
from importlib.metadata import version
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from tests.bench import wrk
from tests.bench.contestants import node_packages

LIBRARIES = ("uvicorn", "uvloop", "httptools", "fastapi", "pydantic", "msgspec", "asyncpg", "sqlalchemy")
SYNCS = 50
IN_MEMORY = ("tmpfs", "ramfs")


def describe(folder: Path, postgres: str) -> dict[str, str]:
    """What it is, by name; `folder` is where databases lie, `postgres` their version."""
    memory = psutil.virtual_memory().total / 2**30
    filesystem = _filesystem(folder)
    free = "; its fsync costs nothing: set TMPDIR to a disk" if filesystem in IN_MEMORY else ""
    return {
        "cpu": f"{_cpu()}, {os.cpu_count()} cores, {memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "disk": f"{filesystem}, 8 kB and fsync take {_sync(folder):.2f} ms{free}",
        "python": f"{platform.python_version()}, {_build()}",
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        "postgresql": f"{postgres}, fsync on",
        "go": _version("go", "version"),
        "node": ", ".join([_version("node", "--version"), *(f"{n} {v}" for n, v in node_packages().items())]),
        "load": f"wrk {wrk.version()}, one thread, on the same machine",
    }


def _cpu() -> str:
    # Linux writes it here; elsewhere the processor's name has to do.
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or "unknown CPU"
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _build() -> str:
    options = sysconfig.get_config_var("CONFIG_ARGS") or ""
    if "--enable-optimizations" not in options:
        return "built without --enable-optimizations"
    return "an optimised build, with LTO" if "--with-lto" in options else "an optimised build"


def _filesystem(folder: Path) -> str:
    mounts = [part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)]
    nearest = max(mounts, key=lambda part: len(part.mountpoint), default=None)
    return str(nearest.fstype) if nearest else "unknown file system"


def _sync(folder: Path) -> float:
    file, times = folder / "sync", []
    with file.open("wb", buffering=0) as out:
        for _ in range(SYNCS):
            start = time.perf_counter()
            out.write(bytes(8192))
            os.fsync(out.fileno())
            times.append(time.perf_counter() - start)
    file.unlink()
    return statistics.median(times) * 1000


def _version(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return "none"
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout)
    return found[0] if found else "unknown"
