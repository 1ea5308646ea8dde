"""A collector whose database is away: healthy, not ready, and 503 with a time to come back."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.child import clean_environment
from tests.http.conftest import NewPostgres
from tests.http.serving import client_of, event, post, problem, wait_until
from tests.ports import LOOPBACK, free_port
from tests.process import CollectorProcess

READY_WITHIN = 2.0  # seconds after a migration
ROOT = Path(__file__).parents[2]
READS = ("/events", "/events/1", "/sources", "/events/stats", "/events/stream")
BURST = 300  # requests


@pytest.fixture(scope="module", params=["unmigrated", "unreachable"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a PostgreSQL that cannot be used."""
    if request.param == "unreachable":
        return f"postgresql://postgres@{LOOPBACK}:{free_port()}/postgres"
    new_postgres: NewPostgres = request.getfixturevalue("new_postgres")
    return new_postgres()


@pytest.fixture(scope="module")
def process(url: str) -> Iterator[CollectorProcess]:
    with CollectorProcess(env={"POSTGRES_CONNECTION_STRING": url}) as process:
        yield process


@pytest.fixture(scope="module")
def client(process: CollectorProcess) -> Iterator[httpx.Client]:
    with client_of(process) as client:
        wait_until(lambda: answers(client), "an answer")
        yield client


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_it_is_healthy_and_not_ready(client: httpx.Client) -> None:
    for path in ("/readyz", "/ready"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert problem(answer, 503)["retryable"]
        assert not all(part["ok"] for part in answer.json()["parts"].values())
    assert client.get("/healthz").status_code == 200
    assert "\ncollector_ready 0.0\n" in client.get("/metrics").text


@pytest.mark.parametrize("body", [event("s", id="1"), [event("s"), event("")]], ids=["one", "batch"])
@pytest.mark.parametrize("headers", [{}, {"Prefer": "handling=strict"}], ids=["plain", "strict"])
def test_a_write_is_503_and_not_kept(client: httpx.Client, body: object, headers: dict[str, str]) -> None:
    answer = post(client, body, **headers)
    if isinstance(body, list) and headers:
        problem(answer, 422)
        return
    document = problem(answer, 503)
    assert document["outcome"] == "not_kept"
    assert "location" not in answer.headers


@pytest.mark.parametrize("path", READS)
def test_a_read_is_503(client: httpx.Client, path: str) -> None:
    assert "outcome" not in problem(client.get(path), 503)


@pytest.mark.parametrize("media", ["application/x-ndjson", "text/csv"])
def test_an_export_is_503_before_it_begins(client: httpx.Client, media: str) -> None:
    problem(client.get("/events", headers={"Accept": media}), 503)


def test_what_a_client_does_wrong_is_told_all_the_same(client: httpx.Client) -> None:
    problem(post(client, event("")), 422)
    problem(client.get("/events?limit=0"), 400)
    assert client.get("/docs").status_code == 200
    assert client.get("/openapi.json").status_code == 200


def test_errors_are_counted_by_their_cause(client: httpx.Client) -> None:
    post(client, event("s"))
    assert 'collector_errors_total{cause="unavailable"}' in client.get("/metrics").text


def test_every_refused_request_is_in_exactly_one_line(client: httpx.Client, process: CollectorProcess) -> None:
    before = len(process.logs())
    sent = [f"burst-{n}" for n in range(BURST)]
    for request_id in sent:
        if int(request_id[6:]) % 3:
            problem(post(client, event("s"), X_Request_Id=request_id), 503)
        else:
            problem(client.get("/sources", headers={"X-Request-Id": request_id}), 503)

    def logged() -> list[str]:
        lines = [line for line in process.logs()[before:] if line["event"] == "requests refused"]
        return [one for line in lines for one in line["request_ids"] if one.startswith("burst-")]

    wait_until(lambda: len(logged()) >= BURST, "the lines")
    assert sorted(logged()) == sorted(sent)
    lines = process.logs()[before:]
    assert len(lines) < BURST / 4
    assert all(line["cause"] and line["count"] == len(line["request_ids"]) for line in lines if "count" in line)


def test_it_is_ready_soon_after_the_migration(new_postgres: NewPostgres) -> None:
    settings = {"POSTGRES_CONNECTION_STRING": new_postgres()}
    with CollectorProcess(env=settings) as process, client_of(process) as client:
        wait_until(lambda: answers(client), "an answer")
        problem(post(client, event("s", id="1")), 503)
        migrate = [sys.executable, "-m", "app", "migrate"]
        subprocess.run(migrate, cwd=ROOT, env=clean_environment() | settings, capture_output=True, check=True)
        migrated = time.monotonic()
        wait_until(lambda: client.get("/readyz").status_code == 200, "ready")
        assert time.monotonic() - migrated < READY_WITHIN
        assert post(client, event("s", id="1")).status_code == 201
        assert len(client.get("/events").json()) == 1
