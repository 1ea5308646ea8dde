"""Servers: PostgreSQL and Redis of our own, which a test may stop, crash and freeze.

They run from the binaries that packages bring, whatever servers the environment offers: a test of faults needs
the process in its hands. All methods block, for less than a second as a rule; where the test's event loop has to
go on meanwhile, call them by `asyncio.to_thread`.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal, Self

import redis

from tests.binaries import Install, newest_postgres, readable, redis_binary, unprivileged
from tests.child import Child, clean_environment
from tests.guardian import guardian
from tests.ports import LOOPBACK, free_port

REDIS_ANSWERS_WITHIN = 0.5  # seconds
STOP_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class PostgresServer:
    """A PostgreSQL on a loopback port, with a data folder of its own; as a context manager it runs inside.

    `settings` are lines of postgresql.conf, such as `{"wal_level": "logical"}`; fsync is on, as it is by default.
    `place` is the folder that the data folder is made in, where it is not to be one of its own.
    The account is `postgres`, without a password. The port stays the same from one start to the next.
    """

    def __init__(
        self,
        install: Install | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        place: Path | None = None,
    ) -> None:
        self._account = unprivileged()
        self.install = readable(install or newest_postgres(), self._account)
        self.version = self.install.major
        self.port = free_port()
        self._folder = guardian().new_folder(f"postgres{self.version}")
        self._data = (place or self._folder) / "data"
        subprocess.run(["cp", "-Rp", _initialised(self.install), self._data], check=True)
        self._settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "min_wal_size": "80MB",  # the defaults for segments of 16 MB: else checkpoints would come often
            "max_wal_size": "1GB",
            **(settings or {}),
        }
        self._child: Child | None = None

    def url(self, database: str = "postgres") -> str:
        """The URL of a database, for the superuser."""
        return f"postgresql://postgres@{LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it takes connections. TimeoutError or RuntimeError, with its log, if not."""
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        self._child = Child(
            [self.install.bin / "postgres", "-D", self._data, *options],
            log=self._folder / "log",
            cwd=self._folder,
            env=_environment(),
            account=self._account,
        )
        self._child.wait_until(self._is_ready)

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it: "fast" ends sessions and writes a checkpoint, "immediate" is a crash. Idempotent."""
        if self._running.exit_code is None:
            self._running.resume()
            self._running.end(STOP_SIGNALS[mode])

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it and start it again."""
        self.stop(mode)
        self.start()

    @property
    def runs(self) -> bool:
        """Whether it has neither been stopped nor ended by itself."""
        return self._running.exit_code is None

    def pause(self) -> None:
        """Freeze it: connections stay open, new ones are taken by the kernel, nothing answers."""
        self._running.pause()

    def resume(self) -> None:
        """Let it go on."""
        self._running.resume()

    def log(self) -> str:
        """The end of what it wrote to its log."""
        return self._running.tail()

    def close(self) -> None:
        """Stop it for good and remove its data."""
        if self._child is not None:
            self.stop("immediate")
        shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError("it has not been started")
        return self._child

    def _is_ready(self) -> bool:
        # What pg_ctl reads: line 1 is the process, line 8 its state. A crash leaves the file of the last process.
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self._running.pid) and lines[7].strip() == "ready"


class RedisServer:
    """A Redis on a loopback port, with a folder of its own; as a context manager it runs inside.

    `settings` are lines of redis.conf, such as `{"appendonly": "yes"}`. Without any, a stop forgets all data.
    The port stays the same from one start to the next.
    """

    def __init__(
        self, *, settings: Mapping[str, str] | None = None, binary: tuple[Path, str] | None = None
    ) -> None:
        self._binary, self.version = binary or redis_binary()
        self.port = free_port()
        self._folder = guardian().new_folder("redis")
        self._settings = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": str(self._folder),
            "save": "",
            "appendonly": "no",
            **(settings or {}),
        }
        self._child: Child | None = None

    def url(self, database: int = 0) -> str:
        """The URL of a database."""
        return f"redis://{LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it answers. TimeoutError or RuntimeError, with its log, if it does not."""
        options = [word for name, value in self._settings.items() for word in (f"--{name}", value)]
        log = self._folder / "log"
        self._child = Child([self._binary, *options], log=log, cwd=self._folder, env=_environment())
        self._child.wait_until(self._is_ready)

    def stop(self, *, kill: bool = False) -> None:
        """Stop it; `kill` is a crash. Idempotent."""
        if self._running.exit_code is None:
            self._running.resume()
            self._running.end(signal.SIGKILL if kill else signal.SIGTERM)

    def restart(self, *, kill: bool = False) -> None:
        """Stop it and start it again."""
        self.stop(kill=kill)
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open, new ones are taken by the kernel, nothing answers."""
        self._running.pause()

    def resume(self) -> None:
        """Let it go on."""
        self._running.resume()

    def log(self) -> str:
        """The end of what it wrote to its log."""
        return self._running.tail()

    def close(self) -> None:
        """Stop it for good and remove its data."""
        if self._child is not None:
            self.stop(kill=True)
        shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError("it has not been started")
        return self._child

    def _is_ready(self) -> bool:
        with redis.Redis.from_url(self.url(), socket_timeout=REDIS_ANSWERS_WITHIN) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


@cache
def _initialised(install: Install) -> Path:
    # Once a session: a copy takes 50 ms, initdb up to a second. Segments of 1 MB, because one of 16 MB takes ten
    # times as long to copy as all else.
    folder = guardian().new_folder(f"initdb{install.major}")
    account = unprivileged()
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    options = [
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
        "--wal-segsize=1",
    ]
    child = Child(
        [install.bin / "initdb", *options, "--pgdata", folder / "data"],
        log=folder.with_suffix(".log"),
        cwd=folder,
        env=_environment(),
        account=account,
    )
    child.wait_until(lambda: child.exit_code == 0)
    return folder / "data"


def _environment() -> dict[str, str]:
    return {"PATH": clean_environment().get("PATH", ""), "LC_ALL": "C"}
