"""Scenario: what a drill consists of, read from a file of TOML. What is unknown in it is refused.

Durations are written with their unit: "500ms", "2s".
"""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta

Kind = Literal["processes", "compose"]  # of a rig

OF_PROCESSES = Path(__file__).parent / "scenarios"
FOLDERS: dict[Kind, Path] = {"processes": OF_PROCESSES, "compose": OF_PROCESSES / "compose"}
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}

Count = Annotated[int, Meta(ge=0)]
Some = Annotated[int, Meta(ge=1)]


class Seconds(float):
    """A duration."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "500ms", "2s", "1m". Raises ValueError."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m)", text)
        if found is None:
            raise ValueError(f"not a duration, such as 500ms or 2s: {text!r}")
        return cls(float(found[1]) * UNITS[found[2]])


class _Rig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What is started; the folder of the scenario says of which kind it is."""


class Processes(_Rig, frozen=True, tag="processes"):
    """What is started on this machine: `through` names those that a breakable network lies before."""

    store: Literal["sqlite", "postgres"] = "postgres"
    collectors: Some = 1
    workers: Count = 0
    front: bool = False  # clients come through a service that knows who is ready, else to each collector
    spool: bool = False  # a Redis that keeps events while the database is away
    cache: bool = False  # a Redis for pages and news
    through: tuple[Literal["postgres", "postgres-of-collector-2", "cache", "spool", "collector-1"], ...] = ()
    disk_mib: Some | None = None  # the database's files lie on a disk of this size
    fsync: bool = True  # of PostgreSQL; off where nothing may fail, not even for a disk that others use too
    settings: dict[str, str] = {}


class Containers(_Rig, frozen=True, tag="compose"):
    """What of deploy/compose is started."""

    scaled: bool = True  # nginx in front of three collectors, else the sole one of compose.yaml
    disk_mib: Some | None = None  # PostgreSQL's files lie on a disk of this size
    commit_ms: Annotated[int, Meta(ge=0, le=100)] = 0  # how much longer a commit takes, so that much is under way
    settings: dict[str, str] = {}  # of the collectors, beside those of the files


class Load(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `collector probe` is told."""

    rate: Some = 100  # requests a second
    seconds: Seconds = Seconds(10)  # at least; it goes on until all faults have been over for a while
    retry: bool = True
    batch: Some = 1
    workers: Some = 10
    settle: Seconds = Seconds(30)


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done to whom, `at` seconds after the load has begun, give or take the jitter of the schedule."""

    at: Seconds
    target: str
    do: str
    lasts: Seconds = Seconds(0)


class Expect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What else has to be true, beside the probe's own verdict. None: it is not judged."""

    errors_without_retry: Count | None = None  # at most
    longest_gap: Seconds | None = None  # between two acknowledgements, at most
    gap_beyond_fault: Seconds | None = None  # the same, less the time that the longest fault lasted
    slowest_answer: Seconds | None = Seconds(5)  # from its sending, at most
    restarts: Count = 0  # of all processes together, exactly
    status_500: Count = 0  # at most
    lies: Seconds | None = Seconds(1)  # for each fault, at most, that /readyz says what is not so
    statuses: tuple[int, ...] = (200, 201, 202, 503)  # no other one
    seen: tuple[int, ...] = ()  # these ones at least once
    spooled: bool | None = None  # whether anything went into the spool


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A drill. Its name is that of its file."""

    name: str
    shows: str
    short: bool = False  # belongs to the short set
    rig: Processes | Containers = Processes()
    load: Load = Load()
    faults: tuple[Fault, ...] = ()
    expect: Expect = Expect()


def parse(name: str, text: str, kind: Kind = "processes") -> Scenario:
    """Read a scenario for a rig of this kind. Raises ValueError, which names what is wrong."""
    try:
        found = tomllib.loads(text)
        rig = {**found.get("rig", {}), "kind": kind}
        return msgspec.convert({**found, "name": name, "rig": rig}, Scenario, dec_hook=_decode)
    except ValueError as error:  # of which msgspec.ValidationError and TOMLDecodeError are
        raise ValueError(f"{name}: {error}") from error


def load(name: str, kind: Kind = "processes") -> Scenario:
    """The scenario of this name. Raises ValueError, also where there is none."""
    path = FOLDERS[kind] / f"{name}.toml"
    if not path.is_file():
        raise ValueError(f"there is no scenario {name!r}: {', '.join(names(kind))}")
    return parse(name, path.read_text(), kind)


@cache
def names(kind: Kind = "processes") -> tuple[str, ...]:
    """The names of all scenarios for a rig of this kind, in order."""
    return tuple(sorted(path.stem for path in FOLDERS[kind].glob("*.toml")))


def _decode(kind: type[Any], value: object) -> Any:
    if kind is Seconds and isinstance(value, str):
        return Seconds.parse(value)
    raise ValueError(f"a duration is a text such as 2s, not {value!r}")
