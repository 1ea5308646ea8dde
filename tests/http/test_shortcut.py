"""The shortcut: nobody can tell by an answer which way its request went."""

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from app.edge import MAX_HEAD
from tests.faults.wire import Answer, Wire, event, request
from tests.http.conftest import Settings
from tests.http.serving import DEADLINE, client_of, running
from tests.http.test_operations import Samples, samples
from tests.ports import LOOPBACK
from tests.process import CollectorProcess

MOMENT = 0.02  # seconds between the parts of a request
RESETS = 3000
MAX_GROWTH = 8 * 2**20  # bytes; a connection that is held on to costs 6 KiB
OWN = {"seq", "id", "time", "received_at"}  # what differs from one event to the next

Make = Callable[[str], bytes]


def posted(body: bytes | str, path: str = "/events", **headers: str) -> bytes:
    return request("POST", path, body.encode() if isinstance(body, str) else body, **headers)


def some(source: str, **more: Any) -> str:
    return json.dumps({"source": source, "action": "test", **more})


def with_line(line: str, plain: bytes) -> bytes:
    return plain.replace(b"\r\n", f"\r\n{line}\r\n".encode(), 1)


def filled(source: str, size: int) -> bytes:
    """A request of so many bytes."""
    rest = size - len(posted(some(source, data=""))) - len("9999")
    return next(r for n in range(rest, rest + 9) if len(r := posted(some(source, data="x" * n))) == size)


PLAIN: dict[str, Make] = {
    "an event": lambda s: posted(some(s)),
    "with an id": lambda s: posted(some(s, id="1")),
    "with all there is": lambda s: posted(
        some(s, id="é", subject="a", time="2024-05-01T12:00:00+02:00", data={"b": [1, None]})
    ),
    "its charset": lambda s: posted(some(s), content_type="application/json; charset=utf-8"),
    "its request's id": lambda s: posted(some(s), x_request_id="mine"),
    "16 KiB": lambda s: filled(s, MAX_HEAD),
}
ODD: dict[str, Make] = {
    "16 KiB and a byte": lambda s: filled(s, MAX_HEAD + 1),
    "white space first": lambda s: posted(" " + some(s)),
    "a batch": lambda s: posted(f"[{some(s)},{some(s)}]"),
    "an empty batch": lambda _: posted("[]"),
    "a batch, partly refused": lambda s: posted(f"[{some(s)},{some('')}]"),
    "lines": lambda s: posted(some(s), content_type="application/x-ndjson"),
    "a key": lambda s: posted(some(s), idempotency_key="k"),
    "a CloudEvent": lambda s: posted(some(s), content_type="application/cloudevents+json"),
    "a CloudEvent in headers": lambda s: posted(
        some(s), ce_id="1", ce_source=s, ce_specversion="1.0", ce_type="t"
    ),
    "half of one": lambda s: posted(some(s), ce_id="1"),
    "a key that is none": lambda s: posted(some(s), idempotency_key=""),
    "strict": lambda s: posted(some(s), prefer="handling=strict"),
    "strict and refused": lambda _: posted(some(""), prefer="handling=strict"),
    "another preference": lambda s: posted(some(s), prefer="return=minimal"),
    "gzip": lambda s: posted(gzip.compress(some(s).encode()), content_encoding="gzip"),
    "no gzip": lambda s: posted(some(s), content_encoding="gzip"),
    "another coding": lambda s: posted(some(s), content_encoding="br"),
    "identity": lambda s: posted(some(s), content_encoding="identity"),
    "another type": lambda s: posted(some(s), content_type="text/plain"),
    "no type": lambda s: posted(some(s), content_type=""),
    "another charset": lambda s: posted(some(s), content_type="application/json; charset=latin-1"),
    "a type in capitals": lambda s: posted(some(s), content_type="Application/JSON"),
    "a parameter": lambda s: posted(some(s), path="/events?a=b"),
    "a lone question mark": lambda s: posted(some(s), path="/events?"),
    "another path": lambda s: posted(some(s), path="/nothing"),
    "another method": lambda s: request("PUT", "/events", some(s).encode()),
    "two hosts": lambda s: with_line("Host: other", posted(some(s))),
    "no host": lambda s: posted(some(s)).replace(b"Host: collector\r\n", b""),
    "two types": lambda s: with_line("Content-Type: text/plain", posted(some(s))),
    "nothing": lambda _: posted(""),
    "no JSON": lambda s: posted(some(s)[:-1]),
    "more than JSON": lambda s: posted(some(s) + "x"),
    "a text": lambda _: posted('"text"'),
    "no fields": lambda _: posted("{}"),
    "an empty source": lambda _: posted(some(" ")),
    "a long source": lambda _: posted(some("x" * 201)),
    "a key that is unknown": lambda s: posted(some(s, more=1)),
    "another type of value": lambda s: posted(some(s, id=1)),
    "too deep": lambda s: posted(some(s, data="?").replace('"?"', "[" * 33 + "]" * 33)),
    "far too deep": lambda s: posted(some(s, data="?").replace('"?"', "[" * 3000 + "]" * 3000)),
    "no number": lambda s: posted(some(s, data="?").replace('"?"', "NaN")),
    "too large a number": lambda s: posted(some(s, data=2**64)),
    "a NUL": lambda s: posted(some(s, data="\0")),
    "half a pair": lambda s: posted(some(s, data="\ud800")),
    "a mark of byte order": lambda s: posted("\ufeff" + some(s)),
    "no UTF-8": lambda s: posted(some(s, data="?").encode().replace(b"?", b"\xff")),
    "gzip, not said": lambda s: posted(gzip.compress(some(s).encode())),
}
AGAIN: dict[str, tuple[Make, Make]] = {
    "resent": (lambda s: posted(event(s, "1", data={"a": 1})), lambda s: posted(event(s, "1", data={"a": 1}))),
    "resent in other order": (
        lambda s: posted(some(s, id="1", data={"a": 1, "b": 2})),
        lambda s: posted(f'{{"data": {{"b":2,"a":1}}, "id":"1", "action":"test", "source":"{s}"}}'),
    ),
    "in conflict": (lambda s: posted(event(s, "1", data=1)), lambda s: posted(event(s, "1", data=2))),
}


