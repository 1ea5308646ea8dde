"""Senders: every fixture becomes its events, and whatever is signed is kept."""

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.events import MAX_EVENT_BYTES, Event
from app.hooks.declared import SENDERS, Hook
from app.hooks.reading import read
from tests.hooks.deliveries import NOW, SECRETS, Fixture, Headers, fixture, fixtures, signed
from tests.test_events import ODD_BYTES, VALUES

ALL = fixtures()


def hook(sender: str, *secrets: str) -> Hook:
    keys = tuple(SENDERS[sender].key(secret) for secret in secrets or (SECRETS[sender],))
    return Hook(name=sender, kind=sender, source=f"{sender}.example", keys=keys)


def told(sender: str, headers: Headers, body: bytes) -> list[Event]:
    batch = read(hook(sender), signed(sender, headers, body), NOW, body)
    assert not batch.faults
    assert batch.single is (len(batch.events) == 1)
    return list(batch.events)


def data_of(event: Event) -> Any:
    return json.loads(event.data or "null")


def known_id(event: Event, body: bytes) -> str:
    return event.id.replace(sha256(body).hexdigest(), "digest")


@pytest.mark.parametrize("one", ALL, ids=lambda one: f"{one.sender}-{one.name}")
def test_a_fixture_becomes_its_events(one: Fixture) -> None:
    events = told(one.sender, one.headers, one.body)
    assert [
        {
            "action": event.action,
            "subject": event.subject,
            "time": None if event.time is None else event.time.isoformat().replace("+00:00", "Z"),
            "id": known_id(event, one.body),
        }
        for event in events
    ] == one.gives
    assert {event.source for event in events} == {f"{one.sender}.example"}


@pytest.mark.parametrize("one", [one for one in ALL if one.sender != "alertmanager"], ids=lambda one: one.name)
def test_all_that_was_sent_is_the_data(one: Fixture) -> None:
    (event,) = told(one.sender, one.headers, one.body)
    assert data_of(event) == json.loads(one.body)


def test_an_alert_is_data_with_what_its_notification_says_of_all() -> None:
    one = fixture("alertmanager", "several")
    sent = json.loads(one.body)
    events = told(one.sender, one.headers, one.body)
    of_all = {name: sent[name] for name in ("receiver", "groupKey", "externalURL")}
    assert [data_of(event) for event in events] == [alert | of_all for alert in sent["alerts"]]


def test_every_sender_has_fixtures_one_of_which_nobody_knows() -> None:
    assert {one.sender for one in ALL} == {one.sender for one in ALL if one.name == "unknown"} == SENDERS.keys()
    assert SECRETS.keys() == SENDERS.keys()


def test_every_sender_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs/webhooks.md").read_text()
    assert set(re.findall(r"^## .* \(`(\w+)`\)$", page, re.MULTILINE)) == SENDERS.keys()


def test_a_notification_that_is_repeated_bears_the_same_ids() -> None:
    one = fixture("alertmanager", "firing")
    changed = json.loads(one.body)
    changed["alerts"][0]["annotations"]["description"] = "8.1 % of requests fail"
    again = json.dumps(changed).encode()
    assert told(one.sender, one.headers, one.body)[0].id == told(one.sender, one.headers, again)[0].id


def test_githubs_form_is_the_same_event_as_its_json() -> None:
    one = fixture("github", "push")
    form = urlencode({"payload": one.body.decode()}).encode()
    headers = {**one.headers, "content-type": "application/x-www-form-urlencoded"}
    assert told("github", headers, form) == told("github", one.headers, one.body)
    (broken,) = told("github", headers, b"payload")
    assert data_of(broken)["left_out"]["reason"] == "it is not JSON"


