"""The fuzz target: `make fuzz ARGS="--cases 100000 --seed 1"`, or `python -m tests.hostile.fuzz`.

Hypothesis leads chance, `cases.py` makes requests of it, and a real collector answers them, on each database in
turn. Whatever comes, no answer may be a 500, every answer has to be well-formed and of a documented status, and at
the end the log has to hold what was acknowledged and no more. A case that fails is written to a file, which the
corpus takes.
"""

import argparse
import asyncio
import base64
import json
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Self
from urllib.parse import unquote

import psutil  # type: ignore[import-untyped]
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.conftest import POSTGRES
from tests.databases import migrate
from tests.hostile.cases import Case, make
from tests.hostile.line import Broken, Ended, Line, Said
from tests.hostile.ways import HOOKS
from tests.http.conftest import sqlite_at
from tests.process import CollectorProcess

BLOCK = 500  # cases that Hypothesis leads at once: it remembers all of them
WARM = 500  # cases before memory is looked at
LOOK_SECONDS = 0.4  # between two looks at the gauge of the loop's lag, which is set about twice a second
LARGEST = 64 * 1024  # bytes of a refusal, and of what else is no page
A_RESULT = 800  # bytes of what a refusal says of one event
ANYWHERE = {400, 404, 405, 431}  # statuses of what is no request of a route
LAG = "collector_event_loop_lag_seconds "
DATABASES = ("sqlite", "postgres")
START_WITHIN = 60.0  # seconds; it takes one


@dataclass
class Figures:
    """What was seen of one collector."""

    database: str
    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    numbers: set[int] = field(default_factory=set)  # of events that were acknowledged by their numbers
    accepted: int = 0  # events that were
    unknown: int = 0  # requests whose answers were left out, since what came after them is no HTTP
    slowest: float = 0.0  # seconds
    slowest_said: str = ""
    lag: float = 0.0  # seconds
    memory: list[int] = field(default_factory=list)  # bytes, when warm and at the end
    stored: int = 0
    seconds: float = 0.0

    def row(self) -> str:
        grown = (self.memory[-1] - self.memory[0]) / 2**20 if self.memory else 0.0
        fives = sum(count for status, count in self.statuses.items() if status >= 500)
        cells = (
            *(self.database, self.cases, self.statuses.total(), fives, self.accepted, self.stored, self.unknown),
            *(
                f"{self.slowest * 1000:.0f} ms",
                f"{self.lag * 1000:.0f} ms",
                f"{grown:+.1f} MiB",
                f"{self.seconds:.0f} s",
            ),
        )
        return "| " + " | ".join(map(str, cells)) + " |"


