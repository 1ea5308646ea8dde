"""Cases: requests made of a grammar and of the corpus, then spoilt; each is chance's alone, so a seed repeats it."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from urllib.parse import quote, quote_from_bytes

from tests.hooks.deliveries import SECRETS, fixtures, signed
from tests.hostile.corpus import families
from tests.hostile.line import request_of
from tests.hostile.ways import WAYS

JSON, NDJSON = b"application/json", b"application/x-ndjson"
CLOUD, CLOUDS = b"application/cloudevents+json", b"application/cloudevents-batch+json"
SMALL = 64 * 1024  # bytes of a body of the corpus that is taken: what is larger is told by the corpus itself
_ODD = ["", " ", "*", "%", "a", "é", "\0", "\x1b[31m", "\u202e", "\ud800", "😀", "'", '"', "\\", "{", "..", "/", "�"]
_JSONS = [*("null true false 0 -0 1.5 1e999 1e-999 9223372036854775808 -9223372036854775809 NaN".split()), "[]", "{}"]
_FIELDS = ["source", "action", "id", "subject", "time", "data", "seq", "received_at", "type", "specversion", "colour"]
_TIMES = ["2024-05-01T12:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2024-05-01", "15m", "9w"]
_PARAMETERS = ["source", "id", "action", "subject", "since", "until", "q", "data.a", "data.a.0", "order", "limit"]
_MORE = ["cursor", "by", "step", "verbose", "data.", "data..", "x", ""]
_PATHS = ["/events", "/events", "/events/stats", "/events/stream", "/sources", "/events/1", "/healthz", "/readyz"]
_FILES = ["/", "/docs", "/openapi.json", "/docs/%2e%2e/x", "/metrics", "/nowhere", "/events/", "//events", "/hooks/x"]
_HEADERS = ["Accept", "If-None-Match", "Last-Event-ID", "Prefer", "Idempotency-Key", "X-Request-Id", "Traceparent"]
_CODING = ["Content-Encoding", "Authorization", "Expect", "Range", "Cookie", "ce-id", "ce-source", "Collector-Position"]
_VALUES = ["*/*", "text/csv", "application/x-ndjson", "gzip", "zstd", "identity", "handling=strict", "Bearer x", "*"]
_MARKS = [b"\0", b"\xff", b"\n", b"\r\n", b'"', b"{", b"[", b"]", b",", b":", b"\\", b"\\u0000", b"\\ud800", b"e999"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """What is said. `path`: without its query. `raw`: it may be no HTTP, and ends its connection."""

    said: bytes
    method: str = ""
    path: str = ""
    raw: bool = False


def make(r: Random) -> Case:
    """A case."""
    (kind,) = r.choices([_posting, _hook, _reading, _wire], [50, 15, 30, 5])
    return kind(r)


def _posting(r: Random) -> Case:
    media, body = r.choice([_corpus_body, _grammar_body])(r)
    headers = [(b"Content-Type", media), *_headers(r)]
    return _case("POST", b"/events", headers, _spoilt(r, body))


def _grammar_body(r: Random) -> tuple[bytes, bytes]:
    media = r.choice([JSON, JSON, NDJSON, CLOUD, CLOUDS])
    many = [_event(r, cloud=media in (CLOUD, CLOUDS)) for _ in range(r.choice([1, 1, 2, 3, 20]))]
    if media == NDJSON:
        return media, b"\n".join(many)
    if media == CLOUDS or (media == JSON and len(many) > 1):
        return media, b"[%b]" % b",".join(many)
    return media, many[0]


def _corpus_body(r: Random) -> tuple[bytes, bytes]:
    return r.choice(_bodies())


def _event(r: Random, *, cloud: bool) -> bytes:
    fields = {"source": f'"{_word(r)}"', "type" if cloud else "action": '"a"'}
    if cloud:
        fields |= {"specversion": '"1.0"', "id": f'"{r.getrandbits(40)}"'}
    for _ in range(r.choice([0, 0, 1, 2, 3])):
        fields[r.choice(_FIELDS)] = _value(r, 3)
    text = ",".join(f'"{name}":{value}' for name, value in fields.items())
    return f"{{{text}}}".encode("utf-8", "surrogatepass")


def _value(r: Random, depth: int) -> str:
    kind = r.randrange(6 if depth else 4)
    if kind == 0:
        return r.choice(_JSONS)
    if kind == 1:
        return json.dumps(_word(r) + r.choice(_ODD), ensure_ascii=r.random() < 0.5)
    if kind == 2:
        return json.dumps(r.choice(_TIMES))
    if kind == 3:
        return r.choice(["1", "9" * r.choice([1, 19, 20, 400]), "-1.25e3", f'"{"x" * r.choice([199, 200, 201])}"'])
    inner = [_value(r, depth - 1) for _ in range(r.choice([0, 1, 3]))]
    if kind == 4:
        return f"[{','.join(inner)}]"
    return "{" + ",".join(f"{json.dumps(_word(r) + r.choice(_ODD))}:{one}" for one in inner) + "}"


def _word(r: Random) -> str:
    return r.choice(["fuzz", "team/a", "x" * 40, "ü", str(r.randrange(100))])


def _hook(r: Random) -> Case:
    one = r.choice(_fixtures())
    body = _spoilt(r, r.choice([one.body, r.choice(_bodies())[1], _event(r, cloud=True)]))
    headers = dict(one.headers) | {"webhook-id": str(r.getrandbits(40))}
    if r.random() < 0.9:
        headers = signed(one.sender, headers, body, SECRETS[one.sender], time.time())
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    return _case("POST", f"/hooks/{one.sender}".encode(), [*lines, *_headers(r)], body)


def _reading(r: Random) -> Case:
    path = r.choice([*_PATHS, *_PATHS, *_FILES])
    names = [r.choice(_PARAMETERS + _MORE) for _ in range(r.choice([0, 1, 1, 2, 5]))]
    query = "&".join(f"{quote(name)}={_parameter(r)}" for name in names)
    target = f"{path}?{query}" if query else path
    method = r.choice(["GET"] * 12 + ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "POST"])
    return _case(method, target.encode(), _headers(r), b"")


def _parameter(r: Random) -> str:
    kind = r.randrange(5)
    if kind == 0:
        return quote(r.choice(_ODD).encode("utf-8", "surrogatepass"))
    if kind == 1:
        return quote_from_bytes(r.randbytes(r.choice([1, 4, 400])))
    if kind == 2:
        return quote(r.choice(_TIMES))
    if kind == 3:
        return r.choice(["1", "0", "-1", "asc", "desc", "source,action", "5m", "0s", "9007199254740992", "1" * 5000])
    return r.choice(["*", "fuzz", "team%2f*", "*a" * r.choice([1, 400]), "%", "%zz", "x" * r.choice([1, 1000, 1001])])


def _headers(r: Random) -> list[tuple[bytes, bytes]]:
    found = []
    for _ in range(r.choice([0, 0, 0, 1, 2])):
        value = r.choice([*_VALUES, r.choice(_ODD), "x" * r.choice([64, 200, 17000])]).encode("utf-8", "surrogatepass")
        # What no header may have goes by the wire's own cases.
        found.append((r.choice(_HEADERS + _CODING).encode(), value.translate(None, b"\0\r\n\x1b").strip()))
    return found


def _wire(r: Random) -> Case:
    return Case(said=_spoilt(r, r.choice(_wires())), raw=True)


def _case(method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Case:
    path = target.partition(b"?")[0].decode()
    return Case(said=request_of(method, target, headers, body), method=method, path=path)


def _spoilt(r: Random, text: bytes) -> bytes:
    for _ in range(r.choice([0, 0, 1, 1, 2, 5])):
        text = r.choice(_SPOILS)(r, text, r.randrange(len(text) + 1))
    return text


def _cut(r: Random, text: bytes, at: int) -> bytes:
    return text[:at] + text[at + r.choice([1, 2, 8, len(text)]) :]


def _put(r: Random, text: bytes, at: int) -> bytes:
    return text[:at] + r.choice(_MARKS) + text[at:]


def _flip(r: Random, text: bytes, at: int) -> bytes:
    return text[:at] + bytes([r.randrange(256)]) + text[at + 1 :]


def _again(r: Random, text: bytes, at: int) -> bytes:
    return text[:at] + text[at : at + r.choice([1, 4, 64])] * r.choice([2, 3, 50]) + text[at:]


def _joined(r: Random, text: bytes, at: int) -> bytes:
    other = r.choice(_bodies())[1]
    return text[:at] + other[r.randrange(len(other) + 1) :]


_SPOILS: Sequence[Callable[[Random, bytes, int], bytes]] = (_cut, _put, _flip, _again, _joined)


@cache
def _bodies() -> list[tuple[bytes, bytes]]:
    found = []
    for family in families():
        made = [WAYS[way].make(case, "fuzz") for case in family.events for way in ("single", "batch", "lines")]
        found += [(_media(sent.headers["Content-Type"]), sent.body) for sent in made if sent is not None]
        found += [(dict(one.headers).get(b"Content-Type", JSON), one.body) for one in family.requests if one.body]
    return [(media, body) for media, body in found if len(body) <= SMALL]


def _media(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


@cache
def _wires() -> list[bytes]:
    found = [wire.send for family in families() for wire in family.wires]
    return [said for said in found if len(said) <= SMALL]


_fixtures = cache(fixtures)
