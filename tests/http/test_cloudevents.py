"""CloudEvents over HTTP: the specification's examples are events like all others, in every mode."""

import json

import httpx
import pytest

from tests.cloudevents import BATCH, EXAMPLES, Example, kept_as
from tests.http.serving import kept, problem

STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=UTF-8"}
BATCHED = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
TYPES = (
    "application/json",
    "application/x-ndjson",
    *(one["Content-Type"].partition(";")[0] for one in (STRUCTURED, BATCHED)),
)


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_is_kept_once_whatever_its_mode(client: httpx.Client, source: str, example: Example) -> None:
    first = client.post("/events", content=json.dumps({**example.document, "source": source}), headers=STRUCTURED)
    assert first.status_code == 201, first.text
    again = client.post("/events", content=example.body, headers={**example.headers, "ce-source": source})
    assert again.status_code == 200, again.text
    assert again.json() == first.json()
    assert [(one["id"], one["action"], one["data"]) for one in kept(client, source)] == [
        (example.document["id"], example.document["type"], kept_as(example))
    ]


def test_a_batch_gets_a_receipt(client: httpx.Client, source: str) -> None:
    batch = [{**one, "source": source} for one in BATCH]
    for status, accepted, duplicates in ((201, 2, 0), (200, 0, 2)):
        answer = client.post("/events", content=json.dumps(batch), headers=BATCHED)
        assert answer.status_code == status, answer.text
        assert (answer.json()["accepted"], answer.json()["duplicates"]) == (accepted, duplicates)
    partly = client.post("/events", content=json.dumps([{**batch[0], "id": "new"}, {}]), headers=BATCHED)
    assert partly.status_code == 200
    assert [result["error"]["detail"] for result in partly.json()["results"]] == ["id is missing"]
    assert len(kept(client, source)) == 3


def test_an_empty_batch_is_nothing_to_do(client: httpx.Client) -> None:
    answer = client.post("/events", content="[]", headers=BATCHED)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 0)


def test_what_is_kept_reads_back_and_can_be_sent_again(client: httpx.Client, source: str) -> None:
    example = EXAMPLES["an object"]
    client.post("/events", content=json.dumps({**example.document, "source": source}), headers=STRUCTURED)
    assert len(kept(client, source, **{"data.cloudevent.comexampleothervalue": "5"})) == 1
    lines = client.get("/events", params={"source": source}, headers={"Accept": "application/x-ndjson"}).content
    again = client.post("/events", content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert (again.status_code, again.json()["duplicates"]) == (200, 1)


@pytest.mark.parametrize("media", ["application/cloudevents+avro", "application/cloudevents", "text/plain", ""])
def test_a_type_that_is_not_taken_says_which_are(client: httpx.Client, media: str) -> None:
    answer = client.post("/events", content="{}", headers={"Content-Type": media})
    problem(answer, 415)
    assert answer.headers["accept-post"].split(", ") == list(TYPES)


def test_a_media_type_of_cloudevents_is_never_taken_for_that_of_data(client: httpx.Client) -> None:
    headers = {**EXAMPLES["an object"].headers, "content-type": "application/cloudevents+avro"}
    problem(client.post("/events", content="{}", headers=headers), 415)
    two = [*EXAMPLES["an object"].headers.items(), ("content-type", "text/plain")]
    problem(client.post("/events", content="{}", headers=two), 415)


def test_strict_is_strict_for_them_too(client: httpx.Client, source: str) -> None:
    batch = [{**one, "source": source} for one in BATCH]
    answer = client.post(
        "/events", content=json.dumps([*batch, {}]), headers={**BATCHED, "Prefer": "handling=strict"}
    )
    problem(answer, 422)
    assert kept(client, source) == []
