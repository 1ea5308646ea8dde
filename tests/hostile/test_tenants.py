"""Two tokens whose sources nearly overlap: whatever they do, none sees or writes what is the other's alone.

A state machine on a real collector, and a model of who may see what. HOSTILE_EXAMPLES: how many times it begins
anew (12), each with up to HOSTILE_STEPS steps (30); where it is given, a run that fails is made as short as can be.
"""

import csv
import io
import json
import os
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.credentials import lines
from tests.hostile.tenants import NAMES, TOKENS, Json, Log, counts, may
from tests.http.conftest import Settings
from tests.http.serving import client_of, running

EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "12"))
STEPS = int(os.environ.get("HOSTILE_STEPS", "30"))
# To find the shortest run that fails takes hundreds of them.
PHASES = tuple(Phase) if "HOSTILE_EXAMPLES" in os.environ else (Phase.generate,)
TENANTS = st.sampled_from(sorted(TOKENS))
EVENTS = st.fixed_dictionaries(
    {
        "source": st.sampled_from(NAMES),
        "id": st.sampled_from(["{}-1", "{}-2", "{}-3"]),
        "action": st.sampled_from(["a", "b"]),
        "data": st.fixed_dictionaries({"n": st.integers(0, 2)}),
    }
)
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "source": st.sampled_from(["*", "te*", "team-b/*", "*a*", "[ab]*", "a[b", "per%/*", "un_der/*", "Case/*", "?"]),
        "action": st.sampled_from(["a", "b"]),
        "id": st.sampled_from(["{}-1", "{}-2"]),
        "q": st.sampled_from(["team", "N", "shared", "b/"]),
        "data.n": st.sampled_from(["0", "1"]),
    },
)
NDJSON = "application/x-ndjson"
Clients = dict[str, httpx.Client]


@pytest.fixture(scope="module")
def clients(new_settings: Callable[[], Settings]) -> Iterator[Clients]:
    """A client for each token, on one collector."""
    with running(new_settings() | {"TOKENS": lines(*TOKENS.values())}) as process:
        made = {name: client_of(process) for name in TOKENS}
        for name, client in made.items():
            client.headers.update(TOKENS[name].headers)
        yield made
        for client in made.values():
            client.close()


