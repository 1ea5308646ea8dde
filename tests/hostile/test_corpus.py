"""The corpus, every way in: each answer is the expected one, what is refused is not kept, nothing breaks."""

import json
import secrets
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.hooks.deliveries import signed
from tests.hostile.corpus import Expected, Family, OddDelivery, OddRequest, OddWire, families
from tests.hostile.line import ANSWER_WITHIN, Broken, Ended, Line, Said, request_of
from tests.hostile.ways import NEIGHBOUR, WAYS, Sent, expected
from tests.http.serving import Json, event, post, problem
from tests.process import CollectorProcess

FAMILIES = families()
LARGEST = 64 * 1024  # bytes of a refusal, whatever was refused
A_RESULT = 500  # bytes of what a receipt says of one event


def with_(part: str) -> pytest.MarkDecorator:
    found = [family for family in FAMILIES if getattr(family, part)]
    return pytest.mark.parametrize("family", found, ids=lambda family: family.name)


@pytest.fixture(autouse=True)
def sound(client: httpx.Client, collector: CollectorProcess) -> Iterator[None]:
    """Whatever came, good events are kept and read, and the log is a log."""
    before = len(collector.output())
    yield
    good = event(f"good-{secrets.token_hex(4)}")
    kept = post(client, good)
    assert kept.status_code == 201, kept.text
    assert client.get(kept.headers["location"]).json() == kept.json()
    for line in collector.output()[before:].splitlines():
        entry = json.loads(line)
        assert line.isprintable(), line
        assert entry["level"] in ("debug", "info", "warning"), line


@pytest.mark.parametrize("way", WAYS)
@with_("events")
def test_an_odd_event_is_kept_or_refused_alone(client: httpx.Client, family: Family, way: str) -> None:
    wrong: dict[str, object] = {}
    for case in family.events:
        source = f"{family.name}-{secrets.token_hex(4)}"
        wanted, sent = expected(case, way), WAYS[way].make(case, source)
        if wanted is None or sent is None:
            continue
        answer = client.post(sent.path, content=sent.body, headers=dict(sent.headers))
        wrong |= complaint(case.name, sent, wanted, answer)
        rows = client.get("/events", params={"source": source, "limit": 9}).json()
        good = sum(row["action"] == NEIGHBOUR for row in rows)
        if good != neighbours(sent, answer) or (wanted.status != 201 and len(rows) > good):
            wrong[f"{case.name}, kept"] = rows
    assert not wrong


def neighbours(sent: Sent, answer: httpx.Response) -> int:
    """How many good events there are to be."""
    whole = sent.place is None or answer.status_code not in (200, 201)
    return 0 if whole else 2 if sent.place == 1 else 1


def complaint(name: str, sent: Sent, wanted: Expected, answer: httpx.Response) -> dict[str, object]:
    """What is wrong with an answer."""
    try:
        if sent.place is None:
            as_expected(answer, wanted)
        else:
            in_a_receipt(answer, wanted, sent.place)
    except (AssertionError, ValueError, KeyError) as error:
        return {name: (answer.status_code, answer.text[:300], str(error)[:300])}
    return {}


def as_expected(answer: httpx.Response, wanted: Expected) -> None:
    assert answer.status_code == wanted.status
    if wanted.status < 400:
        as_left_out(answer, wanted)
        return
    document = problem(answer, wanted.status)
    assert len(answer.content) < LARGEST + A_RESULT * len(document.get("errors", ()))
    assert wanted.reason in document["detail"] + json.dumps(document.get("errors", ""), ensure_ascii=False)
    if wanted.pointer is not None:
        assert document["errors"][0]["pointer"] == wanted.pointer


def as_left_out(answer: httpx.Response, wanted: Expected) -> None:
    if answer.headers.get("content-type") != "application/json" or not isinstance(answer.json(), dict):
        return
    data = answer.json().get("data")
    found = data.get("left_out") if isinstance(data, dict) else None
    if wanted.left_out is None:
        assert found is None
    else:
        assert found is not None
        assert wanted.left_out in found["reason"]


