"""POST /events, one event: what is stored, what the answer says, and what is refused."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.http.serving import event, kept, post, problem
from tests.process import CollectorProcess

FULL = {
    "id": "build-17",
    "subject": "shop",
    "time": "2024-05-01T12:00:00.123456Z",
    "data": {"ok": True, "parts": [1, -2.5, None, "ü"], "huge": 2**63 - 1, "tiny": -(2**63)},
}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_one_event_is_stored_and_can_be_read_where_the_answer_says(client: httpx.Client, source: str) -> None:
    answer = post(client, event(source, **FULL))
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    stored = answer.json()
    assert {name: stored[name] for name in ("source", "action", *FULL)} == event(source, **FULL)
    assert stored.keys() == {"seq", "received_at", "source", "action", *FULL}
    assert answer.headers["collector-position"] == str(stored["seq"])
    assert answer.headers["location"] == f"/events/{stored['seq']}"
    assert client.get(answer.headers["location"]).json() == stored


def test_what_is_left_out_is_filled_in(client: httpx.Client, source: str) -> None:
    before = datetime.now(UTC)
    stored = post(client, event(source)).json()
    assert stored["time"] == stored["received_at"]
    assert abs(moment(stored["received_at"]) - before) < timedelta(seconds=10)
    assert uuid.UUID(stored["id"]).version == 7
    assert (stored["subject"], stored["data"]) == (None, None)
    assert client.get(f"/events/{stored['seq']}").json() == stored


def test_null_is_the_same_as_left_out(client: httpx.Client, source: str) -> None:
    answer = post(client, event(source, id=None, subject=None, time=None, data=None))
    assert answer.status_code == 201
    assert answer.json()["id"]


def test_numbers_are_given_in_order_and_stay_below_2_to_53(client: httpx.Client, source: str) -> None:
    numbers = [post(client, event(source)).json()["seq"] for _ in range(3)]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] < 2**53
    assert abs(numbers[-1] / 1e6 - datetime.now(UTC).timestamp()) < 60


def test_source_and_action_are_trimmed(client: httpx.Client, source: str) -> None:
    stored = post(client, {"source": f"  {source}\n", "action": "\tdeployed "}).json()
    assert (stored["source"], stored["action"]) == (source, "deployed")


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2024-05-01T12:00:00+02:00", "2024-05-01T10:00:00Z"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59-00:00", "9999-12-31T23:59:59Z"),
    ],
)
def test_a_time_is_never_dropped_for_being_old_or_in_the_future(
    client: httpx.Client, source: str, sent: str, stored: str
) -> None:
    answer = post(client, event(source, time=sent))
    assert answer.status_code == 201
    assert answer.json()["time"] == stored
    assert client.get(answer.headers["location"]).json()["time"] == stored


@pytest.mark.parametrize("length", [1, 200])
def test_texts_may_have_from_1_to_200_characters(client: httpx.Client, source: str, length: int) -> None:
    text = "é" * length
    stored = post(client, event(source, action=text, id=text, subject=text)).json()
    assert [stored[name] for name in ("action", "id", "subject")] == [text] * 3


def test_a_resend_is_a_duplicate_however_it_is_written(client: httpx.Client, source: str) -> None:
    first = post(client, event(source, **FULL))
    other = json.dumps(dict(reversed(event(source, **FULL).items())), indent=2)
    again = client.post("/events", content=other, headers={"Content-Type": "application/json"})
    assert again.status_code == 200
    assert again.json() == first.json()
    for header in ("location", "collector-position"):
        assert again.headers[header] == first.headers[header]
    assert len(kept(client, source)) == 1


@pytest.mark.parametrize(
    "other",
    [{"action": "x"}, {"subject": "x"}, {"data": 1}, {"time": "2024-05-01T12:00:00Z"}, {"data": {"ok": 1}}],
)
def test_the_same_id_with_other_content_is_a_conflict(client: httpx.Client, source: str, other: Any) -> None:
    first = post(client, event(source, **FULL)).json()
    document = problem(post(client, event(source, **FULL) | other), 409)
    assert document["type"] == "urn:problem:conflict"
    assert document["errors"][0]["pointer"] == "/id"
    assert kept(client, source) == [first]


def test_the_same_id_of_another_source_is_another_event(client: httpx.Client, source: str) -> None:
    assert post(client, event(source, id="1")).status_code == 201
    assert post(client, event(f"{source}-b", id="1")).status_code == 201


def test_without_an_id_each_post_is_an_event(client: httpx.Client, source: str) -> None:
    assert [post(client, event(source)).status_code for _ in range(2)] == [201, 201]
    assert len({one["id"] for one in kept(client, source)}) == 2


def test_what_was_read_can_be_sent_again(client: httpx.Client, source: str) -> None:
    stored = post(client, event(source, id="1")).json()  # the server filled in its time
    again = post(client, stored)
    assert (again.status_code, again.json()) == (200, stored)


@pytest.mark.parametrize("name", ["seq", "received_at"])
@pytest.mark.parametrize("value", [7, "text", None, [{}]])
def test_what_the_server_gives_is_ignored_in_what_is_sent(
    client: httpx.Client, source: str, name: str, value: Any
) -> None:
    answer = post(client, event(source) | {name: value})
    assert answer.status_code == 201
    assert answer.json()[name] != value


def test_of_a_key_given_twice_the_last_wins(client: httpx.Client, source: str) -> None:
    text = f'{{"source": "other", "source": "{source}", "action": "a", "action": "b", "data": {{"k": 1, "k": 2}}}}'
    answer = client.post("/events", content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 201
    assert (answer.json()["action"], answer.json()["data"]) == ("b", {"k": 2})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source", 5),
        ("action", True),
        ("action", ["a"]),
        ("id", 17),
        ("subject", {}),
        ("time", 1714557600),
        ("time", "yesterday"),
        ("time", "2024-05-01T12:00:00"),
        ("source", None),
        ("id", ""),
        ("id", "i" * 201),
        ("subject", "s" * 201),
        ("source", "s" * 201),
        ("action", " \n"),
    ],
)
def test_types_and_lengths_are_strict(client: httpx.Client, source: str, name: str, value: Any) -> None:
    document = problem(post(client, event(source) | {name: value}), 422)
    assert document["errors"] == [{"index": 0, "pointer": f"/{name}", "detail": document["errors"][0]["detail"]}]
    assert not kept(client, source)


def test_empty_source_is_rejected(client: httpx.Client) -> None:
    document = problem(post(client, event("")), 422)
    assert "source is empty" in document["detail"]


def test_an_unknown_key_is_named(client: httpx.Client, source: str) -> None:
    assert "colour" in problem(post(client, event(source, colour="red")), 422)["detail"]


@pytest.mark.parametrize("missing", ["source", "action"])
def test_a_missing_field_is_named(client: httpx.Client, source: str, missing: str) -> None:
    body = {name: text for name, text in event(source).items() if name != missing}
    assert missing in problem(post(client, body), 422)["detail"]


def test_an_error_of_one_event_says_which_and_where(client: httpx.Client, source: str) -> None:
    document = problem(post(client, event(source, data="\0")), 422)
    assert document["errors"] == [{"index": 0, "pointer": "/data", "detail": "data has a NUL character"}]


@pytest.mark.parametrize("key", ["k-1", '"k-1"'])
def test_an_idempotency_key_names_an_event_that_has_no_id(client: httpx.Client, source: str, key: str) -> None:
    first, again = (post(client, event(source), Idempotency_Key=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == "k-1/0"
    assert again.json() == first.json()
    assert problem(post(client, event(source, data=1), Idempotency_Key=key), 409)


def test_an_id_goes_before_the_idempotency_key(client: httpx.Client, source: str) -> None:
    assert post(client, event(source, id="mine"), Idempotency_Key="k").json()["id"] == "mine"


@pytest.mark.parametrize(("key", "status"), [("k" * 193, 201), ("k" * 194, 400), ('""', 400), ("ü", 400)])
def test_an_idempotency_key_is_short_and_printable(
    client: httpx.Client, source: str, key: str, status: int
) -> None:
    headers = [(b"Idempotency-Key", key.encode()), (b"Content-Type", b"application/json")]
    answer = client.post("/events", content=json.dumps(event(source)), headers=headers)
    assert answer.status_code == status, answer.text


def test_posting_takes_no_parameters(client: httpx.Client, source: str) -> None:
    problem(client.post("/events", params={"dry_run": "1"}, json=event(source)), 400)
    assert not kept(client, source)


@pytest.mark.parametrize("given", ["a", "0af7651916cd43dd8448eb211c80319c", "A-1" * 21])
def test_a_request_id_is_taken(client: httpx.Client, source: str, given: str) -> None:
    for answer in (
        post(client, event(source), X_Request_Id=given),
        client.get("/x", headers={"X-Request-Id": given}),
    ):
        assert answer.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 65, "{}", "a,b"])
def test_a_request_id_is_given_where_none_can_be_taken(
    client: httpx.Client, source: str, given: str | None
) -> None:
    headers = {} if given is None else {"X_Request_Id": given}
    made = [post(client, event(source), **headers).headers["x-request-id"] for _ in range(2)]
    assert len({*made, given}) == 3


def test_every_answer_says_which_process_gave_it(
    client: httpx.Client, collector: CollectorProcess, source: str
) -> None:
    listening = next(line for line in collector.logs() if line["event"] == "listening")
    answers = [post(client, event(source)), post(client, {}), client.get("/events"), client.get("/nowhere")]
    assert {answer.headers["collector-instance"] for answer in answers} == {listening["instance"]}
