"""Headers: what every answer says to browsers and caches, whoever makes it, and what none says."""

import asyncio
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.headers import of_page
from tests.browser.visiting import BROWSERS
from tests.child import clean_environment
from tests.credentials import credential, lines
from tests.faults.wire import Wire, request
from tests.http.conftest import sqlite_at
from tests.http.serving import DEADLINE, client_of, running
from tests.http.test_access import EVERYTHING, ROUTES, bearing
from tests.ports import LOOPBACK, free_port
from tests.process import CollectorProcess

NEVER = {"server", "x-powered-by", "via", "set-cookie"}
# A shared cache keeps the answer to a request with a token if one of these is there, else not (RFC 9111, 3.5).
SHARED = ("public", "must-revalidate", "s-maxage", "max-age")
HEADLESS = (
    *("--headless", "--no-sandbox", "--disable-gpu"),
    *("--enable-logging=stderr", "--dump-dom", "--virtual-time-budget=20000"),
)

SLOW = credential("*", rate=0.001, burst=1)
GET = request("GET", "/events")
POST = b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
ONCE = b'{"source":"once","action":"deployed","id":"1"}'

# What the routes alone do not come to: the status, and what is sent for it.
ODD: dict[str, tuple[int, bytes]] = {
    "not modified": (304, bearing(EVERYTHING.bearer, request("GET", "/events", if_none_match="*"))),
    "committed before": (200, bearing(EVERYTHING.bearer, request("POST", "/events", ONCE))),
    "in conflict": (409, bearing(EVERYTHING.bearer, request("POST", "/events", ONCE[:-1] + b',"data":1}'))),
    "no token": (401, GET),
    "too fast": (429, bearing(SLOW.bearer, GET)),
    "not acceptable": (406, bearing(EVERYTHING.bearer, request("GET", "/events", accept="image/png"))),
    "another type": (415, bearing(EVERYTHING.bearer, request("POST", "/events", b"a", content_type="text/plain"))),
    "no event": (422, bearing(EVERYTHING.bearer, request("POST", "/events", b"[{}]"))),
    "headers too large": (431, request("GET", "/healthz", x_a="a" * 17_000)),
    "two hosts": (400, b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "a preflight": (405, bearing(EVERYTHING.bearer, request("OPTIONS", "/events", origin="http://a"))),
    "another origin": (200, request("GET", "/healthz", origin="http://a")),
    "no HTTP": (400, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"),
    "another version": (400, b"GET / HTTP/9.9\r\nHost: a\r\n\r\n"),
    "no length": (400, b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: one\r\n\r\n"),
    "no chunk": (400, POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    """A collector that asks for tokens and has an event."""
    folder = tmp_path_factory.mktemp("guarded")
    with running(sqlite_at(folder) | {"TOKENS": lines(EVERYTHING, SLOW)}) as process:
        with client_of(process) as client:
            client.post("/events", content=ONCE, headers=EVERYTHING.headers | {"Content-Type": "application/json"})
            client.get("/events", headers=SLOW.headers)
        yield process


async def head(port: int, *parts: bytes) -> tuple[int, dict[str, str]]:
    """The status of an answer and its headers, of which none may be there twice."""
    wire = await Wire.open(port)
    try:
        async with asyncio.timeout(DEADLINE):
            for part in parts:
                await wire.send(part)
                await asyncio.sleep(0.02 if part is not parts[-1] else 0)
            text = (await wire.until(b"\r\n\r\n")).decode("latin-1")
    finally:
        wire.abort()
    first, *lines = text.removesuffix("\r\n\r\n").split("\r\n")
    pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    assert not [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
    return int(first.split()[1]), dict(pairs)


def agrees(headers: Mapping[str, str], *, reads: bool) -> None:
    """Every answer is like this."""
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["collector-instance"]
    assert not headers.keys() & NEVER
    assert not [name for name in headers if name.startswith("access-control-")]
    caching = headers.get("cache-control", "")
    assert not any(word in caching for word in SHARED)
    if reads:
        assert caching in ("no-cache", "no-store")


@pytest.mark.parametrize("given", [None, EVERYTHING.bearer], ids=["no token", "a token"])
@pytest.mark.parametrize("name", ROUTES)
async def test_every_route_says_it_on_each_way(guarded: CollectorProcess, name: str, given: str | None) -> None:
    sent = bearing(given, ROUTES[name].make(1))
    cut = len(sent) // 2
    for parts in ((sent,), (sent[:cut], sent[cut:]), (sent,)):
        status, headers = await head(guarded.port, *parts)
        assert (status == 401) is (given is None and ROUTES[name].needs is not None)
        agrees(headers, reads=sent.startswith(b"GET"))


@pytest.mark.parametrize("name", ODD)
async def test_every_kind_of_answer_says_it(guarded: CollectorProcess, name: str) -> None:
    expected, sent = ODD[name]
    status, headers = await head(guarded.port, sent)
    assert status == expected
    agrees(headers, reads=sent.startswith(b"GET") and "x-request-id" in headers)


@pytest.mark.parametrize("command", ["serve", "worker"])
async def test_a_process_whose_database_is_away_says_it(command: str) -> None:
    nowhere = {"POSTGRES_CONNECTION_STRING": f"postgresql://nobody@{LOOPBACK}:{free_port()}/nothing"}
    paths = {"/healthz": 200, "/readyz?verbose": 503, "/metrics": 200, "/nothing": 404}
    if command == "serve":
        paths |= {"/events": 503, "/events/1": 503, "/sources": 503, "/events/stats": 503, "/events/stream": 503}
    with CollectorProcess(env=nowhere, command=command) as process:
        await process.wait_until_healthy(60)
        for path, expected in paths.items():
            status, headers = await head(process.port, request("GET", path))
            assert (path, status) == (path, expected)
            agrees(headers, reads=True)
        status, headers = await head(process.port, request("POST", "/events", ONCE))
        assert status == (503 if command == "serve" else 404)
        agrees(headers, reads=False)


async def test_the_answer_of_a_bug_says_it(tmp_path: Path) -> None:
    with CollectorProcess(env=sqlite_at(tmp_path), module="tests.secrets.buggy") as process:
        await process.wait_until_ready(60)
        status, headers = await head(process.port, request("GET", "/sources"))
        assert status == 500
        agrees(headers, reads=True)


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/docs", "/docs/start.js", "/docs/swagger-ui.css"])
async def test_a_page_and_its_files_load_from_here_alone(guarded: CollectorProcess, path: str) -> None:
    with client_of(guarded) as client:
        answer = client.get(path, follow_redirects=True)
    assert answer.status_code == 200
    assert {"referrer-policy": "no-referrer", "cache-control": "no-cache"}.items() <= dict(answer.headers).items()
    said = answer.headers["content-security-policy"]
    assert said == of_page(makes_markup=path.startswith("/docs"))["Content-Security-Policy"]
    policy = dict(directive.split(" ", 1) for directive in said.split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy.pop("require-trusted-types-for", None) == (None if path.startswith("/docs") else "'script'")
    assert {word for value in policy.values() for word in value.split()} == {"'none'", "'self'", "data:"}


async def test_what_the_timeline_names_may_be_kept_for_good(guarded: CollectorProcess) -> None:
    with client_of(guarded) as client:
        named = re.findall(r'="(page/[^"]+)"', client.get("/").text)
        assert len(named) > 5
        for path in named:
            _, digest, name = path.split("/", 2)
            assert digest.startswith("v-")
            kinds = (path, f"page/{name}", f"page/v-0/{name}")
            answer, plain, others = (client.get(f"/{one}") for one in kinds)
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.content == plain.content == others.content
            assert plain.headers["cache-control"] == others.headers["cache-control"] == "no-cache"
        assert client.get(f"/page/{digest}/nothing.js").status_code == 404


def test_a_browser_shows_the_docs_under_the_policy(guarded: CollectorProcess, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on PATH")
    shown = subprocess.run(
        [browser, *HEADLESS, f"--user-data-dir={tmp_path}", f"{guarded.url}/docs"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert "POST" in shown.stdout
    assert 'class="opblock' in shown.stdout
    assert [line for line in shown.stderr.splitlines() if "CONSOLE" in line or "Content Security" in line] == []
