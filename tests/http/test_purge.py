"""Purges over HTTP: shown first, confirmed, done, on record; and nobody sees what went, on any replica."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.credentials import credential, lines
from tests.http.conftest import NewPostgres, Settings
from tests.http.following import following, take
from tests.http.serving import (
    Json,
    async_client_of,
    client_of,
    event,
    kept,
    post,
    problem,
    running,
    wait_until,
)
from tests.http.test_operations import samples
from tests.process import CollectorProcess

USER = credential(name="user")
ADMIN = credential(scopes=("admin",), name="dpo")
MINE = credential("mine*", scopes=("admin",), name="mine")
MUCH = 5000  # events, which take a good many steps
TOKENS = {"TOKENS": lines(USER, ADMIN, MINE)}


@pytest.fixture(scope="module")
def guarded(new_settings: Callable[[], Settings]) -> Iterator[CollectorProcess]:
    """A collector that asks for tokens."""
    with running(new_settings() | TOKENS) as process:
        yield process


@pytest.fixture
def user(guarded: CollectorProcess) -> Iterator[httpx.Client]:
    """Who reads and writes."""
    with client_of(guarded) as client:
        client.headers.update(USER.headers)
        yield client


def show(client: httpx.Client, *sources: str, before: str = "0s", who: Any = ADMIN) -> httpx.Response:
    return client.get("/purge", params={"source": sources, "before": before}, headers=who.headers)


def confirmed(plan: Json, *sources: str) -> dict[str, Any]:
    return {"source": sources, "before": plan["before"], "confirm": plan["confirm"]}


def carry_out(client: httpx.Client, plan: Json, *sources: str, who: Any = ADMIN) -> Json:
    """The last line of the answer."""
    answer = client.post("/purge", params=confirmed(plan, *sources), headers=who.headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    last: Json = json.loads(answer.text.splitlines()[-1])
    return last


def purge(client: httpx.Client, *sources: str, who: Any = ADMIN) -> Json:
    last = carry_out(client, show(client, *sources, who=who).json(), *sources, who=who)
    assert last["state"] == "succeeded", last
    return last


def own(client: httpx.Client, purge_id: str) -> list[Json]:
    """What the collector says itself of a purge."""
    return [one for one in kept(client, "collector") if one["data"]["purge"] == purge_id]


def test_what_was_shown_goes_and_is_seen_nowhere(user: httpx.Client, source: str) -> None:
    events = [event(source, id=f"{n}") for n in range(5)]
    other = event(f"{source}-other", id="1")
    post(user, [*events, other])
    found = kept(user, source)
    page = user.get("/events", params={"source": source})
    for path in ("/sources", "/events/stats"):
        assert user.get(path, params={"source": source}).json()

    plan = show(user, source).json()
    first, last = found[0]["received_at"], found[-1]["received_at"]
    assert plan["sources"] == [
        {"source": source, "events": 5, "first_received_at": first, "last_received_at": last}
    ]
    assert (plan["events"], plan["dead_letters"], plan["spooled"]) == (5, 0, None)
    assert kept(user, source) == found  # nothing has gone yet
    post(user, event(source, id="later"))
    before = deleted(user)
    done = carry_out(user, plan, source)
    assert (done["state"], done["events"], done["dead_letters"]) == ("succeeded", 5, 0)
    assert deleted(user) == before + 5

    assert [one["id"] for one in kept(user, source)] == ["later"]
    again = user.get("/events", params={"source": source}, headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, len(again.json())) == (200, 1)
    assert again.headers["etag"] != page.headers["etag"]
    for one in found:
        problem(user.get(f"/events/{one['seq']}"), 404)
    (summary,) = user.get("/sources", params={"source": source}).json()
    assert summary["events"] == 1
    assert user.get("/events/stats", params={"source": source}).json()["series"][0]["total"] == 1
    assert len(kept(user, f"{source}-other")) == 1
    # An identity is known for as long as its event is kept.
    assert post(user, events[0]).status_code == 201
    assert post(user, other).status_code == 200


def test_who_did_it_is_in_the_log_and_in_its_lines(
    guarded: CollectorProcess, user: httpx.Client, source: str
) -> None:
    post(user, [event(source), event(source)])
    done = purge(user, source)
    started, succeeded = own(user, done["purge"])
    assert [one["action"] for one in (started, succeeded)] == ["purge.started", "purge.succeeded"]
    assert {one["subject"] for one in (started, succeeded)} == {source}
    said = {"purge": done["purge"], "by": "dpo", "sources": [source], "before": started["data"]["before"]}
    assert started["data"] == said
    assert succeeded["data"] == said | {"events": 2, "dead_letters": 0}
    (line,) = [one for one in guarded.logs() if one.get("purge") == done["purge"]]
    assert (line["event"], line["level"], line["by"], line["events"]) == ("purge succeeded", "warning", "dpo", 2)


def test_its_own_events_are_never_its_own_doing(user: httpx.Client) -> None:
    first = purge(user, "collector")
    assert [one["action"] for one in own(user, first["purge"])] == ["purge.started", "purge.succeeded"]
    second = purge(user, "*")
    assert [one["data"]["purge"] for one in kept(user, "collector")] == [second["purge"]] * 2
    assert second["events"] >= 2


def test_a_pattern_stands_for_what_was_shown(user: httpx.Client, source: str) -> None:
    post(user, [event(f"{source}/{n}") for n in range(4)])
    plan = show(user, f"{source}/*").json()
    assert [one["source"] for one in plan["sources"]] == [f"{source}/{n}" for n in range(4)]
    post(user, event(f"{source}/new"))
    assert carry_out(user, plan, f"{source}/*")["events"] == 4
    assert len(kept(user, f"{source}/new")) == 1


def test_a_token_purges_within_its_sources(user: httpx.Client) -> None:
    post(user, [event("mine-1"), event("theirs-1")])
    assert [one["source"] for one in show(user, "*", who=MINE).json()["sources"]] == ["mine-1"]
    assert show(user, "theirs-1", who=MINE).json()["events"] == 0
    plan = show(user, "*", who=MINE).json()
    # What was shown to one is not for another to confirm.
    problem(user.post("/purge", params=confirmed(plan, "*"), headers=ADMIN.headers), 409)
    assert purge(user, "*", who=MINE)["events"] == 1
    assert (len(kept(user, "mine-1")), len(kept(user, "theirs-1"))) == (0, 1)


@pytest.mark.parametrize(
    "query",
    [
        "before=1d",
        "source=a",
        "source=a&before=yesterday",
        "source=a&before=2024-01-01T00:00:00",
        "source=a&before=1d&limit=1",
        "source=a&before=1d&data.x=1",
        "source=a&before=1d&before=2d",
        "source=&before=1d",
    ],
)
def test_what_is_not_plain_is_a_400(user: httpx.Client, query: str) -> None:
    problem(user.get(f"/purge?{query}", headers=ADMIN.headers), 400)
    problem(user.post(f"/purge?{query}&confirm=1-1-1", headers=ADMIN.headers), 400)
    problem(user.post("/purge?source=a&before=1d", headers=ADMIN.headers), 400)
    problem(user.get("/purge?source=a&before=1d&confirm=1-1-1", headers=ADMIN.headers), 400)


def test_only_what_was_shown_is_confirmed(user: httpx.Client, source: str) -> None:
    post(user, event(source))
    plan = show(user, source).json()
    shown = confirmed(plan, source)
    through, at, digest = plan["confirm"].split("-")
    changed: list[dict[str, Any]] = [
        {"source": (source, "a")},
        {"source": f"{source}*"},
        {"before": "2999-01-01T00:00:00Z"},
        {"confirm": f"{int(through) + 1}-{at}-{digest}"},
        {"confirm": f"{through}-{int(at) + 1}-{digest}"},
        {"confirm": "x"},
        {"confirm": "9" * 400},
        {"confirm": f"{through}-²-{digest}"},
    ]
    for one in changed:
        problem(user.post("/purge", params=shown | one, headers=ADMIN.headers), 409)
    assert len(kept(user, source)) == 1


def test_without_tokens_nobody_may(client: httpx.Client) -> None:
    for method in ("GET", "POST"):
        document = problem(client.request(method, "/purge?source=a&before=0s&confirm=1-1-1"), 403)
        assert "TOKENS_FILE" in document["detail"]


@asynccontextmanager
async def much(settings: Settings) -> AsyncIterator[tuple[CollectorProcess, httpx.Client]]:
    """A collector with many events of `old`."""
    with CollectorProcess(env=settings | TOKENS) as process, client_of(process) as client:
        await process.wait_until_ready()
        client.headers.update(USER.headers)
        fill(client)
        yield process, client


def fill(client: httpx.Client) -> None:
    for _ in range(MUCH // 1000):
        assert post(client, [event("old") for _ in range(1000)]).status_code == 201


async def begun(process: CollectorProcess, client: httpx.Client) -> None:
    """Return once a purge of all that is `old` is under way, and its client gone."""
    plan = show(client, "old").json()
    assert plan["events"] >= MUCH
    async with (
        async_client_of(process) as admin,
        admin.stream("POST", "/purge", params=confirmed(plan, "old"), headers=ADMIN.headers) as answer,
    ):
        assert json.loads(await anext(answer.aiter_lines()))["state"] == "under_way"


def deleted(client: httpx.Client) -> float:
    return samples(client)["collector_purged_total", frozenset()]


async def test_nobody_waits_for_the_answer_and_it_ends_all_the_same(settings: Settings) -> None:
    async with much(settings) as (process, client):
        await begun(process, client)
        wait_until(lambda: len(kept(client, "collector")) == 2, "its record")
        assert kept(client, "old") == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_what_ends_it_in_the_middle_leaves_something_to_begin_again(
    settings: Settings, how: signal.Signals
) -> None:
    async with much(settings) as (process, client):
        for _ in range(5):
            await begun(process, client)
            wait_until(lambda: deleted(client), "a first step")
            process.terminate() if how == signal.SIGTERM else process.kill()
            await process.wait()
            process.start()
            await process.wait_until_ready()
            if left := show(client, "old").json()["events"]:
                break
            fill(client)  # it was done before the signal came
        print(f"{left} of {MUCH} left")
        assert 0 < left < MUCH
        (summary,) = client.get("/sources", params={"source": "old"}).json()
        assert summary["events"] == left
        ends = ["purge.started"] if how == signal.SIGKILL else ["purge.started", "purge.failed"]
        assert [one["action"] for one in kept(client, "collector")][-len(ends) :] == ends
        assert purge(client, "old")["events"] == left
        assert [one["source"] for one in client.get("/sources").json()] == ["collector"]


def test_no_replica_shows_what_has_gone_from_redis_or_memory(
    new_postgres: NewPostgres, migrated: str, redis_url: str
) -> None:
    env = TOKENS | {"POSTGRES_CONNECTION_STRING": new_postgres(migrated), "REDIS_URL": redis_url}
    with running(env) as one, running(env) as other, client_of(one) as here, client_of(other) as there:
        here.headers.update(USER.headers)
        there.headers.update(USER.headers)

        def found(client: httpx.Client, limit: int) -> int:
            return len(client.get("/events", params={"limit": str(limit), "source": "old"}).json())

        def shared() -> float:
            return samples(there)["collector_shared_pages_total", frozenset({("outcome", "found")})]

        limits = iter(range(20, 1000))

        def is_shared(limit: int, before: float) -> bool:
            """Whether a page of this size, which one has read, was given by the other, from Redis."""
            assert (found(here, limit), found(there, limit)) == (7, 7)
            return shared() > before

        for _ in range(3):
            post(here, [event("old") for _ in range(7)])
            before = shared()
            wait_until(lambda: is_shared(next(limits), before), "a page that was shared")  # noqa: B023 - called here
            last = next(limits) - 1
            assert purge(here, "old")["events"] == 7
            assert [found(there, last), found(here, last), found(there, next(limits))] == [0, 0, 0]


async def test_a_stream_and_writers_go_on_meanwhile(settings: Settings) -> None:
    async with much(settings) as (process, client):
        async with async_client_of(process) as others:
            others.headers.update(USER.headers)
            async with following(others, source="new", cursor="0") as frames:
                seen = asyncio.create_task(take(frames, 60))
                await begun(process, client)
                for n in range(60):
                    answer = await others.post("/events", json=event("new", id=f"{n}"))
                    assert answer.status_code == 201
                assert [one["id"] for one in await seen] == [f"{n}" for n in range(60)]
        wait_until(lambda: not kept(client, "old"), "the end of the purge")
        assert len(kept(client, "new")) == 60
