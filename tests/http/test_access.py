"""Access: every route against every credential, on every way in; and what may be seen, and when it is over."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from app.cloudevents import BATCHED, REQUIRED, STRUCTURED
from tests.credentials import LONG_AGO, Credential, credential, lines
from tests.faults.wire import Wire, request
from tests.http.conftest import NewPostgres, Settings
from tests.http.following import frames_of, take
from tests.http.serving import (
    DEADLINE,
    Json,
    async_client_of,
    client_of,
    event,
    eventually,
    kept,
    post,
    problem,
    running,
    wait_until,
)
from tests.http.test_operations import samples
from tests.http.test_shortcut import WAYS, took_the_shortcut, whole
from tests.process import CollectorProcess

MINE, THEIRS = "mine-1", "theirs-1"
NDJSON = "application/x-ndjson"
STREAM = "/events/stream"

RIGHT = credential("mine*", name="web")
TWIN = credential("mine*", name="web")
EVERYTHING = credential("*")
OTHER_SOURCE = credential("theirs*", "mine")
READS = credential("mine*", scopes=("read",))
WRITES = credential("mine*", scopes=("write",))
ADMIN = credential("mine*", scopes=("admin",))
OTHER_ADMIN = credential("theirs*", scopes=("admin",))
EXPIRED = credential("mine*", expires=LONG_AGO)
UNKNOWN = credential("mine*")
DECLARED = (RIGHT, TWIN, EVERYTHING, OTHER_SOURCE, READS, WRITES, ADMIN, OTHER_ADMIN, EXPIRED)

# What stands in the header, and who that is.
CREDENTIALS: dict[str, tuple[str | None, str]] = {
    "none": (None, "stranger"),
    "an empty one": ("", "stranger"),
    "no token": ("Bearer ", "stranger"),
    "another scheme": (f"Basic {RIGHT.secret}", "stranger"),
    "the scheme left out": (RIGHT.secret, "stranger"),
    "one that nobody made": (UNKNOWN.bearer, "stranger"),
    "the hash": (f"Bearer {RIGHT.token.hash}", "stranger"),
    "its beginning": (RIGHT.bearer[:-1], "stranger"),
    "more than it": (f"{RIGHT.bearer}x", "stranger"),
    "in capitals": (RIGHT.bearer.upper(), "stranger"),
    "no ASCII": (f"{RIGHT.bearer}\xff", "stranger"),
    "expired": (EXPIRED.bearer, "stranger"),
    "scope read": (READS.bearer, "reader"),
    "scope write": (WRITES.bearer, "writer"),
    "scope admin": (ADMIN.bearer, "admin"),
    "scope admin, other source": (OTHER_ADMIN.bearer, "other admin"),
    "other source": (OTHER_SOURCE.bearer, "other"),
    "right": (RIGHT.bearer, "right"),
    "right, its twin": (TWIN.bearer, "right"),
    "right, the scheme in small letters": (f"bearer {RIGHT.secret}", "right"),
    "right, for every source": (EVERYTHING.bearer, "right"),
}


class Route(NamedTuple):
    """`needs` a scope; `right` is the status for the right token, `other` for that of another source."""

    needs: str | None
    right: int
    other: int
    make: Callable[[int], bytes]  # from the number of an event that is kept


def posts(body: object, **headers: str) -> Callable[[int], bytes]:
    text = body if isinstance(body, str) else json.dumps(body)
    return lambda _: request("POST", "/events", text.encode(), **headers)


def gets(path: str, **headers: str) -> Callable[[int], bytes]:
    return lambda seq: request("GET", path.format(seq=seq), None, **headers)


ONE = event(MINE)
CE: dict[str, object] = {"specversion": "1.0", "id": "ce-1", "source": MINE, "type": "deployed", "data": 1}
IN_HEADERS = {f"ce_{name}": str(CE[name]) for name in REQUIRED}
ROUTES: dict[str, Route] = {
    "POST /events": Route("write", 201, 403, posts(ONE)),
    "POST /events, in other white space": Route("write", 201, 403, posts(" " + json.dumps(ONE))),
    "POST /events, a batch": Route("write", 201, 422, posts([ONE, ONE])),
    "POST /events, all or nothing": Route("write", 201, 422, posts([ONE], prefer="handling=strict")),
    "POST /events, lines": Route("write", 201, 422, posts(json.dumps(ONE), content_type=NDJSON)),
    "POST /events, no JSON": Route("write", 400, 400, posts("{")),
    "POST /events, too much": Route("write", 413, 413, posts("x" * (5 * 2**20 + 1))),
    "POST /events, a CloudEvent": Route("write", 200, 403, posts(CE, content_type=STRUCTURED)),
    "POST /events, CloudEvents": Route("write", 200, 422, posts([CE], content_type=BATCHED)),
    "POST /events, in headers": Route("write", 200, 403, posts(1, **IN_HEADERS)),
    "POST /hooks/{name}": Route(None, 404, 404, lambda _: request("POST", "/hooks/nobody", b"{}")),
    "GET /hooks/nobody": Route("read", 405, 405, gets("/hooks/nobody")),
    "GET /events": Route("read", 200, 200, gets(f"/events?source={MINE}")),
    "GET /events, of any source": Route("read", 200, 200, gets("/events")),
    "GET /events, a span": Route("read", 200, 200, gets("/events?since=1h")),
    "GET /events, a text": Route("read", 200, 200, gets(f"/events?q={MINE}")),
    "GET /events, lines": Route("read", 200, 200, gets("/events", accept=NDJSON)),
    "GET /events, CSV": Route("read", 200, 200, gets("/events", accept="text/csv")),
    "GET /events, not so": Route("read", 400, 400, gets("/events?nothing=1")),
    "GET /events/{seq}": Route("read", 200, 404, gets("/events/{seq}")),
    "GET /events/stats": Route("read", 200, 200, gets("/events/stats?by=source")),
    "GET /events/stats, of it": Route("read", 200, 200, gets(f"/events/stats?by=source&source={MINE}")),
    "GET /sources": Route("read", 200, 200, gets("/sources")),
    "GET /sources, of it": Route("read", 200, 200, gets(f"/sources?source={MINE}")),
    "GET /events/stream": Route("read", 200, 200, gets(STREAM)),
    "GET /purge": Route("admin", 200, 200, gets(f"/purge?source={MINE}&before=1d")),
    "GET /purge, not so": Route("admin", 400, 400, gets("/purge?before=1d")),
    "GET /purge, deeper": Route("read", 404, 404, gets("/purge/1")),
    "POST /purge": Route("admin", 409, 409, lambda _: request("POST", "/purge?source=a&before=1d&confirm=1-1-1")),
    "POST /purge, not shown": Route(
        "admin", 400, 400, lambda _: request("POST", f"/purge?source={MINE}&before=1d")
    ),
    "DELETE /purge": Route("admin", 405, 405, lambda _: request("DELETE", "/purge")),
    "GET /nothing": Route("read", 404, 404, gets("/nothing")),
    "GET /page/nothing": Route(None, 404, 404, gets("/page/nothing")),
    "GET /docs/nothing": Route(None, 404, 404, gets("/docs/nothing")),
    "DELETE /events": Route("write", 405, 405, lambda _: request("DELETE", "/events")),
    "POST /sources": Route("write", 405, 405, lambda _: request("POST", "/sources", b"{}")),
    "GET /": Route(None, 200, 200, gets("/")),
    "GET /page/main.js": Route(None, 200, 200, gets("/page/main.js")),
    "GET /docs": Route(None, 200, 200, gets("/docs")),
    "GET /openapi.json": Route(None, 200, 200, gets("/openapi.json")),
    "GET /healthz": Route(None, 200, 200, gets("/healthz")),
    "GET /readyz": Route(None, 200, 200, gets("/readyz?verbose")),
    "GET /ready": Route(None, 200, 200, gets("/ready")),
    "GET /metrics": Route(None, 200, 200, gets("/metrics")),
}
SHOWS_IT = {name for name, route in ROUTES.items() if (route.needs, route.right) == ("read", 200)}


SCOPES = {"reader": "read", "writer": "write", "admin": "admin", "other admin": "admin"}


def expected(route: Route, who: str) -> int:
    if route.needs is None:
        return route.right
    if who == "stranger":
        return 401
    if who in SCOPES or route.needs == "admin":
        return route.right if SCOPES.get(who) == route.needs else 403
    return route.other if who == "other" else route.right


@pytest.fixture(scope="module")
def guarded(new_settings: Callable[[], Settings]) -> Iterator[CollectorProcess]:
    """A collector that asks for tokens."""
    with running(new_settings() | {"TOKENS": lines(*DECLARED)}) as process:
        yield process


@pytest.fixture(scope="module")
def seq(guarded: CollectorProcess) -> int:
    """The number of an event that is kept."""
    with client_of(guarded) as client:
        client.post("/events", json=CE, headers=EVERYTHING.headers | {"Content-Type": STRUCTURED})
        answer = client.post("/events", json=ONE, headers=EVERYTHING.headers)
        return int(answer.json()["seq"])


async def head(port: int, sent: bytes) -> int:
    wire = await Wire.open(port)
    try:
        async with asyncio.timeout(DEADLINE):
            await wire.send(sent)
            return int((await wire.until(b"\r\n")).split()[1])
    finally:
        wire.abort()


def bearing(authorization: str | None, sent: bytes) -> bytes:
    line = b"" if authorization is None else f"\r\nAuthorization: {authorization}".encode("latin-1")
    start, end, rest = sent.partition(b"\r\n")
    return start + line + end + rest


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("name", ROUTES)
async def test_a_route_gives_a_credential_what_it_may_have(
    guarded: CollectorProcess, seq: int, name: str, credential: str
) -> None:
    route, (authorization, who) = ROUTES[name], CREDENTIALS[credential]
    sent = bearing(authorization, route.make(seq))
    if name == f"GET {STREAM}":
        assert await head(guarded.port, sent) == expected(route, who)
        return
    answers = [await way(guarded.port, sent) for way in WAYS]
    assert [answer.status for answer in answers] == [expected(route, who)] * len(WAYS)
    if answers[0].status >= 400:
        assert len({answer.body for answer in answers}) == 1
        assert RIGHT.secret.encode() not in answers[0].body
    if name in SHOWS_IT:
        seen = {MINE.encode() in answer.body for answer in answers}
        assert seen == {who in ("right", "reader")}


async def test_whatever_is_wrong_with_a_token_the_answer_is_the_same(guarded: CollectorProcess) -> None:
    strangers = [given for given, who in CREDENTIALS.values() if who == "stranger"]
    answers = [await whole(guarded.port, bearing(given, gets("/events")(0))) for given in strangers]
    assert {(answer.status, answer.body, answer.headers["www-authenticate"]) for answer in answers} == {
        (401, answers[0].body, "Bearer")
    }
    with client_of(guarded) as client:
        problem(client.get("/events"), 401)


async def test_two_of_the_header_are_none(guarded: CollectorProcess) -> None:
    for sent in (posts(ONE)(0), gets("/events")(0), gets("/sources")(0)):
        twice = bearing(RIGHT.bearer, bearing(RIGHT.bearer, sent))
        assert (await whole(guarded.port, twice)).status == 401


def test_every_route_is_in_the_matrix(guarded: CollectorProcess) -> None:
    with client_of(guarded) as client:
        described = client.get("/openapi.json").json()["paths"]
    routes = {f"{method.upper()} {path}" for path, operations in described.items() for method in operations}
    assert len(routes) >= 9
    assert routes <= ROUTES.keys()
    secured = {
        f"{method.upper()} {path}"
        for path, operations in described.items()
        for method, operation in operations.items()
        if "security" in operation
    }
    assert secured == {name for name in routes if ROUTES[name].needs}


def test_in_a_batch_only_the_events_of_other_sources_are_rejected(guarded: CollectorProcess) -> None:
    batch = [event(MINE, id="b1"), event("theirs-2", id="b2"), event(""), event(MINE, id="b3")]
    with client_of(guarded) as client:
        client.headers.update(RIGHT.headers)
        receipt = post(client, batch).json()
        assert (receipt["accepted"], receipt["rejected"]) == (2, 2)
        assert [(one["index"], one["error"]["pointer"]) for one in receipt["results"]] == [
            (1, "/source"),
            (2, "/source"),
        ]
        strict = post(client, batch, Prefer="handling=strict")
        assert [fault["index"] for fault in problem(strict, 422)["errors"]] == [1, 2]
        client.headers.update(EVERYTHING.headers)
        assert kept(client, "theirs-2") == []
        assert {"b1", "b3"} <= {one["id"] for one in kept(client, MINE)}


def test_a_single_event_of_another_source_is_a_403_that_says_where(guarded: CollectorProcess) -> None:
    with client_of(guarded) as client:
        client.headers.update(RIGHT.headers)
        document = problem(post(client, event(THEIRS)), 403)
    assert document["errors"] == [{"index": 0, "pointer": "/source", "detail": document["detail"]}]


async def test_a_page_in_memory_is_not_for_those_who_see_other_sources(guarded: CollectorProcess) -> None:
    async def asked(who: Credential) -> tuple[bool, list[Json]]:
        answer = await whole(guarded.port, bearing(who.bearer, gets("/events?limit=1000")(0)))
        assert answer.status == 200
        found: list[Json] = json.loads(answer.body)
        return took_the_shortcut(answer), found

    with client_of(guarded) as client:
        post(client, [event(MINE), event(THEIRS)], Authorization=EVERYTHING.bearer)
    short = 0
    for _ in range(5):
        for who, sees in ((RIGHT, {"mine"}), (OTHER_SOURCE, {"theirs"}), (EVERYTHING, {"mine", "theirs"})):
            way, found = await asked(who)
            short += way
            assert {one["source"].partition("-")[0] for one in found} == sees
    assert short == 12  # all but the first of each
    assert (await asked(TWIN))[0]  # it sees the same, and shares the page


def test_a_page_in_redis_is_not_for_those_who_see_other_sources(
    new_postgres: NewPostgres, migrated: str, redis_url: str
) -> None:
    env = {
        "POSTGRES_CONNECTION_STRING": new_postgres(migrated),
        "REDIS_URL": redis_url,
        "TOKENS": lines(*DECLARED),
    }
    with running(env) as one, running(env) as other, client_of(one) as here, client_of(other) as there:

        def sources(client: httpx.Client, who: Credential, limit: int = 100) -> set[str]:
            answer = client.get("/events", params={"limit": str(limit)}, headers=who.headers)
            return {event["source"] for event in answer.json()}

        def found() -> float:
            return samples(there)["collector_shared_pages_total", frozenset({("outcome", "found")})]

        def shared(limit: int) -> bool:
            """Whether a page that one has read was given by the other, from Redis, to who may see the same."""
            assert sources(here, RIGHT, limit) == {MINE}
            before = found()
            assert sources(there, OTHER_SOURCE, limit) == {THEIRS}
            assert found() == before
            assert sources(there, RIGHT, limit) == {MINE}
            return found() > before

        post(here, [event(MINE), event(THEIRS)], Authorization=EVERYTHING.bearer)
        limits = iter(range(2, 1000))  # another page each time, which none of them has in memory
        wait_until(lambda: shared(next(limits)), "a page that was shared")


async def test_pages_and_their_links_stay_within_what_may_be_seen(guarded: CollectorProcess) -> None:
    with client_of(guarded) as client:
        mixed = [event(source, id=f"p{n}") for n in range(30) for source in (MINE, THEIRS)]
        post(client, mixed, Authorization=EVERYTHING.bearer)
        client.headers.update(OTHER_SOURCE.headers)
        for order in ("asc", "desc"):
            found: list[Json] = []
            answer = client.get("/events", params={"limit": "7", "order": order})
            while answer.json():
                found += answer.json()
                answer = client.get(str(answer.links["next"]["url"]))
            assert {one["source"] for one in found} == {THEIRS}
            assert len([one for one in found if one["id"].startswith("p")]) == 30


@asynccontextmanager
async def followed(client: httpx.AsyncClient, who: Credential) -> AsyncIterator[AsyncIterator[dict[str, str]]]:
    async with client.stream(
        "GET", STREAM, params={"cursor": "0"}, headers=who.headers, timeout=DEADLINE
    ) as answer:
        assert answer.status_code == 200
        yield frames_of(answer.aiter_lines())


async def test_a_stream_shows_what_may_be_seen(guarded: CollectorProcess) -> None:
    async with async_client_of(guarded) as client, followed(client, OTHER_SOURCE) as frames:
        for n in range(3):
            body = [event(MINE), event(THEIRS, id=f"s{n}")]
            await client.post("/events", json=body, headers=EVERYTHING.headers)
        seen: list[Json] = []
        while not seen or seen[-1]["id"] != "s2":
            seen += await take(frames, 1)
    assert {one["source"] for one in seen} == {THEIRS}


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


@pytest.fixture
def rereading(settings: Settings, tokens_file: Path) -> Iterator[CollectorProcess]:
    """A collector that reads its tokens from a file."""
    tokens_file.write_text(lines(RIGHT))
    with running(settings | {"TOKENS_FILE": str(tokens_file), "TOKENS": lines(READS)}) as process:
        yield process


def test_the_file_is_read_again_while_it_serves(rereading: CollectorProcess, tokens_file: Path) -> None:
    with client_of(rereading) as client:

        def status(who: Credential) -> int:
            return client.get("/sources", headers=who.headers).status_code

        assert (status(RIGHT), status(TWIN), status(READS)) == (200, 401, 200)
        tokens_file.write_text(lines(RIGHT, TWIN))
        wait_until(lambda: status(TWIN) == 200, "the second token")
        assert status(RIGHT) == 200
        renamed = tokens_file.with_suffix(".new")
        renamed.write_text(lines(TWIN))
        renamed.replace(tokens_file)
        wait_until(lambda: status(RIGHT) == 401, "the end of the first token")
        tokens_file.write_text("[]")
        wait_until(lambda: status(TWIN) == 401, "the end of the second token")
        assert status(READS) == 200  # TOKENS stay


BROKEN = {"empty": "", "cut": "{", "half": f'{lines(TWIN)}{{"name": "x"}}', "gone": None}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_keeps_the_tokens_and_says_so_once(
    rereading: CollectorProcess, tokens_file: Path, broken: str | None
) -> None:
    def complaints() -> int:
        return sum("the tokens cannot be read" in line["event"] for line in rereading.logs())

    def stale(client: httpx.Client) -> float:
        return samples(client)["collector_tokens_stale", frozenset()]

    with client_of(rereading) as client:
        assert stale(client) == 0
        if broken is None:
            tokens_file.unlink()
        else:
            tokens_file.write_text(broken)
        wait_until(complaints, "a line about the tokens")
        assert stale(client) == 1
        assert client.get("/sources", headers=RIGHT.headers).status_code == 200
        assert client.get("/sources", headers=TWIN.headers).status_code == 401
        tokens_file.write_text(lines(TWIN))
        wait_until(lambda: client.get("/sources", headers=TWIN.headers).status_code == 200, "the other token")
        assert stale(client) == 0
    assert complaints() == 1
    assert all(one.secret not in rereading.output() for one in DECLARED)


async def test_a_stream_ends_with_its_token(rereading: CollectorProcess, tokens_file: Path) -> None:
    async with async_client_of(rereading) as client, followed(client, RIGHT) as frames:
        await client.post("/events", json=event(MINE), headers=RIGHT.headers)
        await take(frames, 1)
        await asyncio.to_thread(tokens_file.write_text, lines(TWIN))
        await eventually(
            lambda: client.get("/sources", headers=RIGHT.headers), lambda answer: answer.status_code == 401
        )
        async with asyncio.timeout(DEADLINE):
            await client.post("/events", json=event(MINE), headers=TWIN.headers)  # it looks up
            rest = [frame async for frame in frames]
    assert not any("data" in frame for frame in rest)


def test_a_token_has_its_rate(settings: Settings) -> None:
    slow = credential(rate=0.01, burst=3)
    with running(settings | {"TOKENS": lines(slow, RIGHT)}) as process, client_of(process) as client:
        client.headers.update(slow.headers)
        answers = [post(client, event("a")), client.get("/events"), client.get("/events"), client.get("/sources")]
        assert [answer.status_code for answer in answers] == [201, 200, 200, 429]
        assert 90 <= int(answers[-1].headers["retry-after"]) <= 100
        problem(client.get("/events"), 429)
        problem(post(client, event("a")), 429)
        problem(post(client, [event("a")]), 429)
        assert client.get("/healthz").status_code == 200
        assert client.get("/events", headers=RIGHT.headers).status_code == 200


def test_a_batch_counts_as_many_as_it_has_events(settings: Settings) -> None:
    slow = credential(rate=0.1, burst=10)
    with running(settings | {"TOKENS": lines(slow)}) as process, client_of(process) as client:
        client.headers.update(slow.headers)
        assert post(client, [event("a")] * 100).status_code == 201
        answer = client.get("/events")
        problem(answer, 429)
        assert 800 <= int(answer.headers["retry-after"]) <= 910
