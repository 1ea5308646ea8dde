"""Probing: `collector probe` as a child process, and what it says in the end."""

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.child import clean_environment
from tests.drills.scenario import Load
from tests.guardian import guardian
from tests.process import ROOT

Report = dict[str, Any]
STARTED_WITHIN = 30.0  # seconds
BEYOND = 60.0  # seconds that it may take after the load, beyond the settling
LONG = 7200.0  # seconds; nobody waits for it
UNDER_WAY = 10  # requests after which the load has begun
POLL = 0.02  # seconds
SOURCE = "collector.probe/"


class ProbeError(Exception):
    """The probe gave no verdict; the message has what it wrote."""


def question(urls: Sequence[str], load: Load, folder: Path, *, faults: Path | None, seed: int) -> Sequence[str]:
    """The words of the command, whose files are to be in `folder`, there where it runs."""
    # Where there are faults, the load goes on until they are over, and is then told to end.
    seconds = load.seconds if faults is None else LONG
    words = [f"--rate={load.rate}", f"--for={seconds:g}s", f"--batch={load.batch}", f"--seed={seed}"]
    words += [f"--workers={load.workers}", f"--settle={load.settle:g}s", "--json"]
    words += ["--retry" if load.retry else "--no-retry", f"--ledger={folder / 'ledger.jsonl'}"]
    words += [f"--html={folder / 'report.html'}", *([f"--faults={faults}"] if faults else [])]
    return ["probe", *urls, *words]


class Probe:
    """A probe of these URLs, with its files in `folder`. Always the sound one, whatever is probed."""

    def __init__(self, urls: Sequence[str], load: Load, folder: Path, *, faults: Path | None, seed: int) -> None:
        self.ledger = folder / "ledger.jsonl"
        self._faults = faults
        self._errors = folder / "probe.log"
        self._report = folder / "report.json"
        self._end = load.settle + BEYOND
        self._env = clean_environment()
        self._command = [sys.executable, "-m", "app", *question(urls, load, folder, faults=faults, seed=seed)]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until its load has begun. Raises ProbeError."""
        with self._report.open("wb") as out, self._errors.open("wb") as err:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=err, cwd=ROOT,
                env=self._env, start_new_session=True,
            )  # fmt: skip
        guardian().watch(self._process.pid)
        try:
            async with asyncio.timeout(STARTED_WITHIN):
                while await self.requests() < UNDER_WAY:
                    if self._process.returncode is not None:
                        raise ProbeError(self._said())
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise ProbeError(f"its load did not begin within {STARTED_WITHIN:g} s\n{self._said()}") from None

    async def end_load(self) -> None:
        """Tell it that the load is to end; the verdict follows."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)

    async def verdict(self) -> Report:
        """Wait for its end. Raises ProbeError."""
        assert self._process is not None
        try:
            async with asyncio.timeout(self._end):
                code = await self._process.wait()
        except TimeoutError:
            raise ProbeError(f"it did not end within {self._end:g} s\n{self._said()}") from None
        try:
            report: Report = json.loads(self._report.read_text())
        except ValueError:
            raise ProbeError(f"it ended with {code} and gave no verdict\n{self._said()}") from None
        return report

    async def close(self) -> None:
        """Kill it, if it runs still."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def requests(self) -> int:
        """How many requests it has sent."""
        return self.ledger.read_bytes().count(b'"sent"') if self.ledger.is_file() else 0

    def slowest_answer(self) -> float:
        """The most seconds from the sending of a request to what came of it."""
        sent: dict[tuple[str, int], int] = {}
        most = 0
        for line in self.ledger.read_bytes().splitlines():
            entry = json.loads(line)
            if entry["event"] == "sent":
                sent[entry["id"], entry["attempt"]] = entry["at"]
            elif entry["event"] == "answered":
                most = max(most, entry["at"] - sent[entry["id"], entry["attempt"]])
        return most / 1e9

    def _said(self) -> str:
        return self._errors.read_text(errors="replace")[-4000:]