def in_a_receipt(answer: httpx.Response, wanted: Expected, place: int) -> None:
    if wanted.status == 400 and answer.status_code == 400:
        as_expected(answer, wanted)  # it cannot be told where an event of the array ends
        return
    assert answer.status_code == (201 if wanted.status == 201 else 200)
    receipt: Json = answer.json()
    assert len(answer.content) < A_RESULT
    if wanted.status == 201:
        assert receipt["rejected"] == 0
        return
    (result,) = receipt["results"]
    assert (result["index"], result["status"], receipt["rejected"]) == (place, "rejected", 1)
    assert wanted.reason in result["error"]["detail"]
    if wanted.pointer is not None:
        assert result["error"]["pointer"] == wanted.pointer


@with_("requests")
def test_an_odd_request_gets_a_clear_answer(collector: CollectorProcess, family: Family) -> None:
    wrong: dict[str, object] = {}
    for case in family.requests:
        with Line(collector.port) as line:
            line.send(request_of(case.method, case.path, case.headers, case.body))
            wrong |= about(case, line.answer())
    assert not wrong


def about(case: OddRequest, said: Said) -> dict[str, object]:
    """What is wrong with the answer to a request."""
    answer = httpx.Response(said.status, headers=dict(said.headers), content=said.body)
    try:
        as_expected(answer, case.expected)
    except (AssertionError, ValueError, KeyError) as error:
        return {case.name: (said.status, said.body[:300], str(error)[:300])}
    return {}


@with_("deliveries")
def test_what_a_sender_has_signed_is_kept_in_some_way(client: httpx.Client, family: Family) -> None:
    wrong: dict[str, object] = {}
    for case in family.deliveries:
        answer = deliver(client, case)
        try:
            as_expected(answer, case.expected)
            if case.expected.status == 201:
                as_told(answer.json(), case)
        except (AssertionError, ValueError, KeyError) as error:
            wrong[case.name] = (answer.status_code, answer.text[:300], str(error)[:300])
    assert not wrong


def deliver(client: httpx.Client, case: OddDelivery) -> httpx.Response:
    id_ = {"webhook-id": secrets.token_hex(8)} if case.sender == "standard" else {}
    headers = signed(case.sender, {**id_, **case.headers}, case.body, now=time.time())
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return client.post(f"/hooks/{case.sender}", content=case.body, headers=raw)


def as_told(answer: Json, case: OddDelivery) -> None:
    assert answer.get("accepted", 1) == case.events
    if case.action is not None:
        assert answer["action"] == case.action


@with_("wires")
def test_what_two_might_read_in_two_ways_is_not_read_at_all(
    client: httpx.Client, collector: CollectorProcess, family: Family
) -> None:
    wrong = {case.name: found for case in family.wires if (found := came(client, collector.port, case))}
    assert wrong == {}


def came(client: httpx.Client, port: int, case: OddWire) -> object:
    """What was answered, and how many events were kept, where that is not what should be."""
    before = written(client)
    with Line(port) as line:
        line.send(case.send)
        try:
            first = [line.answer().status for _ in case.answers]
            line.done()  # who still waits for more is told that there is none
            answers = (*first, *(answer.status for answer in line.answers()))
        except (Broken, Ended, TimeoutError) as error:
            return repr(error)
    until = time.monotonic() + ANSWER_WITHIN  # an event may be on its way where its answer was not waited for
    while (new := written(client) - before) < case.kept and time.monotonic() < until:
        time.sleep(0.05)
    return None if (answers, new) == (case.answers, case.kept) else (answers, new)


def written(client: httpx.Client) -> int:
    """How many events have come by the connections of the corpus."""
    counts: list[Json] = client.get("/sources", params={"source": "wire"}).json()
    return sum(row["events"] for row in counts)


def test_a_client_that_hangs_up_before_its_answers_is_no_bug(
    client: httpx.Client, collector: CollectorProcess
) -> None:
    source = f"deaf-{secrets.token_hex(4)}"
    for path in (b"/events", b"/other", b"/events?a", b"/events"):
        body = json.dumps(event(source)).encode()
        asked = request_of("POST", path, [(b"Content-Type", b"application/json")], body)
        with Line(collector.port) as line:
            line.send(asked * 5)
            line.done()
            assert all(answer.status in (201, 400, 404) for answer in line.answers())


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing(
    client: httpx.Client, collector: CollectorProcess
) -> None:
    source = f"half-{secrets.token_hex(4)}"
    body = json.dumps(event(source)).encode()
    whole = request_of("POST", b"/events", [(b"Content-Type", b"application/json")], body + b" " * 900)
    with Line(collector.port) as line:
        line.send(whole[: -len(body)])
    assert client.get("/events", params={"source": source}).json() == []
