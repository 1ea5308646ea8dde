"""Reading: filters, pages and cursors, single events, sources."""

import asyncio
import secrets

import httpx
import pytest

from tests.http.serving import Json, event, kept, post, problem
from tests.http.some import at, some


def ids(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return "".join(one["id"] for one in answer.json())


def next_page(answer: httpx.Response) -> str:
    """The address that Link gives, which is relative: a proxy before the collector may add to its path."""
    link = answer.headers["link"]
    assert link.startswith("</events")
    assert link.endswith('>; rel="next"')
    return str(answer.links["next"]["url"])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, "4321"),
        ({"order": "asc"}, "1234"),
        ({"limit": "2"}, "43"),
        ({"limit": "2", "order": "asc"}, "12"),
        ({"id": "2"}, "2"),
        ({"id": "nowhere"}, ""),
        ({"action": "build"}, "21"),
        ({"action": "build", "subject": "shop"}, "1"),
        ({"subject": "shop"}, "31"),
        ({"since": at(10)}, "432"),
        ({"until": at(10)}, "1"),
        ({"since": at(10), "until": at(30)}, "32"),
        ({"since": "2024-05-01T14:20:00+02:00"}, "43"),
        ({"since": "15m"}, ""),
        ({"until": "7d"}, "4321"),
        ({"q": "straße"}, "2"),
        ({"q": "STRAßE 100%"}, "2"),
        ({"q": "100_"}, ""),
        ({"q": "DEPLOY"}, "43"),
        ({"q": "text"}, "3"),
        ({"data.ok": "true"}, "1"),
        ({"data.ok": "false", "action": "build"}, "2"),
        ({"data.tags.0": "a"}, "1"),
        ({"data.tags.1.deep": "1.5"}, "1"),
        ({"data.tags.-1.deep": "1.5"}, "1"),
        ({"data.note": "Straße 100% OK_"}, "2"),
        ({"data.ok.x": "true"}, ""),
        ({"data.ok": "true", "data.tags.0": "b"}, ""),
    ],
    ids=str,
)
def test_filters_narrow_and_are_combined(
    client: httpx.Client, source: str, query: dict[str, str], found: str
) -> None:
    post(client, some(source))
    assert ids(client.get("/events", params={"source": source, **query})) == found


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        (["{}-a"], "1"),
        (["{}-a", "{}-b"], "21"),
        (["{}-*"], "4321"),
        (["{}*a*"], "41"),
        (["{}-?"], "3"),
        (["{}-_"], ""),
        (["{}-[ab]"], ""),
        (["{}-%"], ""),
        (["{}-A"], ""),
        (["{}-?*", "{}-b"], "32"),
        (["*{}"], ""),
    ],
    ids=str,
)
def test_a_star_in_source_stands_for_any_text(
    client: httpx.Client, source: str, sources: list[str], found: str
) -> None:
    names = {"1": "a", "2": "b", "3": "?", "4": "Ba"}
    post(client, [event(f"{source}-{name}", id=id_) for id_, name in names.items()])
    assert ids(client.get("/events", params={"source": [one.format(source) for one in sources]})) == found


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", ["1", "7", "100", "250", "1000"])
def test_following_next_gives_everything_once(client: httpx.Client, source: str, order: str, limit: str) -> None:
    batch = [event(source, id=str(n), action=f"a{n % 2}") for n in range(300 if int(limit) > 1 else 12)]
    post(client, batch)
    post(client, event(f"{source}-other"))
    answer = client.get("/events", params={"source": source, "action": "a1", "order": order, "limit": limit})
    found: list[Json] = []
    while answer.json():
        assert len(answer.json()) <= int(limit)
        found += answer.json()
        answer = client.get(next_page(answer))
    all_of_them = [one for one in kept(client, source) if one["action"] == "a1"]
    assert found == (all_of_them if order == "asc" else all_of_them[::-1])


def test_next_keeps_the_parameters_and_is_there_on_an_empty_page(client: httpx.Client, source: str) -> None:
    asked = {"source": [source, "b&c=d"], "q": ["ü ="], "data.a.b": ["1"], "order": ["asc"]}
    answer = client.get("/events", params=asked)
    assert answer.json() == []
    url = httpx.URL(next_page(answer))
    assert {name: url.params.get_list(name) for name in url.params if name != "cursor"} == asked
    assert url.params["cursor"].isdecimal()


def test_a_reader_polls_from_an_empty_page(client: httpx.Client, source: str) -> None:
    empty = client.get("/events", params={"source": source, "order": "asc"})
    for id_ in "12":
        post(client, event(source, id=id_))
        page = client.get(next_page(empty))
        assert ids(page) == id_
        empty = client.get(next_page(page))
        assert empty.json() == []