@pytest.mark.parametrize(
    ("state", "action"),
    [
        ("success", "deploy.succeeded"),
        ("failure", "deploy.failed"),
        ("error", "deploy.failed"),
        ("in_progress", "deploy.started"),
        ("queued", "deploy.queued"),
        ("inactive", "deploy.inactive"),
    ],
)
def test_one_word_for_one_outcome(state: str, action: str) -> None:
    one = fixture("github", "deployment_status")
    body = one.body.replace(b'"state":"success"', f'"state":"{state}"'.encode())
    assert told("github", one.headers, body)[0].action == action


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"action":"\\u0000"}', "data has a NUL character"),
        (b'{"n":99999999999999999999}', "integer"),
        (b'{"n":NaN}', "NaN is no JSON number"),
        (b"[" * 40 + b"]" * 40, "deeper"),
        (b'{"s":"\\ud800"}', "surrogate"),
        (b'{"s":"\xff"}', "not UTF-8"),
        (b"no JSON", "not JSON"),
        (b"", "not JSON"),
        (b'{"s":"' + b"x" * MAX_EVENT_BYTES + b'"}', f"{MAX_EVENT_BYTES} bytes"),
    ],
    ids=["NUL", "wide", "NaN", "deep", "half a pair", "no UTF-8", "no JSON", "nothing", "large"],
)
@pytest.mark.parametrize("sender", SENDERS)
def test_what_cannot_be_kept_is_left_out_and_said(sender: str, body: bytes, reason: str) -> None:
    (event,) = told(sender, {"x-github-event": "push"}, body)
    left_out = data_of(event)["left_out"]
    assert reason in left_out["reason"]
    assert (left_out["bytes"], left_out["sha256"]) == (len(body), sha256(body).hexdigest())


HEADERS = st.dictionaries(
    st.sampled_from(["x-github-event", "x-github-delivery", "x-gitlab-event", "idempotency-key"]),
    st.text(st.characters(max_codepoint=255), max_size=300),
)


@given(value=VALUES, headers=HEADERS, sender=st.sampled_from(list(SENDERS)))
def test_whatever_is_signed_is_kept(value: Any, headers: Headers, sender: str) -> None:
    assert told(sender, headers, json.dumps(value).encode())


@given(body=ODD_BYTES, sender=st.sampled_from(list(SENDERS)))
def test_so_is_what_is_no_json(body: bytes, sender: str) -> None:
    assert told(sender, {}, body)


SHAPES = {
    "github": ("x-github-event", ("repository", "full_name"), ("action",)),
    "gitlab": ("x-gitlab-event", ("project", "path_with_namespace"), ("object_kind",)),
    "alertmanager": ("", ("groupLabels", "alertname"), ("alerts",)),
    "argocd": ("", ("app", "metadata", "name"), ("app", "status", "operationState", "phase")),
    "standard": ("webhook-id", ("timestamp",), ("type",)),
}


@given(texts=st.tuples(VALUES, VALUES), sender=st.sampled_from(list(SENDERS)))
def test_odd_values_where_a_sender_has_its_own_spoil_nothing(texts: tuple[Any, Any], sender: str) -> None:
    document: dict[str, Any] = {}
    for path, value in zip(SHAPES[sender][1:], texts, strict=True):
        place = document
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = value
    assert told(sender, {}, json.dumps(document).encode())


@pytest.mark.parametrize(
    ("name", "shown"),
    [("x" * 500, "x" * 200), ("a\u202eb\u0007c", "abc"), ("  ", None), ("\u202e", None)],
)
def test_a_subject_is_made_to_fit(name: str, shown: str | None) -> None:
    body = json.dumps({"repository": {"full_name": name}}).encode()
    assert told("github", {}, body)[0].subject == shown


@pytest.mark.parametrize("id_", ["x" * 201, "a\u0007", ""])
def test_an_id_that_does_not_fit_is_replaced_by_its_digest(id_: str) -> None:
    (event,) = told("github", {"x-github-delivery": id_}, b"{}")
    assert event.id == f"{sha256(id_.encode()).hexdigest()}/0"
