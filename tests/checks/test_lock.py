"""The locks hold what pyproject.toml asks for, pinned and hashed, and say nothing of where it comes from."""

import re
import tomllib
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINNED = re.compile(r"[a-z0-9-]+==[^\s;]+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+")

Lock = dict[str, list[Requirement]]
Group = list[str | dict[str, str]]


def group(name: str) -> list[str]:
    """Return a dependency group's requirements and those of the groups that it includes."""
    groups: dict[str, Group] = PYPROJECT["dependency-groups"]
    return [
        requirement
        for item in groups[name]
        for requirement in ([item] if isinstance(item, str) else group(item["include-group"]))
    ]


RUNTIME: list[str] = PYPROJECT["project"]["dependencies"]
LOCKS = {
    "requirements.txt": [*RUNTIME, *group("build"), *PYPROJECT["build-system"]["requires"]],
    "requirements-dev.txt": [*RUNTIME, *group("dev")],
}

# Markers are judged for each of these; a patch level, because some packages tell 3.11.2 from 3.11.3.
PYTHONS = ["3.11.2", "3.11.9", "3.12.0", "3.13.0", "3.14.0"]
PLATFORMS = ["linux", "darwin", "win32"]
ENVIRONMENTS: list[dict[str, Any]] = [
    {"python_version": python.rpartition(".")[0], "python_full_version": python, "sys_platform": platform}
    for python, platform in product(PYTHONS, PLATFORMS)
]


def entries(lock: str) -> list[str]:
    return re.split(r"\n(?! )", (ROOT / lock).read_text(encoding="utf-8").strip())


def read(lock: str) -> Lock:
    found: Lock = {}
    for entry in entries(lock):
        requirement = Requirement(entry.partition("\\")[0])
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def pins(lock: Lock, name: str, environment: dict[str, Any]) -> list[str]:
    """Return the versions of a package that would be installed there: one, or none."""
    chosen = [one for one in lock.get(canonicalize_name(name), []) if applies(one, environment)]
    return [specifier.version for one in chosen for specifier in one.specifier]


def applies(requirement: Requirement, environment: dict[str, Any]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_is_pinned_and_hashed_and_names_no_place(lock: str) -> None:
    strange = [entry.partition("\\")[0] for entry in entries(lock) if not PINNED.fullmatch(entry)]
    assert not strange, f"{lock} has lines that are not `name==version` with hashes: {strange}"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_dependency_is_locked_to_a_version_that_it_allows(lock: str) -> None:
    locked = read(lock)
    problems = {
        f"{wanted} is locked to {found or 'nothing'}"
        for wanted in map(Requirement, LOCKS[lock])
        for environment in ENVIRONMENTS
        if applies(wanted, environment)
        for found in [pins(locked, wanted.name, environment)]
        if len(found) != 1 or not wanted.specifier.contains(found[0], prereleases=True)
    }
    assert not problems, "\n".join([f"{lock} is behind pyproject.toml, run make lock:", *sorted(problems)])


def test_the_dev_lock_has_every_runtime_package_at_the_same_version() -> None:
    runtime, dev = (read(lock) for lock in LOCKS)
    problems = {
        f"{name}: {ours}, for tests {theirs or 'nothing'}"
        for name in runtime
        for environment in ENVIRONMENTS
        if (ours := pins(runtime, name, environment)) != (theirs := pins(dev, name, environment))
    }
    assert not problems, "\n".join(["The locks differ, run make lock:", *sorted(problems)])
