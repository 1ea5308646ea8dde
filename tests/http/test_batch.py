"""POST /events, several events: the receipt says what became of each."""

import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from tests.http.serving import Json, event, kept, post, problem

NDJSON = {"Content-Type": "application/x-ndjson"}
STRICT = "handling=strict"


def receipt(accepted: int = 0, duplicates: int = 0, rejected: int = 0) -> Json:
    return {"accepted": accepted, "spooled": 0, "duplicates": duplicates, "rejected": rejected}


def counts(answer: httpx.Response) -> Json:
    return {name: number for name, number in answer.json().items() if name != "results"}


def results(answer: httpx.Response) -> list[tuple[int, str]]:
    return [(result["index"], result["status"]) for result in answer.json()["results"]]


def post_lines(client: httpx.Client, lines: Sequence[str]) -> httpx.Response:
    return client.post("/events", content="\n".join(lines), headers=NDJSON)


def numbered(source: str, count: int) -> list[Json]:
    return [event(source, id=str(n)) for n in range(count)]


def test_a_batch_is_kept_in_its_order(client: httpx.Client, source: str) -> None:
    answer = post(client, numbered(source, 1000))
    assert answer.status_code == 201
    assert answer.json() == receipt(accepted=1000) | {"results": []}
    assert "location" not in answer.headers
    stored = kept(client, source)
    assert [one["id"] for one in stored] == [str(n) for n in range(1000)]
    assert answer.headers["collector-position"] == str(stored[-1]["seq"])
    assert len({one["received_at"] for one in stored}) == 1


def test_a_list_of_one_is_a_batch(client: httpx.Client, source: str) -> None:
    answer = post(client, [event(source)])
    assert (answer.status_code, answer.json()) == (201, receipt(accepted=1) | {"results": []})


def test_an_empty_list_is_200_with_zeros(client: httpx.Client) -> None:
    answer = post(client, [])
    assert (answer.status_code, answer.json()) == (200, receipt() | {"results": []})
    assert "collector-position" not in answer.headers


