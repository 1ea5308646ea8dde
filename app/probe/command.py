"""A run against a collector, or the audit of an old ledger: what is wished in, an exit code out."""

import asyncio
import secrets
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import uvloop

from app.about import NAME
from app.probe import faults, ledger
from app.probe.client import TOKEN
from app.probe.conduct import Run, read_back
from app.probe.faults import FaultLogError
from app.probe.history import History, history
from app.probe.html import html
from app.probe.ledger import Ledger, LedgerError
from app.probe.progress import progress
from app.probe.report import page
from app.probe.schedule import Plan
from app.probe.verdict import Verdict, judge

WRONG = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What both commands take. `settle`: seconds to wait for what is missing at the end."""

    urls: Sequence[str]
    token: str | None
    settle: float
    html_file: Path | None
    as_json: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What is sent: see `Plan`. `seed` None: by chance."""

    rate: float
    seconds: float
    batch: int
    workers: int
    retry: bool
    seed: int | None


def run(wishes: Wishes, load: Load, *, ledger_file: Path | None, faults_file: Path | None) -> int:
    """What `collector probe` does; gives the exit code."""
    plan = Plan(
        run=time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(3),
        urls=tuple(wishes.urls),
        rate=load.rate,
        seconds=load.seconds,
        batch=load.batch,
        workers=load.workers,
        retry=load.retry,
        seed=secrets.randbelow(2**32) if load.seed is None else load.seed,
    )

    def judged() -> tuple[Verdict, History]:
        with Ledger(ledger_file) as history_, progress() as say:
            return uvloop.run(_run(Run(plan, history_, wishes.settle, say), faults_file))

    return _told(wishes, judged)


def verify(wishes: Wishes, ledger_file: Path) -> int:
    """What `collector probe verify` does; gives the exit code."""

    def judged() -> tuple[Verdict, History]:
        found = history(ledger.read(ledger_file))
        found.plan = msgspec.structs.replace(found.plan, urls=tuple(wishes.urls))
        with progress() as say:
            return judge(found, uvloop.run(read_back(found, wishes.settle, say))), found

    return _told(wishes, judged)


def _told(wishes: Wishes, judged: Callable[[], tuple[Verdict, History]]) -> int:
    TOKEN.set(wishes.token)
    try:
        verdict, found = judged()
        return _tell(verdict, found, wishes.html_file, as_json=wishes.as_json)
    except (LedgerError, FaultLogError, OSError) as error:
        print(f"{NAME} probe: {error}", file=sys.stderr)
        return WRONG


async def _run(one: Run, faults_file: Path | None) -> tuple[Verdict, History]:
    signals = 0

    def interrupted() -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            raise SystemExit(WRONG)
        one.say("the load ends here; once more to quit without a verdict")
        one.stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupted)
    return await one.verdict(lambda: None if faults_file is None else faults.read(faults_file))


def _tell(verdict: Verdict, found: History, html_file: Path | None, *, as_json: bool) -> int:
    if html_file is not None:
        html_file.write_text(html(verdict, found), encoding="utf-8")
    print(msgspec.json.encode(verdict).decode() if as_json else page(verdict))
    return verdict.code
