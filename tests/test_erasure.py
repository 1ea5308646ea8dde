"""Erasure: what a purge is of, what ends it, and what is on record when the log itself is not there."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app import erasure
from app.auth import Grant, TokenAccess
from app.erasure import Erasure, Progress
from app.errors import BadParameter, Problem, Unavailable
from app.events import Event
from app.metrics import Metrics
from app.query import PurgeQuery
from app.store import Letter
from app.store.sqlite import SqliteStore
from tests.credentials import Credential, credential
from tests.store.make import event

ALL = credential(scopes=("admin",), name="all")
MINE = credential("mine*", scopes=("admin",), name="mine")
LATER = datetime.now(UTC) + timedelta(days=1)


class Rig:
    """An erasure on a SQLite store. `posted`: what it says of itself; `fails`: what comes of saying so, once."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.access = TokenAccess([ALL.token, MINE.token])
        self.posted: list[Event] = []
        self.fails: list[Problem | None] = []
        self.erasure = Erasure(store, access=self.access, post=self._post, metrics=Metrics(10), spooled=lambda: 7)

    async def _post(self, one: Event) -> None:
        if self.fails and (problem := self.fails.pop(0)):
            raise problem
        self.posted.append(one)

    def grant(self, who: Credential = ALL) -> Grant:
        return self.access.grant(who.bearer.encode(), "admin")

    async def purge(self, *sources: str, who: Credential = ALL, before: datetime = LATER) -> Progress:
        asked = PurgeQuery(sources=sources, before=before)
        plan = await self.erasure.plan(asked, self.grant(who))
        run = await self.erasure.begin(asked, plan.confirm, self.grant(who))
        return [one async for one in run.follow()][-1]

    async def left(self) -> int:
        return sum(one.events for one in await self.store.reader.sources())


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    store = SqliteStore(tmp_path / "log.db")
    await store.migrate()
    await store.keep([event(f"{n}", source=f"{name}-{n % 3}") for n in range(9) for name in ("mine", "x")], False)
    yield Rig(store)
    await store.close()


def letter(n: int, source: str, received: datetime) -> Letter:
    id_ = f"{int(received.timestamp() * 1000)}-{n}/0"
    return Letter(id=id_, at=datetime.now(UTC), source=source, event_id=f"{n}", reason="no", body=b"")


async def test_it_is_of_so_many_sources_and_no_more(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "MAX_SOURCES", 5)
    with pytest.raises(BadParameter, match="6 sources"):
        await rig.purge("*")
    assert (await rig.purge("mine*", "x-0")).events == 12
    assert await rig.left() == 6


async def test_dead_letters_go_as_their_events_would_have(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "LETTERS", 2)
    long_ago, lately = (datetime.now(UTC) - timedelta(hours=hours) for hours in (9, 1))
    rows = [(source, when) for source in ("mine-0", "x-0", "mine-7") for when in (long_ago, lately)]
    letters = [letter(n, *row) for n, row in enumerate(rows)]
    await rig.store.letters.add([*letters, letter(9, "", long_ago)])
    before = datetime.now(UTC) - timedelta(hours=5)
    asked = PurgeQuery(sources=("*0", "mine-7"), before=before)
    plan = await rig.erasure.plan(asked, rig.grant(MINE))
    assert (plan.events, plan.dead_letters, plan.spooled) == (0, 2, 7)
    new = letter(8, "mine-0", long_ago)
    await rig.store.letters.add([new])  # was not shown
    run = await rig.erasure.begin(asked, plan.confirm, rig.grant(MINE))
    assert [one async for one in run.follow()][-1].dead_letters == 2
    left = {one.id for one in await rig.store.letters.page("", 100)}
    assert left == {one.id for one in (letters[1], letters[2], letters[3], letters[5], new)} | {
        letter(9, "", long_ago).id
    }


async def test_nothing_goes_before_it_is_on_record(rig: Rig) -> None:
    rig.fails = [Unavailable("the database is away")]
    with pytest.raises(Unavailable):
        await rig.purge("*")
    assert (await rig.left(), rig.posted) == (18, [])


async def test_an_end_that_is_not_on_record_is_said(rig: Rig) -> None:
    rig.fails = [None, Unavailable("the database is away")]
    last = await rig.purge("mine*")
    assert (last.state, last.events) == ("failed", 9)
    assert last.problem is not None
    assert last.problem["detail"] == "the database is away"
    assert [one.action for one in rig.posted] == ["purge.started"]


async def test_a_token_that_is_taken_away_ends_it(rig: Rig) -> None:
    asked = PurgeQuery(sources=("*",), before=LATER)
    grant = rig.grant()
    plan = await rig.erasure.plan(asked, grant)
    run = await rig.erasure.begin(asked, plan.confirm, grant)
    rig.access.declare([MINE.token])
    last = [one async for one in run.follow()][-1]
    assert (last.state, last.events) == ("failed", 0)
    assert [one.action for one in rig.posted] == ["purge.started", "purge.failed"]
    assert await rig.left() == 18


async def test_who_leaves_ends_it_after_its_step(rig: Rig) -> None:
    asked = PurgeQuery(sources=("*",), before=LATER)
    plan = await rig.erasure.plan(asked, rig.grant())
    run = await rig.erasure.begin(asked, plan.confirm, rig.grant())
    await rig.erasure.stop()
    assert run.progress().state == "failed"
    assert "begin again" in str(run.progress().problem)
    assert await rig.left() == 18 - run.events


async def test_a_step_that_hangs_does_not_hold_who_leaves(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "LEAVE_SECONDS", 0.1)
    monkeypatch.setattr(rig.store.purger, "portion", lambda *_: asyncio.Event().wait())
    asked = PurgeQuery(sources=("*",), before=LATER)
    plan = await rig.erasure.plan(asked, rig.grant())
    run = await rig.erasure.begin(asked, plan.confirm, rig.grant())
    await rig.erasure.stop()
    assert run.progress().state == "failed"
    assert [one.action for one in rig.posted] == ["purge.started", "purge.failed"]


async def test_long_names_and_odd_ones_are_on_record(rig: Rig) -> None:
    await rig.purge("ä" * 1000, "\n", '"')
    assert {one.subject for one in rig.posted} == {"ä" * 200}