def test_a_batch_sent_again_is_all_duplicates(client: httpx.Client, source: str) -> None:
    first, again = (post(client, numbered(source, 3)) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert counts(again) == receipt(duplicates=3)
    assert results(again) == [(0, "duplicate"), (1, "duplicate"), (2, "duplicate")]
    assert again.headers["collector-position"] == first.headers["collector-position"]
    assert len(kept(client, source)) == 3


def test_a_bad_event_is_rejected_and_its_neighbours_are_kept(client: httpx.Client, source: str) -> None:
    post(client, event(source, id="old"))
    post(client, event(source, id="taken", data=1))
    batch = [
        event(source, id="old"),
        event(source, id="taken", data=2),
        event(""),
        event(source, id="new"),
        event(source, data="\0"),
        "no object",
    ]
    answer = post(client, batch)
    assert answer.status_code == 200
    assert counts(answer) == receipt(accepted=1, duplicates=1, rejected=4)
    assert results(answer) == [(0, "duplicate"), *((n, "rejected") for n in (1, 2, 4, 5))]
    errors = {result["index"]: result["error"] for result in answer.json()["results"] if "error" in result}
    assert errors[1]["pointer"] == "/id"
    assert "other content" in errors[1]["detail"]
    assert errors[2] == {"detail": "source is empty", "pointer": "/source"}
    assert errors[4]["pointer"] == "/data"
    assert "Expected `object`" in errors[5]["detail"]
    assert [one["id"] for one in kept(client, source)] == ["old", "taken", "new"]


def test_a_batch_whose_every_event_is_bad_is_422(client: httpx.Client, source: str) -> None:
    document = problem(post(client, [event(""), event(source, id="")]), 422)
    assert [(error["index"], error["pointer"]) for error in document["errors"]] == [(0, "/source"), (1, "/id")]


def test_a_batch_of_conflicts_alone_is_422(client: httpx.Client, source: str) -> None:
    post(client, numbered(source, 2))
    document = problem(post(client, [one | {"data": 1} for one in numbered(source, 2)]), 422)
    assert [error["index"] for error in document["errors"]] == [0, 1]
    assert all("other content" in error["detail"] for error in document["errors"])


def test_duplicates_inside_one_request_fold(client: httpx.Client, source: str) -> None:
    one, other = event(source, id="1"), event(source, id="1", data="other")
    answer = post(client, [one, one, other, one])
    assert answer.status_code == 200
    assert counts(answer) == receipt(accepted=1, duplicates=2, rejected=1)
    assert results(answer) == [(1, "duplicate"), (2, "rejected"), (3, "duplicate")]
    assert [(stored["id"], stored["data"]) for stored in kept(client, source)] == [("1", None)]


def test_an_oversize_event_is_rejected_alone(client: httpx.Client, source: str) -> None:
    big = event(source, id="big", data="x" * 2**18)
    answer = post(client, [event(source, id="before"), big, event(source, id="after")])
    assert answer.status_code == 200
    assert results(answer) == [(1, "rejected")]
    assert "bytes" in answer.json()["results"][0]["error"]["detail"]
    assert [one["id"] for one in kept(client, source)] == ["before", "after"]
    problem(post(client, big), 413)
    problem(post(client, [big]), 422)


BAD_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999", "18446744073709551616", "9223372036854775808", "9" * 5000]
BAD_STRINGS = [r'"\ud800"', r'"\udc00x"', r'"\u0000"', r'{"\u0000": 1}', r'{"\ud800": 1}']


@pytest.mark.parametrize("data", [*BAD_NUMBERS, *BAD_STRINGS], ids=lambda data: data[:20])
def test_what_no_database_takes_is_rejected_alone(client: httpx.Client, source: str, data: str) -> None:
    good = json.dumps(event(source))
    bad = good[:-1] + f', "data": {data}}}'
    answer = client.post(
        "/events", content=f"[{good}, {bad}, {good}]", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 200
    assert counts(answer) == receipt(accepted=2, rejected=1)
    assert results(answer) == [(1, "rejected")]


def test_an_idempotency_key_names_the_events_by_their_places(client: httpx.Client, source: str) -> None:
    batch = [event(source), event(source, id="mine"), event(source)]
    first, again = (post(client, batch, Idempotency_Key="k") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert counts(again) == receipt(duplicates=3)
    assert [one["id"] for one in kept(client, source)] == ["k/0", "mine", "k/2"]


def test_a_strict_batch_is_kept_as_a_whole(client: httpx.Client, source: str) -> None:
    answer = post(client, numbered(source, 3), Prefer=STRICT)
    assert (answer.status_code, counts(answer)) == (201, receipt(accepted=3))
    assert answer.headers["preference-applied"] == STRICT


@pytest.mark.parametrize(
    ("spoiler", "status", "index"),
    [({"id": ""}, 422, 2), ({"id": "taken", "data": 1}, 409, 2), ({"id": "1", "data": 1}, 409, 2)],
    ids=["invalid", "conflict with the log", "conflict within"],
)
def test_a_strict_batch_is_all_or_nothing(
    client: httpx.Client, source: str, spoiler: Json, status: int, index: int
) -> None:
    post(client, event(source, id="taken"))
    batch = [*numbered(source, 2), event(source) | spoiler]
    document = problem(post(client, batch, Prefer=STRICT), status)
    assert [error["index"] for error in document["errors"]] == [index]
    assert [one["id"] for one in kept(client, source)] == ["taken"]


def test_a_duplicate_does_not_fail_a_strict_batch(client: httpx.Client, source: str) -> None:
    post(client, event(source, id="1"))
    answer = post(client, numbered(source, 3), Prefer=STRICT)
    assert (answer.status_code, counts(answer)) == (200, receipt(accepted=2, duplicates=1))
    again = post(client, numbered(source, 3), Prefer=STRICT)
    assert (again.status_code, counts(again)) == (200, receipt(duplicates=3))


@pytest.mark.parametrize(
    "lines",
    [[STRICT, "respond-async"], ["respond-async", STRICT], [f"respond-async, {STRICT}"], ["Handling=Strict"]],
)
def test_strict_is_heard_among_other_preferences(client: httpx.Client, source: str, lines: list[str]) -> None:
    headers = [("Prefer", line) for line in lines]
    answer = client.post("/events", json=[event(source), event("")], headers=headers)
    problem(answer, 422)
    assert not kept(client, source)


def test_ndjson_is_one_event_a_line(client: httpx.Client, source: str) -> None:
    lines = [json.dumps(one) for one in numbered(source, 3)]
    answer = post_lines(client, ["", lines[0], "  ", lines[1] + "\r", lines[2], ""])
    assert (answer.status_code, counts(answer)) == (201, receipt(accepted=3))
    assert [one["id"] for one in kept(client, source)] == ["0", "1", "2"]


def test_a_bad_line_is_rejected_by_its_number(client: httpx.Client, source: str) -> None:
    good = [json.dumps(one) for one in numbered(source, 2)]
    answer = post_lines(client, [good[0], '{"source": ', good[1], "{}"])
    assert answer.status_code == 200
    assert results(answer) == [(1, "rejected"), (3, "rejected")]
    assert "line 2 is not JSON" in answer.json()["results"][0]["error"]["detail"]


def test_lines_that_are_all_bad_are_422(client: httpx.Client) -> None:
    document = problem(post_lines(client, ["{", "[]"]), 422)
    assert [error["index"] for error in document["errors"]] == [0, 1]


def test_no_lines_are_200_with_zeros(client: httpx.Client) -> None:
    answer = post_lines(client, ["", "\n"])
    assert (answer.status_code, counts(answer)) == (200, receipt())


def test_one_line_is_a_batch(client: httpx.Client, source: str) -> None:
    answer = post_lines(client, [json.dumps(event(source))])
    assert (answer.status_code, counts(answer)) == (201, receipt(accepted=1))


@pytest.mark.parametrize("given", ["application/json; charset=UTF-8", 'Application/JSON;charset="utf-8"'])
def test_a_content_type_may_name_utf_8(client: httpx.Client, source: str, given: str) -> None:
    body: Any = json.dumps([event(source)])
    assert client.post("/events", content=body, headers={"Content-Type": given}).status_code == 201
