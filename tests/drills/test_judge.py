"""The judge: each expectation that is missed is told, and nothing else is."""

from collections import Counter
from typing import Any

import pytest

from tests.drills.judge import Measured, missed
from tests.drills.scenario import Expect, Seconds

STRICT = Expect(
    errors_without_retry=0,
    longest_gap=Seconds(2),
    gap_beyond_fault=Seconds(1),
    restarts=1,
    statuses=(200, 201),
    seen=(201,),
    spooled=False,
)


def measured(changes: dict[str, dict[str, object]] | None = None, **more: Any) -> Measured:
    report: dict[str, Any] = {
        "requests": {"errors_without_retry": 0, "status_500": 0, "by_status": {"201": 9, "200": 1}},
        "events": {"acknowledged": 10, "spooled": 0, "lost": 0},
        "availability": {"longest_gap_seconds": 1.5},
        "health": {"ready_but_not_keeping_seconds": 0.5, "unready_but_keeping_seconds": 0.5},
        "faults": [{"begin": 100.0, "end": 101.0}, {"begin": 103.0, "end": None}],
    }
    for part, values in (changes or {}).items():
        report[part] |= values
    given: dict[str, Any] = {
        "report": report,
        "restarts": {"collector-1": ["exit code -9"]},
        "stored": Counter(str(n) for n in range(10)),
        "slowest_answer": 4.0,
        "logs": {"1-serve": '{"event": "listening"}\n{"event": "left"}\n'},
    }
    return Measured(**(given | more))


def test_what_is_as_expected_misses_nothing() -> None:
    assert missed(STRICT, measured()) == []


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (measured({"requests": {"errors_without_retry": 1}}), "errors without retry: 1, at most 0"),
        (measured({"requests": {"status_500": 1}}), "answers with 500: 1, at most 0"),
        (measured({"requests": {"by_status": {"201": 9, "429": 1}}}), "answers with [429]"),
        (measured({"requests": {"by_status": {"200": 9, "201": 0}}}), "no answers with [201]"),
        (measured({"events": {"spooled": 3}}), "3 events went into the spool"),
        (measured({"events": {"acknowledged": 11}}), "the table has 10 ids, 11 events were acknowledged"),
        (measured({"health": {"ready_but_not_keeping_seconds": 0.7}}), "/readyz was wrong: 1.2, at most 1"),
        (measured(restarts={}), "restarts 0, not 1"),
        (measured(restarts={"a": ["liveness check"] * 2}), "a: liveness check; a: liveness check"),
        (
            measured(stored=Counter({str(n): 1 + (n == 3) for n in range(10)})),
            "1 ids are in the table more than",
        ),
        (measured(slowest_answer=5.5), "slowest answer in s: 5.5, at most 5"),
        (measured(logs={"1-serve": '{"event": "bug"}'}), "the log of 1-serve tells of a bug"),
        (measured(logs={"1-serve": "Traceback (most recent call last):"}), "tells of a bug: Traceback"),
    ],
)
def test_what_is_not_is_told(found: Measured, says: str) -> None:
    (told,) = missed(STRICT, found)
    assert says in told


def test_a_gap_is_told_by_itself_and_beyond_the_fault() -> None:
    told = missed(STRICT, measured({"availability": {"longest_gap_seconds": 2.5}}))
    assert told == ["longest gap in s: 2.5, at most 2", "gap beyond the fault in s: 1.5, at most 1"]


def test_patience_makes_times_longer_and_forgives_nothing_else() -> None:
    late = measured(
        {"availability": {"longest_gap_seconds": 3.9}, "health": {"ready_but_not_keeping_seconds": 1.4}},
        slowest_answer=9.0,
    )
    assert len(missed(STRICT, late)) == 4
    assert missed(STRICT, late, patience=3) == []
    assert len(missed(STRICT, measured({"requests": {"errors_without_retry": 1}}), patience=100)) == 1


def test_lies_are_allowed_for_each_fault() -> None:
    faults = {"begin": 1.0, "end": 2.0}
    two = measured({"health": {"ready_but_not_keeping_seconds": 1.4}})
    two.report["faults"] = [faults, faults]
    assert missed(STRICT, two) == []
