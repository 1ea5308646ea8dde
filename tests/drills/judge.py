"""Judge: what a scenario expects, held against what was measured; the probe's own verdict comes first."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.drills.probing import Report
from tests.drills.scenario import Expect


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What a drill has given."""

    report: Report
    restarts: Mapping[str, Sequence[str]]
    stored: Counter[str]  # by asking the database itself
    slowest_answer: float
    logs: Mapping[str, str]


def missed(expect: Expect, measured: Measured) -> list[str]:
    """The expectations that were not met, in words; empty: all were."""
    return [*_of_the_table(measured), *_of_the_load(expect, measured), *_of_the_processes(expect, measured)]


def _of_the_table(measured: Measured) -> Iterator[str]:
    events = measured.report["events"]
    doubled = sum(times > 1 for times in measured.stored.values())
    if doubled:
        yield f"{doubled} ids are in the table more than once"
    if len(measured.stored) < events["acknowledged"] - events["lost"]:
        yield f"the table has {len(measured.stored)} ids, {events['acknowledged']} events were acknowledged"


def _of_the_load(expect: Expect, measured: Measured) -> Iterator[str]:
    requests, events = measured.report["requests"], measured.report["events"]
    gap = measured.report["availability"]["longest_gap_seconds"]
    longest = max((fault["end"] - fault["begin"] for fault in faults(measured)), default=0.0)
    statuses = {int(status) for status, times in requests["by_status"].items() if status.isdecimal() and times}
    yield from _most("errors without retry", requests["errors_without_retry"], expect.errors_without_retry)
    yield from _most("longest gap in s", gap, expect.longest_gap)
    yield from _most("gap beyond the fault in s", gap - longest, expect.gap_beyond_fault)
    yield from _most("slowest answer in s", measured.slowest_answer, expect.slowest_answer)
    yield from _most("answers with 500", requests["status_500"], expect.status_500)
    if others := statuses - {*expect.statuses, 500}:
        yield f"answers with {sorted(others)}"
    if unseen := set(expect.seen) - statuses:
        yield f"no answers with {sorted(unseen)}"
    if expect.spooled is not None and (events["spooled"] > 0) != expect.spooled:
        yield f"{events['spooled']} events went into the spool"
    if expect.lies is not None:
        health = measured.report["health"]
        allowed = expect.lies * max(1, len(faults(measured)))
        lies = health["ready_but_not_keeping_seconds"] + health["unready_but_keeping_seconds"]
        yield from _most("seconds that /readyz was wrong", lies, allowed)


def _of_the_processes(expect: Expect, measured: Measured) -> Iterator[str]:
    reasons = [f"{name}: {reason}" for name, all_ in measured.restarts.items() for reason in all_]
    if len(reasons) != expect.restarts:
        yield f"restarts {len(reasons)}, not {expect.restarts}: {'; '.join(reasons)}"
    for name, output in measured.logs.items():
        if bug := next(filter(_tells_of_a_bug, output.splitlines()), None):
            yield f"the log of {name} tells of a bug: {bug[:200]}"


def faults(measured: Measured) -> list[Mapping[str, float]]:
    """The faults that had an end."""
    return [fault for fault in measured.report["faults"] if fault["end"] is not None]


def _most(what: str, value: float, most: float | None) -> Iterator[str]:
    if most is not None and value > most:
        yield f"{what}: {value:.4g}, at most {most:g}"


def _tells_of_a_bug(line: str) -> bool:
    try:
        return bool(json.loads(line)["event"] == "bug")
    except (ValueError, KeyError, TypeError):
        return True  # such as a line of a traceback
