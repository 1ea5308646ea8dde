"""POST /hooks/{name}: the statuses that senders decide by, on a collector that runs as its users run it."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.credentials import credential, lines
from tests.hooks.deliveries import SECRETS, Fixture, fixture, fixtures, signed
from tests.http.conftest import Settings
from tests.http.serving import client_of, event, kept, post, problem, running, wait_until
from tests.http.test_unavailable import answers
from tests.ports import LOOPBACK, free_port
from tests.process import CollectorProcess

MAX_BODY = 5 * 2**20
SIGNED_BY_OTHERS = "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcg=="
OLD = "the-secret-before-this-one"
HOOKS = {name: {"kind": name, "secrets": [secret]} for name, secret in SECRETS.items()}
HOOKS["github-2"] = {"kind": "github", "secrets": [SECRETS["github"], OLD]}


def hooks() -> Settings:
    return {"HOOKS": json.dumps(HOOKS)}


@pytest.fixture(scope="module")
def process(new_settings: Callable[[], Settings]) -> Iterator[CollectorProcess]:
    with running(new_settings() | hooks()) as process:
        yield process


@pytest.fixture(scope="module")
def client(process: CollectorProcess) -> Iterator[httpx.Client]:
    with client_of(process) as client:
        yield client


def deliver(client: httpx.Client, one: Fixture, *, to: str = "", secret: str | None = None) -> httpx.Response:
    headers = signed(one.sender, one.headers, one.body, secret, time.time())
    return client.post(f"/hooks/{to or one.sender}", content=one.body, headers=headers)


@pytest.mark.parametrize("one", fixtures(), ids=lambda one: f"{one.sender}-{one.name}")
def test_a_delivery_is_kept_once_however_often_it_comes(client: httpx.Client, one: Fixture) -> None:
    first = deliver(client, one)
    again = deliver(client, one)
    assert (first.status_code, again.status_code) in ((201, 200), (200, 200)), first.text
    for gives in one.gives:
        if not gives["id"].startswith("digest"):
            (stored,) = kept(client, one.sender, id=gives["id"])
            assert (stored["action"], stored["subject"]) == (gives["action"], gives["subject"])


def test_the_answer_is_the_receipt_of_any_write(client: httpx.Client) -> None:
    one = unlike(fixture("github", "push"), "x-github-delivery")
    answer = deliver(client, one)
    assert answer.status_code == 201
    stored = answer.json()
    assert answer.headers["location"] == f"/events/{stored['seq']}"
    assert client.get(answer.headers["location"]).json() == stored
    assert stored["data"] == json.loads(one.body)


def unlike(one: Fixture, header: str) -> Fixture:
    return one._replace(headers={**one.headers, header: f"test-{time.monotonic_ns()}"})


@pytest.mark.parametrize("name", ["alertmanager", "github"])
def test_a_delivery_that_came_before_is_200_even_where_it_has_changed(client: httpx.Client, name: str) -> None:
    one = fixture(name, {"alertmanager": "firing", "github": "push"}[name])
    deliver(client, one)
    document = {**json.loads(one.body), "receiver": "another", "ref": "refs/heads/other"}
    changed = one._replace(body=json.dumps(document).encode())
    answer = deliver(client, changed)
    assert answer.status_code == 200, answer.text
    assert len(kept(client, name, id=one.gives[0]["id"])) == 1


@pytest.mark.parametrize("sender", SECRETS)
def test_who_knows_no_secret_is_401_and_leaves_nothing(client: httpx.Client, sender: str) -> None:
    one = fixture(sender, "unknown")._replace(body=b'{"type": "forged"}')
    before = len(kept(client, sender))
    problem(deliver(client, one, secret=SIGNED_BY_OTHERS), 401)
    answer = client.post(f"/hooks/{sender}", content=one.body, headers=one.headers)
    assert problem(answer, 401)["type"] == "urn:problem:bad-signature"
    assert len(kept(client, sender)) == before


def test_a_secret_is_good_for_its_own_hook_alone(client: httpx.Client) -> None:
    one = unlike(fixture("github", "push"), "x-github-delivery")
    problem(deliver(client, one, to="github", secret=OLD), 401)
    assert deliver(client, one, to="github-2", secret=OLD).status_code == 201
    assert deliver(client, one, to="github-2").status_code == 200
    assert [one_["source"] for one_ in kept(client, "github*", id=one.headers["x-github-delivery"])] == [
        "github-2"
    ]


def test_a_replay_is_401_six_minutes_later(client: httpx.Client) -> None:
    one = fixture("standard", "contact-created")
    headers = signed("standard", one.headers, one.body, now=time.time() - 360)
    problem(client.post("/hooks/standard", content=one.body, headers=headers), 401)


def test_a_hook_that_there_is_not_is_404_and_reading_one_405(client: httpx.Client) -> None:
    problem(client.post("/hooks/nobody", content=b"{}"), 404)
    problem(client.get("/hooks/github"), 405)


ODD = {
    "no JSON": b"\xff no JSON",
    "NUL": b'{"a":"\\u0000"}',
    "nothing": b"",
    "large": b'{"a":"' + b"x" * (MAX_BODY - 10) + b'"}',
    "deep": b"[" * 100_000,
    "many alerts": json.dumps({"alerts": [{"labels": {"alertname": "A"}, "n": n} for n in range(1500)]}).encode(),
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
@pytest.mark.parametrize("sender", SECRETS)
def test_whatever_is_signed_is_kept(client: httpx.Client, sender: str, body: bytes) -> None:
    headers = signed(sender, {"webhook-id": f"odd-{hash(body)}"}, body, now=time.time())
    answer = client.post(f"/hooks/{sender}", content=body, headers=headers)
    assert answer.status_code == 201, answer.text
    assert client.post(f"/hooks/{sender}", content=body, headers=headers).status_code == 200


def test_what_is_larger_than_a_body_may_be_is_413_before_anybody_looks_who_signed_it(client: httpx.Client) -> None:
    problem(client.post("/hooks/github", content=b"x" * (MAX_BODY + 1)), 413)


def test_what_is_packed_is_not_what_was_signed(client: httpx.Client) -> None:
    problem(client.post("/hooks/github", content=b"x", headers={"Content-Encoding": "gzip"}), 400)


def test_no_secret_is_in_any_log_or_metric(process: CollectorProcess, client: httpx.Client) -> None:
    for sender in SECRETS:
        deliver(client, fixture(sender, "unknown"), secret=SIGNED_BY_OTHERS)
    said = json.dumps(process.logs()) + client.get("/metrics").text + client.get("/openapi.json").text
    assert 'route="POST /hooks/github"' in said.replace("\\", "")
    for secret in (*SECRETS.values(), OLD):
        assert secret not in said


def test_overload_is_503_and_never_429(new_settings: Callable[[], Settings]) -> None:
    few = {"MAX_BATCH_SIZE": "1", "MAX_WAITING_EVENTS": "1"}
    with running(new_settings() | hooks() | few) as process, client_of(process) as client:
        answer = deliver(client, fixture("alertmanager", "several"))
        assert problem(answer, 503)["outcome"] == "not_kept"
        assert deliver(client, fixture("alertmanager", "firing")).status_code == 201


def test_a_database_that_is_away_is_503_after_the_signature() -> None:
    settings = {"POSTGRES_CONNECTION_STRING": f"postgresql://postgres@{LOOPBACK}:{free_port()}/postgres"}
    with CollectorProcess(env=settings | hooks()) as process, client_of(process) as client:
        wait_until(lambda: answers(client), "an answer")
        one = fixture("github", "push")
        assert problem(deliver(client, one), 503)["outcome"] == "not_kept"
        problem(deliver(client, one, secret="another-secret-altogether"), 401)


def test_an_export_of_what_hooks_told_can_be_sent_again(client: httpx.Client) -> None:
    deliver(client, fixture("argocd", "deployed"))
    lines = client.get("/events", params={"source": "argocd"}, headers={"Accept": "application/x-ndjson"}).content
    again = client.post("/events", content=lines, headers={"Content-Type": "application/x-ndjson"})
    receipt: dict[str, Any] = again.json()
    assert again.status_code == 200
    assert (receipt["rejected"], receipt["accepted"]) == (0, 0)
    assert receipt["duplicates"] == lines.count(b"\n")


def test_where_tokens_are_asked_for_the_signature_is_enough(new_settings: Callable[[], Settings]) -> None:
    token = credential("nothing-of-this")
    env = new_settings() | hooks() | {"TOKENS": lines(token)}
    with running(env) as process, client_of(process) as client:
        for one in (fixture(sender, "unknown") for sender in SECRETS):
            assert deliver(client, one).status_code == 201
            assert (
                problem(deliver(client, one, secret=SIGNED_BY_OTHERS), 401)["type"] == "urn:problem:bad-signature"
            )
        assert problem(post(client, event("s")), 401)["type"] == "urn:problem:unauthorized"
        bearer = {"Authorization": token.bearer}
        problem(client.post("/hooks/alertmanager", content=b"{}", headers=bearer), 401)


def test_without_hooks_there_are_none(new_settings: Callable[[], Settings]) -> None:
    with running(new_settings()) as process, client_of(process) as client:
        problem(client.post("/hooks/github", content=b"{}"), 404)
        assert post(client, event("s")).status_code == 201
