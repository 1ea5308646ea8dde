"""Probes, metrics, pages and logs of a collector that is well."""

import asyncio
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.databases import execute
from tests.http.conftest import Settings
from tests.http.serving import Json, client_of, event, post, problem, running, wait_until
from tests.process import CollectorProcess

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
REFERENCE = re.compile(
    r"""(?:url\(|@import|\bfrom|\bimport\(?|sourceMappingURL=)\s*["']?((?:https?:)?//[^"')\s]+)"""
)


@pytest.fixture
def own(settings: Settings) -> Iterator[CollectorProcess]:
    """A collector of the test's own."""
    with running(settings | {"METRIC_SOURCES": "2"}) as process:
        yield process


@pytest.fixture
def own_client(own: CollectorProcess) -> Iterator[httpx.Client]:
    with client_of(own) as client:
        yield client


def samples(client: httpx.Client) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/healthz", {"loops"}),
        ("/readyz", {"database", "schema", "check", "draining"}),
        ("/ready", {"database", "schema", "check", "draining"}),
    ],
)
def test_probes_say_yes_and_verbosely_why(client: httpx.Client, path: str, parts: set[str]) -> None:
    brief = client.get(path)
    assert (brief.status_code, brief.json()) == (200, {"status": "ok"})
    assert brief.headers["cache-control"] == "no-store"
    verbose = client.get(path, params={"verbose": ""}).json()
    assert verbose["status"] == "ok"
    assert parts == verbose["parts"].keys()
    assert all(part["ok"] for part in verbose["parts"].values())


def test_metrics_have_the_names_that_were_promised(own_client: httpx.Client) -> None:
    post(own_client, event("a", id="1"))
    post(own_client, event("a", id="1"))
    post(own_client, [event("b"), event("c"), event("d"), event(""), event("_other")])
    found = samples(own_client)
    counted = {source: value(found, "collector_events_total", source=source) for source in "abcd"}
    assert counted == {"a": 1, "b": 1, "c": 0, "d": 0}
    assert value(found, "collector_events_total", source="_other") == 3
    assert value(found, "collector_label_overflow_total") == 3
    assert value(found, "collector_duplicates_total") == 1
    assert value(found, "collector_rejected_total") == 1
    assert value(found, "collector_request_duration_seconds_count", route="POST /events") == 3
    assert value(found, "process_resident_memory_bytes") > 2**20
    assert value(found, "collector_ready") == 1
    assert "# TYPE collector_errors_total counter" in own_client.get("/metrics").text


def test_no_path_that_a_client_makes_up_is_a_label(own_client: httpx.Client) -> None:
    for n in range(5):
        own_client.get(f"/made-up-{n}")
        own_client.get(f"/events/{n}")
    routes = {dict(labels).get("route") for _, labels in samples(own_client)}
    assert {route for route in routes if route} == {"_other", "GET /events/{seq}", "GET /readyz"}


class References(HTMLParser):
    """What a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        loads = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
        named = dict(attrs)
        if tag in loads:
            self.found.append(named.get(loads[tag]) or "")
            self.inline += tag == "script" and "src" not in named


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_a_page_loads_nothing_from_another_host(client: httpx.Client, page: str) -> None:
    answer = client.get(page, follow_redirects=True)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    own = {urlsplit(urljoin(str(answer.url), reference)).hostname for reference in references(answer.text)}
    assert own <= {answer.url.host, None}


def references(page: str) -> list[str]:
    parser = References()
    parser.feed(page)
    assert not parser.inline, "a script in the page is forbidden by its policy"
    return [reference for reference in parser.found if not reference.startswith("data:")]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_the_files_of_a_page_load_nothing_from_another_host(client: httpx.Client, path: str) -> None:
    page = client.get(path)
    files = [urljoin(str(page.url), reference) for reference in references(page.text)]
    files = [file for file in files if not file.endswith(".svg")]
    assert {urlsplit(file).path.rpartition(".")[2] for file in files} == {"css", "js"}
    for file in files:
        answer = client.get(file)
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] in ("text/css", "text/javascript")
        assert REFERENCE.findall(answer.text) == []


def test_the_api_describes_itself(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {"/events", "/events/{seq}", "/events/stream", "/events/stats", "/sources"} <= document["paths"].keys()


def test_the_log_is_one_object_a_line(own: CollectorProcess) -> None:
    own.terminate()
    wait_until(lambda: own.logs()[-1]["event"] == "left", "the end")
    lines = [json.loads(line) for line in own.output().splitlines()]
    events = [line["event"] for line in lines]
    for name in ("listening", "ready", "draining", "left"):
        assert events.count(name) == 1, events
    assert events.index("listening") < events.index("ready") < events.index("draining") < events.index("left")
    assert all({"timestamp", "level"} <= line.keys() for line in lines)
    listening = lines[0]
    assert listening["url"] == own.url
    assert listening["settings"]["metric_sources"] == "2"


def test_a_password_is_in_no_line(own: CollectorProcess) -> None:
    assert "postgresql://" not in own.output()


def test_nothing_is_logged_for_what_clients_do_wrong(own: CollectorProcess, own_client: httpx.Client) -> None:
    before = len(own.logs())
    post(own_client, event("evil", data="\x1b[31m\r\nforged"))
    post(own_client, {})
    post(own_client, event("\x1b[31mforged"))
    own_client.get("/forged%0aline")
    problem(own_client.get("/events?forged=1"), 400)
    own.terminate()
    wait_until(lambda: own.logs()[-1]["event"] == "left", "the end")
    assert [line["event"] for line in own.logs()[before:]] == ["draining", "left"]
    assert "forged" not in own.output()


@pytest.mark.parametrize(
    ("change", "detail"),
    [("revision = 0", "revision 0"), ("min_code = 1000", "the oldest admitted is 1000")],
)
def test_a_schema_that_does_not_fit_is_not_ready(
    own: CollectorProcess, own_client: httpx.Client, settings: Settings, change: str, detail: str
) -> None:
    alter(settings, f"UPDATE schema_version SET {change}")
    wait_until(lambda: own_client.get("/readyz").status_code == 503, "not ready")
    answer = own_client.get("/readyz")
    assert answer.headers["retry-after"]
    schema: Json = answer.json()["parts"]["schema"]
    assert not schema["ok"]
    assert own_client.get("/healthz").status_code == 200
    alter(settings, "UPDATE schema_version SET revision = 1, min_code = 1")
    wait_until(lambda: own_client.get("/readyz").status_code == 200, "ready")


def test_a_newer_schema_that_admits_this_code_stays_ready(
    own: CollectorProcess, own_client: httpx.Client, settings: Settings
) -> None:
    alter(settings, "UPDATE schema_version SET revision = 1000")
    wait_until(lambda: "1000" in own_client.get("/readyz?verbose").text, "the new revision")
    assert own_client.get("/readyz").status_code == 200
    assert post(own_client, event("a")).status_code == 201


def alter(settings: Settings, statement: str) -> None:
    """Run a statement on the collector's database."""
    if url := settings.get("POSTGRES_CONNECTION_STRING"):
        asyncio.run(execute(url, statement))
    else:
        with closing(sqlite3.connect(settings["SQLITE_PATH"])) as connection, connection:
            connection.execute(statement)
