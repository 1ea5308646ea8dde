"""What is planted into a clean history is found, and nothing else is."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.probe.faults import Fault
from app.probe.history import History, history
from app.probe.ledger import Answered, Began, Ended, Outcome, Polled, Record, Sent
from app.probe.schedule import Plan
from app.probe.verdict import Copy, Readings, Stored, Verdict, View, judge

MS = 1_000_000  # nanoseconds
START = 5_000 * MS
UNIX = 1_800_000_000.0
FINDINGS = ("lost", "phantom", "refused_but_stored", "doubled", "corrupted", "stale")
TAIL = ("gaps", "doubled", "disordered", "vanished")


@dataclass(frozen=True, slots=True)
class Made:
    """A clean run: what the ledger says, and what was read."""

    records: list[Record]
    stored: list[Stored]
    readings: Readings

    @property
    def history(self) -> History:
        return history(self.records)


def made(chance: Random, *, requests: int = 40, batch: int = 1, retry: bool = True, replicas: int = 1) -> Made:
    """A run with all that may rightly happen: receipts, refusals, doubts that were stored and that were not."""
    urls = tuple(f"http://replica-{n}" for n in range(replicas))
    plan = Plan(run="r", urls=urls, rate=100, seconds=requests / 100, batch=batch, retry=retry)
    records: list[Record] = [Began(plan=plan, at=START, wall=UNIX)]
    stored: list[Stored] = []
    for number in range(plan.requests):
        id_, due, at = plan.request(number), START + round(plan.due(number) * 1e9), 0
        at, settled, kept = due, False, False
        for attempt in range(1, 4 if retry else 2):
            outcome: Outcome = chance.choice(("ok", "ok", "ok", "ok", "refused", "unknown", "not-sent"))
            kept = kept or outcome == "ok" or (outcome == "unknown" and chance.random() < 0.5)
            records.append(sent(plan, number, attempt, due, at))
            if outcome != "unknown" or chance.random() < 0.5:  # else it was never answered
                records.append(answered(id_, attempt, at + MS, outcome, spooled=chance.random() < 0.1))
            settled, at = outcome == "ok", at + 20 * MS
            if settled:
                break
        if kept:
            stored += (Stored(0, event) for event in plan.events(id_))
    # Refused later does not mean that it was not stored when it was in doubt.
    records.append(Ended(at=START + round(plan.seconds * 1e9), wall=UNIX + plan.seconds))
    chance.shuffle(stored)
    stored = [Stored(1000 + 7 * place, one.id) for place, one in enumerate(stored)]
    return Made(records, stored, read(plan, stored))


def sent(plan: Plan, number: int, attempt: int, due: int, at: int) -> Sent:
    return Sent(
        id=plan.request(number),
        attempt=attempt,
        url=plan.url(number),
        fresh=plan.fresh(number),
        due=due,
        at=at,
        wall=UNIX + (at - START) / 1e9,
    )


def answered(id_: str, attempt: int, at: int, outcome: Outcome, *, spooled: bool = False) -> Answered:
    status = {"ok": 202 if spooled else 201, "refused": 503, "unknown": 502, "not-sent": None}[outcome]
    return Answered(id=id_, attempt=attempt, at=at, wall=UNIX, outcome=outcome, status=status)


def read(plan: Plan, stored: list[Stored]) -> Readings:
    return Readings(
        copies=[Copy(url, stored) for url in plan.urls],
        tail=[(one.seq, one.id) for one in stored],
        views=[View("pages"), View("sources")],
    )


def found(verdict: Verdict) -> dict[str, int]:
    """What is not 0 of that which must be."""
    return {name: verdict.events[name] for name in FINDINGS if verdict.events[name]} | {
        f"tail {name}": verdict.tail[name] for name in TAIL if verdict.tail[name]
    }


def reread(run: Made, stored: list[Stored], *, followed: bool = True) -> Readings:
    """The same run, with this in the database; the tail saw it too, or did not."""
    readings = read(run.history.plan, stored)
    return readings if followed else replace(readings, tail=run.readings.tail)


seeds = st.integers(0, 2**32).map(Random)
runs = st.builds(made, seeds, requests=st.integers(20, 60), batch=st.sampled_from((1, 3)), retry=st.booleans())
explored = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@explored
@given(seeds, st.integers(20, 60), st.sampled_from((1, 3)), st.booleans(), st.integers(1, 3))
def test_a_run_that_kept_every_promise_is_clean(
    chance: Random, requests: int, batch: int, retry: bool, replicas: int
) -> None:
    run = made(chance, requests=requests, batch=batch, retry=retry, replicas=replicas)
    verdict = judge(run.history, run.readings)
    assert (verdict.verdict, verdict.code, verdict.reasons) == ("clean", 0, [])
    assert found(verdict) == {}
    events, requested = verdict.events, verdict.requests
    assert events["sent"] == requests * batch
    fates = ("acknowledged", "refused", "unknown", "not_sent")
    assert sum(events[name] for name in fates) == events["sent"]
    assert sum(getattr(requested, name) for name in fates) == requested.sent == requests
    assert events["committed"] + events["spooled"] == events["acknowledged"]
    assert verdict.proof["requests"] == requested.acknowledged


def of_fate(run: Made, fate: tuple[str, ...], chance: Random, *, there: bool) -> str | None:
    """An event of this fate that is stored, or is not; None where there is none."""
    ids = {one.id for one in run.stored}
    choice = [id_ for id_, one in run.history.fates().items() if one in fate and (id_ in ids) is there]
    return chance.choice(choice) if choice else None


def without(run: Made, id_: str) -> list[Stored]:
    return [one for one in run.stored if one.id != id_]


def plus(run: Made, id_: str) -> list[Stored]:
    return [*run.stored, Stored(run.stored[-1].seq + 1, id_)]


@explored
@given(runs, seeds)
def test_an_acknowledged_event_that_is_gone_is_lost(run: Made, chance: Random) -> None:
    id_ = of_fate(run, ("committed", "spooled"), chance, there=True)
    assert id_ is not None
    verdict = judge(run.history, reread(run, without(run, id_)))
    assert (verdict.verdict, found(verdict)) == ("broken", {"lost": 1})
    assert [named.id for named in verdict.named["lost"]] == [id_]
    assert "201" in verdict.named["lost"][0].ledger or "202" in verdict.named["lost"][0].ledger
    # Had the tail seen it before, that is said as well.
    assert found(judge(run.history, reread(run, without(run, id_), followed=False))) == {
        "lost": 1,
        "tail vanished": 1,
    }


@explored
@given(runs, seeds)
def test_an_unknown_event_may_be_there_or_not(run: Made, chance: Random) -> None:
    there = of_fate(run, ("unknown",), chance, there=True)
    if there is not None:
        assert judge(run.history, reread(run, without(run, there))).verdict == "clean"
    away = of_fate(run, ("unknown",), chance, there=False)
    if away is not None:
        assert judge(run.history, reread(run, plus(run, away))).verdict == "clean"


@explored
@given(runs, seeds, st.sampled_from(("r/0/99999", "r/77/0", "another/0/0", "r")))
def test_an_event_that_was_never_sent_is_a_phantom(run: Made, chance: Random, strange: str) -> None:
    unsent = of_fate(run, ("not-sent",), chance, there=False)
    for id_ in (strange, *([unsent] if unsent else [])):
        verdict = judge(run.history, reread(run, plus(run, id_)))
        assert (verdict.verdict, found(verdict)) == ("broken", {"phantom": 1})
        assert verdict.named["phantom"][0].id == id_


@explored
@given(runs, seeds)
def test_an_event_that_is_there_although_it_was_refused_is_found(run: Made, chance: Random) -> None:
    id_ = of_fate(run, ("refused",), chance, there=False)
    if id_ is not None:
        verdict = judge(run.history, reread(run, plus(run, id_)))
        assert (verdict.verdict, found(verdict)) == ("broken", {"refused_but_stored": 1})


@explored
@given(runs, seeds)
def test_an_event_that_is_there_twice_is_doubled(run: Made, chance: Random) -> None:
    id_ = chance.choice(run.stored).id
    verdict = judge(run.history, reread(run, plus(run, id_)))
    assert (verdict.verdict, found(verdict)) == ("broken", {"doubled": 1})


@explored
@given(runs, seeds)
def test_an_event_that_is_not_what_was_sent_is_corrupted(run: Made, chance: Random) -> None:
    place = chance.randrange(len(run.stored))
    stored = list(run.stored)
    stored[place] = stored[place]._replace(intact=False)
    verdict = judge(run.history, reread(run, stored))
    assert (verdict.verdict, found(verdict)) == ("broken", {"corrupted": 1})


@explored
@given(runs, seeds)
def test_a_tail_that_missed_repeated_or_went_back_is_found(run: Made, chance: Random) -> None:
    seen = list(run.readings.tail or ())
    place = chance.randrange(1, len(seen) - 1)
    tails = {
        "tail gaps": seen[:place] + seen[place + 1 :],
        "tail doubled": [*seen[:place], seen[place], *seen[place:]],
        "tail disordered": [*seen[: place - 1], seen[place], seen[place - 1], *seen[place + 1 :]],
        "tail vanished": [*seen, (seen[-1][0] + 1, "r/0/0")],
    }
    for name, tail in tails.items():
        verdict = judge(run.history, replace(run.readings, tail=tail))
        assert (verdict.verdict, found(verdict)) == ("broken", {name: 1})


@explored
@given(seeds)
def test_one_replica_that_lacks_an_event_is_enough(chance: Random) -> None:
    run = made(chance, replicas=3)
    id_ = of_fate(run, ("committed", "spooled"), chance, there=True)
    assert id_ is not None
    copies = [*run.readings.copies[:2], Copy("http://replica-2", without(run, id_))]
    assert found(judge(run.history, replace(run.readings, copies=copies))) == {"lost": 1}


def test_a_conflict_is_a_refusal_whatever_came_before() -> None:
    run = made(Random(1), requests=20)
    plan, due = run.history.plan, START
    records = [one for one in run.records if getattr(one, "id", "") != "r/0/0"]
    records += [
        sent(plan, 0, 1, due, due),
        sent(plan, 0, 2, due, due + MS),
        Answered(id="r/0/0", attempt=2, at=due + 2 * MS, wall=UNIX, outcome="refused", status=409),
    ]
    stored = [*without(run, "r/0/0"), Stored(10**6, "r/0/0")]
    assert found(judge(history(records), read(plan, stored))) == {"refused_but_stored": 1}
    assert found(judge(history(records), read(plan, stored[:-1]))) == {}


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        (
            lambda r: replace(r, copies=[Copy("u", None, "it is away")]),
            2,
            "could not be read back through u: it is away",
        ),
        (lambda r: replace(r, views=[View("stats", None, "it is away")]), 2, "stats: it is away"),
        (lambda r: replace(r, views=[View("stats", agrees=False, detail="3, not 4")]), 1, "stats: 3, not 4"),
        (lambda r: replace(r, stale=["r/0/0"]), 1, "stale 1"),
    ],
)
def test_what_the_verdict_hangs_on(change: Callable[[Readings], Readings], code: int, reason: str) -> None:
    run = made(Random(2))
    verdict = judge(run.history, change(run.readings))
    assert verdict.code == code
    assert reason in verdict.reasons


def test_a_run_in_which_nothing_was_acknowledged_proves_nothing() -> None:
    run = made(Random(3))
    records = [one for one in run.records if not isinstance(one, Answered)]
    verdict = judge(history(records), read(run.history.plan, []))
    assert (verdict.verdict, verdict.reasons) == ("untested", ["nothing was acknowledged"])
    assert verdict.proof == {"requests": 0, "below": None}


@pytest.mark.parametrize(
    ("fault", "bit"),
    [
        (Fault(fault=1, kind="kill", target="c", begin=UNIX + 0.1, end=UNIX + 0.2, effect="restarted"), True),
        (Fault(fault=1, kind="kill", target="c", begin=UNIX + 0.1, end=UNIX + 0.2, effect=None), False),
        (Fault(fault=1, kind="kill", target="c", begin=UNIX + 0.1), False),
        (Fault(fault=1, kind="kill", target="c", begin=UNIX + 60, end=UNIX + 61, effect="restarted"), False),
        (Fault(fault=1, kind="kill", target="c", begin=UNIX - 60, end=UNIX - 59, effect="restarted"), False),
    ],
)
def test_a_fault_bit_where_requests_were_under_way_and_its_effect_was_seen(fault: Fault, bit: bool) -> None:
    run = made(Random(4))
    # Everything was answered, so that nothing is under way for ever.
    open_ = {one.id for one in run.history.requests.values() if any(a.answer is None for a in one.attempts)}
    records = [one for one in run.records if getattr(one, "id", "") not in open_]
    stored = [one for one in run.stored if one.id not in open_]
    verdict = judge(history(records), read(run.history.plan, stored), [fault])
    assert [one.bit for one in verdict.faults] == [bit]
    assert verdict.code == (0 if bit else 2)


def test_a_fault_log_without_a_fault_proves_nothing() -> None:
    run = made(Random(5))
    assert judge(run.history, run.readings, []).reasons == ["the fault log has no fault in it"]
    assert judge(run.history, run.readings, None).code == 0


def steady(*, down: tuple[int, int], ready: Callable[[int], int | None]) -> History:
    """A request every 10 ms for two seconds, each answered after 1 ms; from `down[0]` to `down[1]` ms by a 502."""
    plan = Plan(run="r", urls=("u",), rate=100, seconds=2)
    records: list[Record] = [Began(plan=plan, at=START, wall=UNIX)]
    for number in range(plan.requests):
        at = START + number * 10 * MS
        outcome: Outcome = "unknown" if down[0] <= number * 10 < down[1] else "ok"
        records += [
            sent(plan, number, 1, at, at),
            answered(plan.request(number), 1, at + MS, outcome),
        ]
    for ms in range(0, 2000, 200):
        at = START + ms * MS
        records.append(Polled(url=0, since=at, at=at, status=ready(ms)))
    return history([*records, Ended(at=START + 2_000 * MS, wall=UNIX + 2)])


def test_an_outage_is_measured() -> None:
    fault = Fault(fault=1, kind="kill", target="c", begin=UNIX + 0.5, end=UNIX + 0.8, effect="it went")
    run = steady(down=(500, 1000), ready=lambda _: 200)
    stored = [Stored(n, id_) for n, (id_, fate) in enumerate(run.fates().items()) if fate == "committed"]
    verdict = judge(run, read(run.plan, stored), [fault])
    assert verdict.code == 0
    assert verdict.availability == {
        "unavailable_seconds": 0.5,
        "longest_gap_seconds": 0.51,
        "first_ack_after_fault_seconds": 0.201,
    }
    assert verdict.requests.errors_without_retry == 50
    assert verdict.latency_ms["outside"] == {"p50": 1.0, "p99": 1.0, "p999": 1.0}
    assert verdict.health == {"ready_but_not_keeping_seconds": 0.5, "unready_but_keeping_seconds": 0.0}


def test_readiness_that_tells_the_truth_is_no_lie() -> None:
    run = steady(down=(400, 1000), ready=lambda ms: 503 if 400 <= ms < 1000 else 200)
    assert judge(run, read(run.plan, [])).health == {
        "ready_but_not_keeping_seconds": 0.0,
        "unready_but_keeping_seconds": 0.0,
    }
    away = steady(down=(400, 1000), ready=lambda ms: None if 400 <= ms < 1000 else 200)
    assert judge(away, read(away.plan, [])).health["ready_but_not_keeping_seconds"] == 0.0
    hidden = steady(down=(0, 0), ready=lambda _: 503)
    assert judge(hidden, read(hidden.plan, [])).health["unready_but_keeping_seconds"] == 2.0
