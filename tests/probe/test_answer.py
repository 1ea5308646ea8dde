"""What an answer is taken for, and what an event says of itself."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from app.probe.answer import said
from app.probe.ledger import Odd, Outcome
from app.probe.schedule import LETTERS, Plan, Read

NOW = datetime(2026, 11, 21, 8, 30, 0, 123456, UTC)
PLAN = Plan(run="r", urls=("u", "v"), rate=100, seconds=1, seed=5)


@pytest.mark.parametrize(
    ("status", "body", "outcome", "again"),
    [
        (201, {"id": "r/0/0", "seq": 5}, "ok", False),
        (200, {"seq": 5}, "ok", False),
        (202, {"id": "r/0/0"}, "ok", False),
        (201, {"id": "another", "seq": 5}, "unknown", True),
        (201, {}, "unknown", True),
        (200, "<html>", "unknown", True),
        (204, None, "unknown", True),
        (302, None, "unknown", True),
        (400, {}, "refused", False),
        (409, {}, "refused", False),
        (429, {}, "refused", True),
        (408, {}, "unknown", True),
        (500, {"outcome": "not_kept"}, "unknown", True),
        (503, {"outcome": "not_kept"}, "refused", True),
        (503, {"outcome": "unknown"}, "unknown", True),
        (503, {}, "unknown", True),
        (502, None, "unknown", True),
        (504, "<html>", "unknown", True),
    ],
)
def test_the_answer_for_one_event(status: int, body: Any, outcome: Outcome, again: bool) -> None:
    text = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    found = said(status, text, ("r/0/0",), batch=False)
    assert (found.outcome, found.again) == (outcome, again)


def receipt(
    accepted: int = 0, spooled: int = 0, duplicates: int = 0, rejected: int = 0, **results: str
) -> dict[str, Any]:
    odd = [{"index": int(place[1:]), "status": status} for place, status in results.items()]
    counts = {"accepted": accepted, "spooled": spooled, "duplicates": duplicates, "rejected": rejected}
    return counts | {"results": odd}


@pytest.mark.parametrize(
    ("status", "body", "outcome", "odd"),
    [
        (201, receipt(accepted=3), "ok", {}),
        (200, receipt(accepted=2, duplicates=1, _1="duplicate"), "ok", {1: "duplicate"}),
        (200, receipt(accepted=2, rejected=1, _2="rejected"), "ok", {2: "refused"}),
        (200, receipt(rejected=3, _0="rejected", _1="rejected", _2="rejected"), "refused", None),
        (202, receipt(spooled=3), "ok", {}),
        (202, receipt(spooled=2, duplicates=1, _0="duplicate"), "ok", {0: "duplicate"}),
        (202, receipt(accepted=1, spooled=2, _0="spooled", _1="spooled"), "ok", {0: "spooled", 1: "spooled"}),
        (202, receipt(accepted=1, spooled=2), "unknown", {}),
        (201, receipt(accepted=2), "unknown", {}),
        (201, {"seq": 1}, "unknown", {}),
        (422, {}, "refused", {}),
        (503, {"outcome": "not_kept"}, "refused", {}),
    ],
)
def test_the_receipt_for_a_batch(status: int, body: Any, outcome: Outcome, odd: dict[int, Odd] | None) -> None:
    found = said(status, json.dumps(body).encode(), ("a", "b", "c"), batch=True)
    assert found.outcome == outcome
    assert odd is None or dict(found.odd) == odd


def test_the_schedule_is_even_and_goes_round() -> None:
    assert PLAN.requests == 100
    assert [PLAN.due(n) for n in (0, 1, 99)] == [0, 0.01, 0.99]
    assert [PLAN.request(n) for n in (0, 9, 10, 11)] == ["r/0/0", "r/9/0", "r/0/1", "r/1/1"]
    assert [PLAN.url(n) for n in range(4)] == [0, 1, 0, 1]
    assert [PLAN.fresh(n) for n in range(4)] == [False, True, False, True]
    assert len({PLAN.request(n) for n in range(100)}) == 100
    assert msgspec.structs.replace(PLAN, batch=2).events("r/0/0") == ("r/0/0/0", "r/0/0/1")


def events(batch: int = 1, seed: int = 5) -> list[dict[str, Any]]:
    plan = msgspec.structs.replace(PLAN, batch=batch, seed=seed)
    found = json.loads(plan.body(plan.request(0), NOW))
    return found if isinstance(found, list) else [found]


def stored(event: dict[str, Any]) -> Read:
    """As it would be read back, in other spelling."""
    return msgspec.json.decode(json.dumps(event | {"seq": 7, "received_at": "2026-11-21T08:30:01Z"}), type=Read)


def test_an_event_is_intact_as_it_was_sent() -> None:
    for event in (*events(), *events(batch=20)):
        assert stored(event).intact(PLAN.source)
        assert not stored(event).intact("collector.probe/another")
    texts = "".join(one["data"]["text"] for seed in range(30) for one in events(batch=20, seed=seed))
    assert set(texts) == set(LETTERS)
    assert events() == events()
    assert events() != events(seed=6)


@pytest.mark.parametrize("field", ["id", "source", "action", "subject", "time", "data"])
def test_an_event_of_which_anything_differs_is_not_intact(field: str) -> None:
    event = events()[0]
    others: dict[str, Any] = {"time": "2026-11-21T08:30:00.123457Z", "data": event["data"] | {"text": "other"}}
    assert not stored(event | {field: others.get(field, f"{event[field]}0")}).intact(PLAN.source)
    if field in ("subject", "data"):
        assert not stored(event | {field: None}).intact(PLAN.source)


@pytest.mark.parametrize(
    ("field", "value"), [("worker", 1), ("seq", 1), ("source", "x"), ("sha256", "0"), ("more", 1)]
)
def test_data_that_differ_are_not_intact(field: str, value: Any) -> None:
    event = events()[0]
    assert not stored(event | {"data": event["data"] | {field: value}}).intact(PLAN.source)


def test_the_data_of_another_event_are_not_its_own() -> None:
    one, another = events(batch=2)
    assert not stored(one | {"data": another["data"]}).intact(PLAN.source)
