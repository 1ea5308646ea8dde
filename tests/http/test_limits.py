"""POST /events: sizes, codings and media types."""

import gzip
import json
import sys
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.http.serving import event, kept, post, problem

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_EVENT = 256 * 1024
MAX_BODY = 5 * 2**20
MAX_EVENTS = 1000
TYPE = {"Content-Type": "application/json"}

Compress = Callable[[bytes], bytes]
CODINGS: dict[str, Compress] = {"gzip": gzip.compress, "x-gzip": gzip.compress, "zstd": zstd.compress}


def of_size(source: str, size: int) -> bytes:
    """The text of an event that has so many bytes."""
    empty = json.dumps(event(source, data=""))
    return json.dumps(event(source, data="x" * (size - len(empty)))).encode()


def padded(source: str, size: int) -> bytes:
    """A batch of one event, with white space up to this size."""
    return json.dumps([event(source)]).encode().ljust(size)


def in_chunks(body: bytes, size: int = 2**16) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


def send(client: httpx.Client, body: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    lines = TYPE | {name.replace("_", "-"): text for name, text in headers.items()}
    return client.post("/events", content=body, headers=lines)


def test_an_event_may_have_256_kib(client: httpx.Client, source: str) -> None:
    assert send(client, of_size(source, MAX_EVENT)).status_code == 201
    document = problem(send(client, of_size(source, MAX_EVENT + 1)), 413)
    assert str(MAX_EVENT) in document["detail"]
    assert len(kept(client, source)) == 1


def test_a_body_may_have_5_mib(client: httpx.Client, source: str) -> None:
    assert send(client, padded(source, MAX_BODY)).status_code == 201
    assert send(client, in_chunks(padded(source, MAX_BODY))).status_code == 201
    assert len(kept(client, source)) == 2


@pytest.mark.parametrize("chunked", [False, True], ids=["by its length", "as it comes"])
def test_a_larger_body_is_413(client: httpx.Client, source: str, chunked: bool) -> None:
    body = padded(source, MAX_BODY + 1)
    document = problem(send(client, in_chunks(body) if chunked else body), 413)
    assert str(MAX_BODY) in document["detail"]
    assert not kept(client, source)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "in chunks"])
def test_a_body_may_be_packed(client: httpx.Client, source: str, coding: str, chunked: bool) -> None:
    body = CODINGS[coding](padded(source, MAX_BODY))
    sent = in_chunks(body, 7) if chunked else body
    assert send(client, sent, Content_Encoding=coding).status_code == 201
    assert len(kept(client, source)) == 1


@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_may_be_packed_in_several_parts(client: httpx.Client, source: str, coding: str) -> None:
    pack = CODINGS[coding]
    text = json.dumps([event(source)]).encode()
    assert send(client, pack(text[:9]) + pack(text[9:]), Content_Encoding=coding.upper()).status_code == 201


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("size", [MAX_BODY + 1, 200 * 2**20], ids=["a little", "a bomb"])
def test_a_body_that_inflates_to_more_is_413(client: httpx.Client, source: str, coding: str, size: int) -> None:
    document = problem(send(client, CODINGS[coding](padded(source, size)), Content_Encoding=coding), 413)
    assert str(MAX_BODY) in document["detail"]
    assert not kept(client, source)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_that_is_not_packed_as_it_says_is_400(client: httpx.Client, source: str, coding: str) -> None:
    text = json.dumps(event(source)).encode()
    packed = CODINGS[coding](text)
    for body in (text, packed[:-4], packed + b"x", b""):
        problem(send(client, body, Content_Encoding=coding), 400)
    assert not kept(client, source)


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "snappy"])
def test_another_coding_is_415_and_told_what_is_taken(client: httpx.Client, source: str, coding: str) -> None:
    answer = send(client, json.dumps(event(source)).encode(), Content_Encoding=coding)
    problem(answer, 415)
    assert answer.headers["accept-encoding"] == "gzip, zstd, identity"


@pytest.mark.parametrize(
    "media",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
    ],
)
def test_another_type_is_415_and_told_what_is_taken(client: httpx.Client, source: str, media: str) -> None:
    answer = client.post("/events", content=json.dumps(event(source)), headers={"Content-Type": media})
    assert "Content-Type" in problem(answer, 415)["detail"]
    taken = [one.strip() for one in answer.headers["accept-post"].split(",")]
    assert {"application/json", "application/x-ndjson"} <= set(taken)


def test_no_type_is_415(client: httpx.Client, source: str) -> None:
    answer = client.post("/events", content=json.dumps(event(source)))
    problem(answer, 415)
    assert "accept-post" in answer.headers


@pytest.mark.parametrize("media", ["application/json", "application/x-ndjson"])
def test_a_request_may_carry_1000_events(client: httpx.Client, source: str, media: str) -> None:
    text = json.dumps(event(source))
    for count, status in ((MAX_EVENTS, 201), (MAX_EVENTS + 1, 413)):
        body = f"[{','.join([text] * count)}]" if media == "application/json" else "\n".join([text] * count)
        answer = client.post("/events", content=body, headers={"Content-Type": media})
        assert answer.status_code == status, answer.text
    assert str(MAX_EVENTS) in problem(answer, 413)["detail"]
    assert len(kept(client, source)) == MAX_EVENTS


def test_levels_of_data_are_limited_to_32(client: httpx.Client, source: str) -> None:
    fits, over = ("[" * levels + "1" + "]" * levels for levels in (32, 33))
    assert post(client, event(source, data=json.loads(fits))).status_code == 201
    document = problem(post(client, event(source, data=json.loads(over))), 422)
    assert document["errors"][0]["pointer"] == "/data"