@pytest.fixture
async def wires(collector: CollectorProcess) -> AsyncIterator[list[Wire]]:
    """Two connections."""
    wires = [await Wire.open(collector.port) for _ in range(2)]
    yield wires
    for wire in wires:
        wire.abort()


async def whole(port: int, sent: bytes) -> Answer:
    return await _answer(port, sent)


async def in_two(port: int, sent: bytes) -> Answer:
    head, _, body = sent.partition(b"\r\n\r\n")
    cut = len(sent) - len(body) if body else len(head) // 2
    return await _answer(port, sent[:cut], sent[cut:])


async def with_a_name_twice(port: int, sent: bytes) -> Answer:
    return await _answer(port, with_line("X-A: 1\r\nX-A: 2", sent))


async def _answer(port: int, *parts: bytes) -> Answer:
    wire = await Wire.open(port)
    try:
        async with asyncio.timeout(DEADLINE):
            for part in parts:
                await wire.send(part)
                await asyncio.sleep(MOMENT if part is not parts[-1] else 0)
            return await wire.answer()
    finally:
        wire.abort()


WAYS = (whole, in_two, with_a_name_twice)


def took_the_shortcut(answer: Answer) -> bool:
    """The one thing that shows it: the order of the headers."""
    names = list(answer.headers)
    return names.index("x-request-id") < names.index("collector-position" if "link" not in names else "link")


def shape(answer: Answer, source: str) -> tuple[int, list[str], object]:
    """What has to be alike."""
    document = json.loads(answer.body.decode().replace(source, "the source"))
    if answer.status < 400 and isinstance(document, dict):
        document = {name: None if name in OWN else value for name, value in document.items()}
    return answer.status, sorted(answer.headers), document


@pytest.mark.parametrize("name", [*PLAIN, *ODD])
async def test_an_answer_is_the_same_either_way(collector: CollectorProcess, source: str, name: str) -> None:
    make = (PLAIN | ODD)[name]
    sources = [f"{source}-{n}" for n in range(len(WAYS))]
    answers = [await way(collector.port, make(one)) for way, one in zip(WAYS, sources, strict=True)]
    first, *others = [shape(answer, one) for answer, one in zip(answers, sources, strict=True)]
    assert others == [first, first]
    if name in PLAIN:
        assert first[0] == 201
        assert [took_the_shortcut(answer) for answer in answers] == [True, False, False]
    if name == "its request's id":
        assert {answer.headers["x-request-id"] for answer in answers} == {"mine"}


@pytest.mark.parametrize("name", AGAIN)
async def test_what_was_sent_before_is_told_the_same_either_way(
    collector: CollectorProcess, source: str, name: str
) -> None:
    before, again = AGAIN[name]
    first = await whole(collector.port, before(source))
    answers = [await way(collector.port, again(source)) for way in WAYS]
    assert [answer.status for answer in answers] == [409 if name == "in conflict" else 200] * 3
    if name == "in conflict":
        assert len({answer.body for answer in answers}) == 1
    else:
        assert all(answer.document == first.document for answer in answers)
        assert {answer.headers["location"] for answer in answers} == {first.headers["location"]}
    assert len({frozenset(answer.headers) for answer in answers}) == 1


async def test_a_page_from_memory_is_the_page(collector: CollectorProcess, source: str) -> None:
    for n in range(3):
        await whole(collector.port, posted(event(source, str(n))))
    asked = f"/events?source={source}"
    await whole(collector.port, request("GET", asked))
    answers = [await way(collector.port, request("GET", asked)) for way in WAYS]
    assert [took_the_shortcut(answer) for answer in answers] == [True, False, False]
    fresh = await whole(collector.port, request("GET", f"{asked}&limit=100"))
    assert {answer.body for answer in (*answers, fresh)} == {fresh.body}
    assert {answer.headers["etag"] for answer in (*answers, fresh)} == {fresh.headers["etag"]}
    assert {answer.headers["link"].replace("&limit=100", "") for answer in answers} == {
        fresh.headers["link"].replace("&limit=100", "")
    }
    assert [one["id"] for one in json.loads(fresh.body)] == ["2", "1", "0"]
    assert len({frozenset(answer.headers) for answer in (*answers, fresh)}) == 1


