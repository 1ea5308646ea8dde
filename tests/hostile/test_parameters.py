"""Every parameter of every reading route, and every header that it reads, with every odd value there is."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.hostile.line import Line, Said, request_of
from tests.http.serving import Json, event, post
from tests.process import CollectorProcess

# As they stand in a URL.
VALUES = (
    *("", "%00", "a%00b", "%ff", "%ed%a0%80", "%c0%af", "%", "%zz", "%1b%5b31m", "%0d%0aX:%20y", "%e2%80%ae", "+"),
    *(
        "*",
        "*" * 900,
        "*a" * 450,
        "%25",
        "_",
        "%5c",
        "'",
        "%22",
        "%5b%5d",
        "%7b%7d",
        "%24",
        "%28%3f",
        "../..",
        "%2f",
    ),
    *("-1", "0", "1e9", "0x1", "NaN", "9" * 15, "9" * 16, "9" * 400, "9007199254740993", "%d9%a1", "1" * 1001),
    *("0001-01-01T00:00:00%2b14:00", "9999-12-31T23:59:59-14:00", "2024-02-30T00:00:00Z", "99999999w", "0s", "1d"),
    *(
        "true",
        "null",
        "%3b--",
        "x=y",
        "a;b",
        "%c3%a9",
        "%f0%9f%98%80",
        "%ef%bb%bf",
        "source,action",
        "source,source",
    ),
)
HEADERS = ("Accept", "If-None-Match", "Last-Event-ID", "Authorization", "X-Request-Id", "Traceparent", "Cookie")
RAW = (b"\xff\xfe", b"*", b'"', b"," * 2000, b"W/" * 2000, b"text/csv;q=" + b"9" * 400, b"00-" + b"0" * 999, b"\t")
OF_DATA = (
    "data.a",
    "data.0",
    "data.-1",
    "data.a.b",
    "data.%00",
    "data.%5c",
    "data." + "9" * 400,
    "data..",
    "data.",
)
LARGEST = 2000  # bytes of a refusal
MODES = (b"application/json", b"application/x-ndjson", b"text/csv")
# What comes of a value that a route does not take, or takes; 403: it asks for a token that nobody has here.
FINE = {200, 304, 400, 403, 404, 406}


@pytest.fixture(scope="module")
def taken(client: httpx.Client) -> Iterator[dict[str, list[str]]]:
    """The parameters of every reading route, as they are documented."""
    for data in ({"a": 1, "b": ["x", {"c": None}]}, ["x"], "text", None):
        post(client, event("parameters", data=data))
    paths: Json = client.get("/openapi.json").json()["paths"]
    found = {path: [one["name"] for one in told["get"].get("parameters", []) if one["in"] == "query"]
             for path, told in paths.items() if "get" in told}  # fmt: skip
    assert {"/events", "/events/stats", "/events/stream", "/sources"} <= {path for path in found if found[path]}
    yield found
    while _lines:
        _lines.popitem()[1].close()


def asked(taken: dict[str, list[str]]) -> Iterator[tuple[str, bytes]]:
    for path, names in taken.items():
        for value in VALUES:
            if "{" in path:
                yield path, f"{path.partition('{')[0]}{value}".encode()
            for name in names:
                # Together with a limit, so that what is taken for a filter does not read the log again and again.
                short = "" if name == "limit" or "limit" not in names else "&limit=1"
                yield path, f"{path}?{name}={value}{short}".encode()
        for name in OF_DATA if "q" in names else ():
            yield path, f"{path}?{name}=1&limit=1".encode() if "limit" in names else f"{path}?{name}=1".encode()


def test_no_value_of_a_parameter_does_harm(collector: CollectorProcess, taken: dict[str, list[str]]) -> None:
    before = len(collector.output())
    wrong = []
    for place, (path, target) in enumerate(asked(taken)):
        said = ask(collector.port, path, request_of("GET", target, [(b"Accept", MODES[place % len(MODES)])], b""))
        if said.status not in FINE or (said.status >= 400 and len(said.body) > LARGEST):
            wrong.append((target[:200], said.status, said.body[:200]))
    assert wrong == []
    assert '"bug"' not in collector.output()[before:]


def test_no_value_of_a_header_does_harm(collector: CollectorProcess, taken: dict[str, list[str]]) -> None:
    before = len(collector.output())
    wrong = []
    for path in taken:
        for name in HEADERS:
            for value in RAW:
                target = path.replace("{seq}", "1").encode()
                said = ask(collector.port, path, request_of("GET", target, [(name.encode(), value)], b""))
                if said.status not in FINE or (said.status >= 400 and len(said.body) > LARGEST):
                    wrong.append((target, name, value[:50], said.status, said.body[:200]))
    assert wrong == []
    assert '"bug"' not in collector.output()[before:]


_lines: dict[int, Line] = {}


def ask(port: int, path: str, said: bytes) -> Said:
    """The answer; a stream's has no end, and neither has a refusal of it to stay."""
    streams: Any = path == "/events/stream"
    line = _lines.pop(port, None) or Line(port)
    line.send(said)
    answer = line.answer(body=not streams)
    if streams or answer.closes:
        line.close()
    else:
        _lines[port] = line
    return answer
