"""Runner: one drill: the rig is started, the probe sends its load, faults are injected, and all is judged."""

import asyncio
import random
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from tests.drills.containers import ContainerRig
from tests.drills.faultlog import FaultLog
from tests.drills.judge import Measured, missed
from tests.drills.probing import SOURCE, Probe, Report
from tests.drills.processes import ProcessRig
from tests.drills.rig import NotHere, Rig, Verb
from tests.drills.scenario import Containers, Fault, Scenario
from tests.guardian import guardian

JITTER = 0.5  # seconds, at most, that a fault comes later than the scenario says
AFTER = 2.0  # seconds that the load goes on after the last fault

Result = Literal["clean", "red", "invalid", "skipped"]
MakeRig = Callable[[Scenario, Path, str], Rig]
MakeProbe = Callable[..., Probe]  # of what a Probe is made of


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a drill.

    "red": a promise or an expectation was broken. "invalid": it has shown nothing. "skipped": it cannot be had
    here. `reasons` says why, in words; `report` is what the probe gave, None where it gave nothing; `kept` is the
    folder of the ledger, the fault log and the logs, unless it was clean.
    """

    scenario: str
    result: Result
    reasons: list[str] = field(default_factory=list)
    report: Report | None = None
    restarts: dict[str, list[str]] = field(default_factory=dict)
    slowest_answer: float | None = None
    seed: int = 0
    kept: Path | None = None


def make(scenario: Scenario, folder: Path, module: str) -> Rig:
    """The rig that the scenario asks for. Containers are what their image is, whatever the module."""
    if isinstance(scenario.rig, Containers):
        return ContainerRig(scenario.rig, folder)
    return ProcessRig(scenario.rig, folder, module=module)


async def run(
    scenario: Scenario,
    module: str = "app",
    *,
    seed: int = 0,
    keep: Path | None = None,
    patience: float = 1,
    make_rig: MakeRig = make,
    make_probe: MakeProbe = Probe,
) -> Outcome:
    """Run one drill.

    `patience` makes the expected times so much longer, for a machine that is busy with other things.
    `module` is what its collectors and workers are started by, such as "tests.drills.planted BUG"; `seed` jitters
    its schedule; `keep` is the folder in which what a drill that was not clean leaves behind is kept. Rigs that no
    process of this machine reaches bring a probe of their own.
    """
    folder = guardian().new_folder("drill")
    outcome = partial(Outcome, scenario=scenario.name, seed=seed)
    try:
        async with make_rig(scenario, folder, module) as rig:
            drill = _Drill(scenario, rig, folder, seed, make_probe)
            try:
                found = await drill.run()
            finally:
                _write_logs(rig, folder)
    except NotHere as reason:
        return outcome(result="skipped", reasons=[str(reason)])
    except Exception as error:  # noqa: BLE001 - a drill that broke off has shown nothing, whatever it was
        return outcome(result="invalid", reasons=[_in_words(error)], kept=_kept(folder, scenario.name, keep))
    result, reasons = _judged(scenario, found, patience)
    return outcome(
        result=result,
        reasons=reasons,
        report=found.report,
        restarts={name: list(all_) for name, all_ in found.restarts.items()},
        slowest_answer=found.slowest_answer,
        kept=None if result == "clean" else _kept(folder, scenario.name, keep),
    )


class _Drill:
    def __init__(self, scenario: Scenario, rig: Rig, folder: Path, seed: int, make_probe: MakeProbe) -> None:
        self._scenario = scenario
        self._rig = rig
        self._log = FaultLog(folder / "faults.jsonl", scenario=scenario.name, seed=seed)
        self._jitter = random.Random(seed)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        with_faults = self._log.path if scenario.faults else None
        self._probe = make_probe(rig.urls, scenario.load, folder, faults=with_faults, seed=seed)

    async def run(self) -> Measured:
        try:
            await self._probe.start()
            began = time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                for fault in self._scenario.faults:
                    verb = self._rig.targets[fault.target][fault.do]
                    tasks.create_task(self._inject(fault, verb, self._jitter.uniform(0, JITTER)))
            left = began + self._scenario.load.seconds - time.monotonic()
            await asyncio.sleep(max(AFTER, left))
            await self._probe.end_load()
            report = await self._probe.verdict()
        finally:
            await self._probe.close()
        return Measured(
            report=report,
            restarts=self._rig.restarts,
            stored=await self._rig.stored(SOURCE + report["run"]["id"]),
            slowest_answer=self._probe.slowest_answer(),
            logs=self._rig.logs,
        )

    async def _inject(self, fault: Fault, verb: Verb, later: float) -> None:
        await asyncio.sleep(fault.at + later)
        async with self._turns[fault.target]:  # nobody is hit who is not back on his feet
            number = self._log.begin(kind=fault.do, target=fault.target)
            effect = None
            try:
                effect = await verb(fault.lasts)
            finally:
                self._log.end(number, effect)


def _judged(scenario: Scenario, found: Measured, patience: float) -> tuple[Result, list[str]]:
    verdict, reasons = found.report["verdict"], list(found.report["reasons"])
    if verdict == "untested":
        return "invalid", reasons
    reasons += missed(scenario.expect, found, patience)
    return ("red" if reasons or verdict != "clean" else "clean"), reasons


def _write_logs(rig: Rig, folder: Path) -> None:
    for name, output in rig.logs.items():
        (folder / f"{name}.log").write_text(output)


def _kept(folder: Path, name: str, keep: Path | None) -> Path:
    """Copy what was left behind to where it stays."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f"drill-{name}-", dir=keep))
    for path in folder.iterdir():
        if path.is_file():
            shutil.copy(path, place)
    return place


def _in_words(error: BaseException) -> str:
    if isinstance(error, ExceptionGroup):
        return "; ".join(_in_words(one) for one in error.exceptions)
    return f"{type(error).__name__}: {error}"