async def test_a_page_that_a_client_has_is_304_either_way(collector: CollectorProcess, source: str) -> None:
    await whole(collector.port, posted(event(source, "1")))
    asked = f"/events?source={source}"
    etag = (await whole(collector.port, request("GET", asked))).headers["etag"]
    for tag in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answers = [await way(collector.port, request("GET", asked, if_none_match=tag)) for way in WAYS]
        assert [(answer.status, answer.body) for answer in answers] == [(304, b"")] * 3
        assert [took_the_shortcut(answer) for answer in answers] == [True, False, False]
        assert len({frozenset(answer.headers) for answer in answers}) == 1
    await whole(collector.port, posted(event(source, "2")))
    answers = [await way(collector.port, request("GET", asked, if_none_match=etag)) for way in WAYS]
    assert [answer.status for answer in answers] == [200] * 3


async def test_what_a_page_in_memory_cannot_say_goes_its_way(collector: CollectorProcess, source: str) -> None:
    await whole(collector.port, posted(event(source, "1")))
    asked = f"/events?source={source}"
    for _ in range(2):
        await whole(collector.port, request("GET", asked))
    for accept in ("text/csv", "application/x-ndjson", "application/json;q=0.5, text/csv"):
        answers = [await way(collector.port, request("GET", asked, accept=accept)) for way in WAYS]
        assert {answer.headers["content-type"].partition(";")[0] for answer in answers} == {
            accept.rpartition(" ")[2]
        }
        assert len({answer.body for answer in answers}) == 1
    since = [await way(collector.port, request("GET", f"{asked}&since=1h")) for way in WAYS * 2]
    assert not any(took_the_shortcut(answer) for answer in since)
    assert {len(json.loads(answer.body)) for answer in since} == {1}
    for odd, status in ((request("GET", f"{asked}&a=b"), 400), (request("GET", asked, accept="text/html"), 406)):
        answers = [await way(collector.port, odd) for way in WAYS]
        assert [answer.status for answer in answers] == [status] * 3
        assert len({answer.body for answer in answers}) == 1


async def test_a_read_sees_what_was_written_before_on_another_connection(wires: list[Wire], source: str) -> None:
    asked = f"/events?source={source}&limit=5"
    short = 0
    async with asyncio.timeout(60):
        for n in range(200):
            writes, reads = wires[n % 2], wires[1 - n % 2]
            assert (await writes.ask("POST", "/events", event(source, str(n)))).status == 201
            for _ in range(2):
                answer = await reads.ask("GET", asked)
                assert json.loads(answer.body)[0]["id"] == str(n)
                short += took_the_shortcut(answer)
    print("of 400 reads,", short, "were from memory")


def counts(client: httpx.Client) -> Samples:
    names = ("collector_responses_total", "collector_request_duration_seconds_count")
    return {key: value for key, value in samples(client).items() if key[0] in names}


async def test_answers_are_counted_the_same_either_way(
    collector: CollectorProcess, client: httpx.Client, source: str
) -> None:
    def requests(source: str) -> list[bytes]:
        page = request("GET", f"/events?source={source}")
        event_, other = posted(event(source, "1")), posted(event(source, "1", data=1))
        seen = request("GET", f"/events?source={source}", if_none_match="*")
        return [event_, event_, other, posted("{"), posted(some("")), page, page, page, seen]

    added = []
    for n, way in enumerate(WAYS):
        before = counts(client)
        for one in requests(f"{source}-{n}"):
            await way(collector.port, one)
        added.append({key: value - before.get(key, 0) for key, value in counts(client).items()})
    assert added[1:] == added[:1] * 2
    by_route = {dict(labels).get("route"): count for (_, labels), count in added[0].items() if count}
    assert (by_route["POST /events"], by_route["GET /events"]) == (5, 4)


@pytest.fixture
def own(settings: Settings) -> Iterator[CollectorProcess]:
    """A collector of the test's own."""
    with running(settings) as process:
        yield process


def test_connections_that_are_reset_are_let_go_of(own: CollectorProcess) -> None:
    with client_of(own) as client:
        assert client.post("/events", json=json.loads(event("a", "1"))).status_code == 201
    process = psutil.Process(own.pid)
    for _ in range(RESETS // 3):  # what grows once only
        reset_after_an_answer(own.port)
    before = process.memory_info().rss
    for _ in range(RESETS):
        reset_after_an_answer(own.port)
    growth = process.memory_info().rss - before
    print(f"after {RESETS} resets it has grown by {growth / 2**20:.1f} MiB")
    assert growth < MAX_GROWTH


def reset_after_an_answer(port: int) -> None:
    with socket.create_connection((LOOPBACK, port), timeout=DEADLINE) as connection:
        connection.sendall(request("GET", "/events?limit=1"))
        while not connection.recv(2**16).endswith(b"]"):
            pass
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