def test_a_cursor_is_a_position_and_is_left_out(client: httpx.Client, source: str) -> None:
    post(client, some(source))
    seqs = {one["id"]: one["seq"] for one in kept(client, source)}
    for order, found in (("asc", "34"), ("desc", "1")):
        asked = {"source": source, "order": order, "cursor": str(seqs["2"])}
        assert ids(client.get("/events", params=asked)) == found


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("order=up", "order"),
        ("cursor=abc", "cursor"),
        ("cursor=-1", "cursor"),
        ("cursor=9007199254740992", "cursor"),
        ("since=yesterday", "since"),
        ("until=2024-05-01T12:00:00", "until"),
        ("since=15y", "since"),
        ("since=0001-01-01T00:00:00%2B14:00", "since"),
        ("data.=1", "data.<path>"),
        ("data.a..b=1", "data.<path>"),
        ("data=1", "data"),
        ("sources=a", "sources"),
        ("id=1&id=2", "id"),
        ("Source=a", "Source"),
    ],
)
def test_a_parameter_that_cannot_be_right_is_400(client: httpx.Client, query: str, named: str) -> None:
    assert named in problem(client.get(f"/events?{query}"), 400)["detail"]


def test_limits_are_1_and_1000(client: httpx.Client, source: str) -> None:
    for limit in ("1", "1000"):
        assert client.get("/events", params={"limit": limit, "source": source}).status_code == 200


def test_an_etag_names_the_page(client: httpx.Client, source: str) -> None:
    post(client, event(source))
    first = client.get("/events", params={"source": source})
    etag = first.headers["etag"]
    for sent in (etag, f'"x", W/{etag}', "*"):
        answer = client.get("/events", params={"source": source}, headers={"If-None-Match": sent})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
        assert answer.headers["link"] == first.headers["link"]
    post(client, event(source))
    changed = client.get("/events", params={"source": source}, headers={"If-None-Match": etag})
    assert (changed.status_code, len(changed.json())) == (200, 2)


@pytest.mark.parametrize(("seq", "status"), [("1", 404), ("9007199254740991", 404), ("abc", 400), ("1.5", 400)])
def test_an_event_that_is_not_there(client: httpx.Client, seq: str, status: int) -> None:
    problem(client.get(f"/events/{seq}"), status)


def test_one_event_takes_no_parameters(client: httpx.Client, source: str) -> None:
    seq = post(client, event(source)).json()["seq"]
    assert "verbose" in problem(client.get(f"/events/{seq}?verbose=1"), 400)["detail"]


def test_sources_are_summed_up_by_name(client: httpx.Client, source: str) -> None:
    post(client, [*some(source), event(f"{source}-b", time=at(0))])
    found = [one for one in client.get("/sources").json() if one["source"].startswith(source)]
    assert found == [
        {"source": source, "first_seen": at(0), "last_seen": at(30), "events": 4},
        {"source": f"{source}-b", "first_seen": at(0), "last_seen": at(0), "events": 1},
    ]
    problem(client.get("/sources?limit=1"), 400)
    problem(client.get("/sources?data.a=1"), 400)


def test_sources_can_be_asked_for_and_those_of_the_probe_have_to_be(client: httpx.Client, source: str) -> None:
    probe = f"collector.probe/{source}"
    post(client, [event(probe), event(source), event(source), event(f"x{probe}")])

    def found(*asked: str) -> dict[str, int]:
        answer = client.get("/sources", params={"source": asked})
        assert answer.status_code == 200, answer.text
        return {one["source"]: one["events"] for one in answer.json() if source in one["source"]}

    assert found() == {source: 2, f"x{probe}": 1}
    assert found(probe) == {probe: 1}
    assert found("collector.probe/*", source) == {probe: 1, source: 2}
    assert found("nobody") == {}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/events", {"GET", "POST"}),
        ("PUT", "/events/1", {"GET"}),
        ("POST", "/sources", {"GET"}),
        ("POST", "/events/stream", {"GET"}),
        ("PATCH", "/healthz", {"GET"}),
    ],
)
def test_another_method_is_405_and_told_which_are_allowed(
    client: httpx.Client, method: str, path: str, allowed: set[str]
) -> None:
    answer = client.request(method, path)
    problem(answer, 405)
    assert {one.strip() for one in answer.headers["allow"].split(",")} == allowed


@pytest.mark.parametrize("path", ["/nowhere", "/event", "/docs/nothing.js", "/docs/../main.py"])
def test_another_path_is_404(client: httpx.Client, path: str) -> None:
    problem(client.get(path), 404)


async def test_writes_are_read_at_once(async_client: httpx.AsyncClient, source: str) -> None:
    async def write_and_read(n: int) -> None:
        mine = f"{source}-{n}"
        for _ in range(10):
            written = await async_client.post("/events", json=event(mine, id=secrets.token_hex(4)))
            assert written.status_code == 201
            pages = await asyncio.gather(
                async_client.get("/events", params={"source": mine}), async_client.get(written.headers["location"])
            )
            assert pages[0].json()[0] == pages[1].json() == written.json()

    async with asyncio.TaskGroup() as group:
        for n in range(20):
            group.create_task(write_and_read(n))
