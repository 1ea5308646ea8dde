"""Odd clients: a line of requests.jsonl for each. None gets a 500, and none brings the collector down."""

import base64
import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.serving import Json, post, problem
from tests.ports import LOOPBACK
from tests.process import CollectorProcess

REQUESTS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "requests.jsonl").read_text(encoding="utf-8").splitlines()
]
ANSWER_WITHIN = 5.0  # seconds
HEADERS = b"Host: x\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n"
BODY = b'{"source":"odd","action":"raw"}'


def content(spec: Any) -> bytes:
    """The bytes that a body of requests.jsonl stands for."""
    match spec:
        case None:
            return b""
        case str():
            return spec.encode()
        case {"base64": text}:
            return base64.b64decode(text)
        case {"repeat": [text, times]}:
            return content(text) * int(times)
        case {"concat": parts}:
            return b"".join(map(content, parts))
    raise ValueError(spec)


@pytest.mark.parametrize("line", REQUESTS, ids=lambda line: line["name"])
def test_an_odd_client_gets_a_clear_answer(client: httpx.Client, line: Json) -> None:
    answer = client.request(
        line["method"],
        content(line["path"]).decode(),
        content=content(line["body"]),
        headers={name: content(value) for name, value in line["headers"].items()},
        timeout=ANSWER_WITHIN,
    )
    assert answer.status_code == line["status"], answer.text[:500]
    if answer.status_code >= 400:
        document = problem(answer, line["status"])
        assert line["reason"] in json.dumps(document["detail"]) + json.dumps(document.get("errors", ""))
        assert len(answer.content) < 2000


RAW = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "HTTP/9.9": b"POST /events HTTP/9.9\r\n" + HEADERS + BODY,
    "no host": b"POST /events HTTP/1.1\r\n" + HEADERS.replace(b"Host: x\r\n", b"") + BODY,
    "two hosts": b"POST /events HTTP/1.1\r\nHost: y\r\n" + HEADERS + BODY,
    "no version": b"POST /events\r\n" + HEADERS + BODY,
    "bare LF": b"POST /events HTTP/1.1\n" + HEADERS.replace(b"\r", b"") + BODY,
    "both lengths": b"POST /events HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HEADERS + b"0\r\n\r\n",
    "two lengths": b"POST /events HTTP/1.1\r\nContent-Length: 30\r\n" + HEADERS + BODY,
    "negative length": b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n" + BODY,
    "space before the colon": b"POST /events HTTP/1.1\r\nX : y\r\n" + HEADERS + BODY,
    "folded line": b"POST /events HTTP/1.1\r\nX: y\r\n z\r\n" + HEADERS + BODY,
    "NUL in a header": b"POST /events HTTP/1.1\r\nX: \0\r\n" + HEADERS + BODY,
    "chunk that is no number": b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n" + BODY,
    "coding that is not chunked": b"POST /events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n" + BODY,
}


@pytest.mark.parametrize("request_", RAW.values(), ids=RAW.keys())
def test_what_is_no_http_is_refused_or_cut_off(
    client: httpx.Client, collector: CollectorProcess, request_: bytes
) -> None:
    assert first_line(collector.port, request_) in (b"", b"HTTP/1.1 400 Bad Request")
    assert post(client, {"source": "odd", "action": "after"}).status_code == 201


def first_line(port: int, request: bytes) -> bytes:
    """What a connection answers to these bytes; nothing where it is closed."""
    with socket.create_connection((LOOPBACK, port), timeout=ANSWER_WITHIN) as connection:
        connection.sendall(request)
        try:
            return connection.makefile("rb").readline().strip()
        except ConnectionResetError:
            return b""


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing(
    client: httpx.Client, collector: CollectorProcess, source: str
) -> None:
    body = json.dumps({"source": source, "action": "half"}).encode()
    before = bugs(collector)
    with socket.create_connection((LOOPBACK, collector.port), timeout=ANSWER_WITHIN) as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\n" + HEADERS.replace(b"31", b"999") + body)
    assert client.get("/events", params={"source": source}).json() == []
    assert bugs(collector) == before


def bugs(collector: CollectorProcess) -> int:
    return sum(line["event"] == "bug" for line in collector.logs())