HEAD = (
    "| database | cases | answers | of 5xx | acknowledged | stored | in doubt | slowest | lag | memory | took |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


class Wrong(AssertionError):
    """An answer that may not be."""


class Target:
    """One collector, and what it has answered. `figures` go on from case to case."""

    def __init__(self, process: CollectorProcess, figures: Figures) -> None:
        self._process = process
        self.figures = figures
        self._line: Line | None = None
        document = self._ask(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n").json
        self._documented = {
            (method.upper(), path): {int(status) for status in told["responses"] if status.isdecimal()}
            for path, methods in document["paths"].items()
            for method, told in methods.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def run(self, case: Case) -> None:
        """Say it and judge what comes back. Raises Wrong."""
        began = time.monotonic()
        try:
            answers = list(self._wire(case) if case.raw else self._kept_open(case))
        except (Broken, Ended, TimeoutError) as error:
            self._close()
            raise Wrong(f"{error!r} to {case.said[:300]!r}") from None
        took = time.monotonic() - began
        if took > self.figures.slowest:
            self.figures.slowest, self.figures.slowest_said = took, f"{case.method} {case.said[:80]!r}"
        self.figures.cases += 1
        for answer in answers:
            self.figures.statuses[answer.status] += 1
            self._judge(case, answer)
            self._note(answer)

    def check_log(self) -> None:
        """The log holds what was acknowledged, and no more. Raises Wrong."""
        figures = self.figures
        accept = b"Accept: application/x-ndjson"
        text = self._ask(b"GET /events?order=asc HTTP/1.1\r\nHost: x\r\n" + accept + b"\r\n\r\n").body
        numbers = [json.loads(line)["seq"] for line in text.splitlines()]
        figures.stored = len(numbers)
        if lost := figures.numbers - set(numbers):
            raise Wrong(f"{len(lost)} acknowledged events are not stored: {sorted(lost)[:5]}")
        if not figures.accepted <= len(set(numbers)) == len(numbers) <= figures.accepted + figures.unknown:
            raise Wrong(f"{len(numbers)} events are stored, {figures.accepted} were acknowledged")
        if bugs := [line for line in self._process.logs() if line["event"] == "bug" or line["level"] == "error"]:
            raise Wrong(f"{len(bugs)} errors are logged: {bugs[0]}")

    def _kept_open(self, case: Case) -> Iterator[Said]:
        if self._line is None:
            self._line = Line(self._process.port)
        self._line.send(case.said)
        streams = case.path == "/events/stream"
        answer = self._line.answer(to=case.method.encode(), body=not streams)
        if answer.closes or streams:
            self._close()
        yield answer

    def _wire(self, case: Case) -> Iterator[Said]:
        with Line(self._process.port) as line:
            line.send(case.said)
            line.done()
            answered = 0
            for answer in line.answers():
                answered += 1
                yield answer
        # Of what was read before it became no HTTP, or before the end came, the answer may be left out.
        self.figures.unknown += max(0, case.said.count(b"POST") - answered) * 3

    def _judge(self, case: Case, answer: Said) -> None:
        told = f"{answer.status} {answer.body[:300]!r} to {case.said[:300]!r}"
        if answer.status >= 500:
            raise Wrong(told)
        if not case.raw and answer.status not in self._statuses(case):
            raise Wrong(f"not documented: {told}")
        if answer.status >= 400:
            self._judge_refusal(case, answer, told)
        elif "x-request-id" not in answer.headers:
            raise Wrong(f"without an id: {told}")

    def _judge_refusal(self, case: Case, answer: Said, told: str) -> None:
        if answer.headers.get("content-type") == "application/problem+json":
            document: dict[str, Any] = answer.json if answer.body else {"status": answer.status}
            many = A_RESULT * len(document.get("errors", ()))
            if document["status"] != answer.status or len(answer.body) > LARGEST + many:
                raise Wrong(told)
        elif not case.raw:
            raise Wrong(f"no problem: {told}")

    def _statuses(self, case: Case) -> set[int]:
        path = unquote(case.path)
        for (method, template), statuses in self._documented.items():
            prefix = template.partition("{")[0]
            fits = path == template or ("{" in template and path.startswith(prefix) and path != prefix)
            if method == case.method and fits:
                return statuses | ANYWHERE
        return {200, 307, 404, 405, *ANYWHERE} if case.method in ("GET", "HEAD") else ANYWHERE

    def _note(self, answer: Said) -> None:
        if answer.status not in (200, 201) or "collector-position" not in answer.headers:
            return
        document = answer.json
        if "accepted" in document:
            self.figures.accepted += document["accepted"]
        else:
            self.figures.accepted += answer.status == 201
            self.figures.numbers.add(document["seq"])

    def _ask(self, said: bytes) -> Said:
        with Line(self._process.port) as line:
            line.send(said)
            return line.answer()

    def _close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def fuzz(process: CollectorProcess, database: str, *, cases: int, number: int, tells: bool = True) -> Figures:
    """Have that many cases answered. Raises Wrong, with a note of the file that the case was written to."""
    figures = Figures(database)
    memory = psutil.Process(process.pid).memory_info
    began = told = time.monotonic()
    with Target(process, figures) as target, _lag(process, figures):
        for block in range(-(-cases // BLOCK)):
            _block(target, number * 1_000_003 + block, min(BLOCK, cases - block * BLOCK))
            if figures.cases >= min(WARM, cases):
                figures.memory.append(memory().rss)
            if tells and time.monotonic() - told > 5:
                told = time.monotonic()
                print(f"{database}: {figures.cases} cases, {dict(sorted(figures.statuses.items()))}", flush=True)
        target.check_log()
    figures.memory.append(memory().rss)
    figures.seconds = time.monotonic() - began
    return figures


def _block(target: Target, number: int, cases: int) -> None:
    failing: list[Case] = []

    @seed(number)
    @settings(
        max_examples=cases,
        phases=(Phase.generate,),
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    # A case hangs on one number. Were each choice drawn by itself, it could shrink, at twenty times the cost.
    @given(st.randoms(use_true_random=True))
    def ask(chance: Random) -> None:
        case = make(chance)
        try:
            target.run(case)
        except Wrong:
            failing[:] = [case]
            raise

    try:
        ask()
    except Wrong as wrong:
        if failing:
            wrong.add_note(f"written to {_write(failing[0], number)}")
        raise


def _write(case: Case, number: int) -> Path:
    """The case, as the corpus has it."""
    path = Path(tempfile.gettempdir()) / f"fuzz-{number}.toml"
    said = base64.b64encode(case.said).decode()
    path.write_text(f'[[wire]]\nname = "fuzz {number}"\nsend = {{ base64 = "{said}" }}\nanswers = [400]\n')
    return path


@contextmanager
def _lag(process: CollectorProcess, figures: Figures) -> Iterator[None]:
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_SECONDS):
            try:
                with Line(process.port) as line:
                    line.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                    text = line.answer().body.decode()
            except (Broken, Ended, OSError):
                continue  # the cases tell of it
            found = next(row for row in text.splitlines() if row.startswith(LAG))
            figures.lag = max(figures.lag, float(found.removeprefix(LAG)))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def environment(database: str) -> Iterator[Mapping[str, str]]:
    """Settings of a collector on a fresh database, with a webhook of every kind."""
    hooks = {"HOOKS": json.dumps(HOOKS)}
    if database == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield sqlite_at(Path(folder)) | hooks
        return
    with POSTGRES.sources[-1].serve() as url:
        migrate(url)
        yield {"POSTGRES_CONNECTION_STRING": url} | hooks


def main() -> int:
    """Exit code 0: nothing was wrong; 1: a case was, and stands in the file that is named."""
    parser = argparse.ArgumentParser(prog="fuzz", description="Hostile requests without end, on a real collector.")
    parser.add_argument("--cases", type=int, default=10_000, help="in all, on all databases (10000)")
    parser.add_argument("--seed", type=int, default=None, help="what chance begins with; told at the end")
    parser.add_argument("--on", choices=DATABASES, action="append", help="one database; both unless it is given")
    options = parser.parse_args()
    number = secrets.randbelow(2**31) if options.seed is None else options.seed
    databases = options.on or DATABASES
    rows, slowest = [], []
    for database in databases:
        with environment(database) as env, CollectorProcess(env=env) as process:
            asyncio.run(process.wait_until_ready(START_WITHIN))
            try:
                figures = fuzz(process, database, cases=options.cases // len(databases), number=number)
            except Wrong as wrong:
                notes = "; ".join(getattr(wrong, "__notes__", ()))
                print(f"{database}: {wrong}\n{notes}\nseed {number}", file=sys.stderr)
                return 1
            rows.append(figures.row())
            slowest.append(f"{database}: {dict(sorted(figures.statuses.items()))}, slowest {figures.slowest_said}")
    print("\n".join([HEAD, *rows, "", *slowest, f"seed {number}"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
