"""Fold: events of one group that bear one identity, and what each becomes."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from app.errors import Unavailable
from app.events import Event, Parser
from app.store import Kept
from app.store.fold import conflicts, folded

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def event(id_: str | None, data: object = None) -> Event:
    return Parser().one(json.dumps({"source": "ci", "action": "build", "id": id_, "data": data}).encode())


class Database:
    """Keeps by identity, as the real ones do; refuses "poison", and is away from a given call on."""

    def __init__(self, away_from: int | None = None) -> None:
        self.calls: list[list[str | None]] = []
        self._kept: dict[bytes, tuple[bytes, int]] = {}
        self._away_from = away_from

    async def keep(self, events: Sequence[Event]) -> list[Kept]:
        if self._away_from is not None and len(self.calls) >= self._away_from:
            raise Unavailable("away", outcome="not_kept")
        self.calls.append([one.data for one in events])
        identities = [one.identity.key for one in events if one.identity]
        assert len(set(identities)) == len(identities)
        return [self._one(one) for one in events]

    def _one(self, one: Event) -> Kept:
        if one.data == '"poison"':
            return Kept("refused", reason="poison")
        if one.identity is None:
            return Kept("new", 100, NOON)
        content, seq = self._kept.setdefault(one.identity.key, (one.identity.content, len(self._kept) + 1))
        if content != one.identity.content:
            return Kept("conflict")
        return Kept("new", seq, NOON)


@pytest.mark.parametrize(
    ("group", "states", "rounds"),
    [
        ([], [], 0),
        ([("a", 1), ("b", 1)], ["new", "new"], 1),
        ([(None, 1), (None, 1)], ["new", "new"], 1),
        ([("a", 1), ("a", 1), ("a", 1)], ["new", "duplicate", "duplicate"], 1),
        ([("a", 1), ("a", 2)], ["new", "conflict"], 2),
        ([("a", 1), ("a", 2), ("a", 2), ("a", 1)], ["new", "conflict", "conflict", "duplicate"], 2),
        ([("a", 1), ("a", 2), ("a", 3), ("b", 1)], ["new", "conflict", "conflict", "new"], 3),
        ([("a", "poison"), ("a", "poison"), ("b", 1)], ["refused", "refused", "new"], 1),
        ([("a", "poison"), ("a", 1)], ["refused", "new"], 2),
    ],
)
async def test_each_event_gets_its_own_result(
    group: list[tuple[str | None, object]], states: list[str], rounds: int
) -> None:
    database = Database()
    results = await folded([event(id_, data) for id_, data in group], database.keep)
    assert [kept.state for kept in results] == states
    assert len(database.calls) == rounds


async def test_a_duplicate_bears_the_number_of_the_first() -> None:
    results = await folded([event("a"), event("b"), event("a"), event("b")], Database().keep)
    assert results[2:] == [Kept("duplicate", 1, NOON), Kept("duplicate", 2, NOON)]


async def test_what_fails_at_first_is_told_as_it_is() -> None:
    with pytest.raises(Unavailable) as caught:
        await folded([event("a", 1), event("a", 2)], Database(away_from=0).keep)
    assert caught.value.outcome == "not_kept"


async def test_what_fails_after_a_round_was_kept_is_never_told_as_not_kept() -> None:
    database = Database(away_from=1)
    with pytest.raises(Unavailable) as caught:
        await folded([event("a", 1), event("a", 2)], database.keep)
    assert database.calls == [["1"]]
    assert caught.value.outcome == "unknown"
    assert caught.value.document()["outcome"] == "unknown"


@pytest.mark.parametrize(
    ("group", "states"),
    [
        ([("a", 1), ("b", 1)], []),
        ([("a", 1), ("a", 1), (None, 1), (None, 2)], []),
        ([("a", 1), ("b", 1), ("a", 2)], ["skipped", "skipped", "conflict"]),
    ],
)
def test_a_strict_batch_conflicts_with_itself(group: list[tuple[str | None, object]], states: list[str]) -> None:
    assert [kept.state for kept in conflicts([event(id_, data) for id_, data in group])] == states