class Tenants(RuleBasedStateMachine):
    """One run: its events have a subject, and a part of their sources, that no other's have."""

    clients: Clients

    def __init__(self) -> None:
        super().__init__()
        self.run = f"{secrets.randbits(40):010d}"  # no letters that a query looks for
        self.log = Log()
        self.numbers: dict[tuple[str, str], int] = {}
        answer = self._post("left", self._own({"source": "team/{}", "id": "{}-0", "action": "begin", "data": {"n": 9}}))
        self.begin = int(answer.headers["collector-position"]) - 1

    @rule(tenant=TENANTS, event=EVENTS)
    def write_one(self, tenant: str, event: Json) -> None:
        event = self._own(event)
        becomes = self.log.becomes(event) if may(tenant, event["source"]) else "forbidden"
        answer = self._post(tenant, event, becomes)
        # That somebody else has that event already is not told either.
        assert answer.status_code == {"new": 201, "duplicate": 200, "conflict": 409, "forbidden": 403}[becomes]

    @rule(tenant=TENANTS, events=st.lists(EVENTS, min_size=1, max_size=6), form=st.sampled_from(["json", "lines"]))
    def write_many(self, tenant: str, events: list[Json], form: str) -> None:
        events = [self._own(event) for event in events]
        wanted = []
        for event in events:
            becomes = self.log.becomes(event) if may(tenant, event["source"]) else "rejected"
            if becomes == "new":
                self.log.keep(event)
            wanted.append(becomes)
        text = json.dumps(events) if form == "json" else "\n".join(map(json.dumps, events))
        media = "application/json" if form == "json" else NDJSON
        answer = self.clients[tenant].post("/events", content=text, headers={"Content-Type": media})
        refused = [index for index, becomes in enumerate(wanted) if becomes in ("rejected", "conflict")]
        if len(refused) == len(events):
            assert answer.status_code == 422, answer.text
            assert [error["index"] for error in answer.json()["errors"]] == refused
            return
        receipt = answer.json()
        told = {result["index"]: result["status"] for result in receipt["results"]}
        assert told == {
            index: "duplicate" if becomes == "duplicate" else "rejected"
            for index, becomes in enumerate(wanted)
            if becomes != "new"
        }
        assert receipt["accepted"] == wanted.count("new")

    @rule(tenant=TENANTS, query=QUERIES, limit=st.integers(1, 5), order=st.sampled_from(["asc", "desc"]))
    def read_pages(self, tenant: str, query: Json, limit: int, order: str) -> None:
        query = self._of_run(query)
        wanted = list(self.log.seen(tenant, query))
        position = {"cursor": str(self.begin)} if order == "asc" else {}
        path = str(httpx.URL("/events", params={**query, **self._mine, **position, "limit": limit, "order": order}))
        found: list[Json] = []
        while events := (answer := self._get(tenant, path)).json():
            found += events
            path = answer.links["next"]["url"]
        assert self._told(found if order == "asc" else found[::-1]) == wanted
        self.numbers |= {(event["source"], event["id"]): event["seq"] for event in found}

    @rule(tenant=TENANTS, query=QUERIES, media=st.sampled_from([NDJSON, "text/csv"]))
    def export(self, tenant: str, query: Json, media: str) -> None:
        query = self._of_run(query)
        asked = {**query, **self._mine, "order": "asc"}
        text = self._get(tenant, "/events", params=asked, headers={"Accept": media}).text
        if media == NDJSON:
            found = list(map(json.loads, text.splitlines()))
        else:
            found = [_of_csv(row) for row in csv.DictReader(io.StringIO(text))]
        assert self._told(found) == list(self.log.seen(tenant, query))

    @rule(tenant=TENANTS, query=QUERIES)
    def follow(self, tenant: str, query: Json) -> None:
        query = self._of_run(query)
        wanted = list(self.log.seen(tenant, query))
        # What it reads ends where something comes that it is sure to see.
        end = {"source": f"{'team/' if tenant == 'left' else 'team-b/'}{self.run}", "id": secrets.token_hex(8)}
        last = {**end, "action": "end", "data": {"n": 7}, "subject": self.run}
        asked = {"cursor": self.begin, **({} if query else self._mine)}
        sources = [query.get("source", "*"), end["source"]]
        self._post(tenant, last, "new")
        found: list[Json] = []
        with self.clients[tenant].stream("GET", "/events/stream", params={**asked, "source": sources}) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    found.append(json.loads(line.removeprefix("data: ")))
                    if found[-1]["id"] == end["id"]:
                        break
        assert all(may(tenant, event["source"]) for event in found)
        mine = [event for event in self._told(found) if event["subject"] == self.run]
        assert [event for event in wanted if event not in mine] == []

    @rule(tenant=TENANTS)
    def read_one_by_one(self, tenant: str) -> None:
        for (source, id_), number in self.numbers.items():
            answer = self.clients[tenant].get(f"/events/{number}")
            if may(tenant, source):
                assert self._told([answer.json()]) == [self.log.events[source, id_]]
            else:
                assert answer.status_code == 404
                assert source not in answer.text

    @rule(tenant=TENANTS, source=st.sampled_from([None, "*", "te*", "a*", "*shared", "un_der/*"]))
    def count(self, tenant: str, source: str | None) -> None:
        query = {} if source is None else {"source": source}
        wanted = counts(list(self.log.seen(tenant, query)))
        rows = self._get(tenant, "/sources", params=query).json()
        assert all(may(tenant, row["source"]) for row in rows)
        found = {row["source"]: row["events"] for row in rows}
        assert all(found[source] >= count for source, count in wanted.items())
        assert {one: found[one] for one in found if self.run in one} == {
            one: wanted[one] for one in wanted if self.run in one
        }
        stats = self._get(tenant, "/events/stats", params={**query, **self._mine, "by": "source"}).json()
        assert {series["source"]: series["total"] for series in stats["series"]} == wanted

    @rule(tenant=TENANTS, path=st.sampled_from(["/events", "/events?order=asc", "/events?q=a", "/events?limit=1000"]))
    def look_at_everything(self, tenant: str, path: str) -> None:
        # The same address for both, so that a page which is kept for one could be given to the other.
        assert all(may(tenant, event["source"]) for event in self._get(tenant, path).json())

    @property
    def _mine(self) -> dict[str, str]:
        return {"subject": self.run}

    def _own(self, event: Json) -> Json:
        return {**self._of_run(event), "subject": self.run}

    def _of_run(self, values: Json) -> Json:
        # Also what has a name of its own in each run, so that no run knows the events of another.
        return {name: value.replace("{}", self.run) if isinstance(value, str) else value for name, value in values.items()}

    def _post(self, tenant: str, event: Json, becomes: str = "new") -> httpx.Response:
        answer = self.clients[tenant].post("/events", json=event)
        if becomes == "new":
            assert answer.status_code == 201, answer.text
            self.log.keep(event)
            self.numbers[event["source"], event["id"]] = answer.json()["seq"]
        return answer

    def _get(self, tenant: str, path: str, **more: Any) -> httpx.Response:
        answer = self.clients[tenant].get(path, **more)
        assert answer.status_code == 200, answer.text
        return answer

    def _told(self, events: list[Json]) -> list[Json]:
        return [{name: event[name] for name in ("source", "id", "action", "data", "subject")} for event in events]


def _of_csv(row: dict[str, str]) -> Json:
    return {**{name: text.removeprefix("'") for name, text in row.items()}, "data": json.loads(row["data"])}


def test_two_tokens_never_see_or_write_what_is_the_others(clients: Clients) -> None:
    machine = type("Machine", (Tenants,), {"clients": clients})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            phases=PHASES,
            deadline=None,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
