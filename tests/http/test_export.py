"""Reading as JSON, NDJSON or CSV: which is given, everything that matches, and what a spreadsheet makes of it."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.conftest import sqlite_at
from tests.http.serving import Json, client_of, event, kept, post, problem, running

JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"]


@pytest.fixture(scope="session")
def many(client: httpx.Client) -> str:
    """A source with 2,500 events."""
    source = "source-of-many"
    for start in range(0, 2500, 500):
        post(client, [event(source, id=str(n), data={"n": n}) for n in range(start, start + 500)])
    return source


@pytest.fixture
def other(tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of another collector, which is empty."""
    with running(sqlite_at(tmp_path)) as process, client_of(process) as client:
        yield client


def export(client: httpx.Client, source: str, media: str = NDJSON, **more: str) -> httpx.Response:
    answer = client.get("/events", params={"source": source, **more}, headers={"Accept": media})
    assert answer.status_code == 200, answer.text
    return answer


def lines(answer: httpx.Response) -> list[Json]:
    return [json.loads(line) for line in answer.text.splitlines()]


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def send(client: httpx.Client, text: str) -> Json:
    """Post lines as they are; gives the sum of the receipts."""
    total = {"accepted": 0, "duplicates": 0, "rejected": 0}
    sent = text.splitlines(keepends=True)
    for start in range(0, len(sent), 1000):
        body = "".join(sent[start : start + 1000])
        answer = client.post("/events", content=body, headers={"Content-Type": NDJSON})
        assert answer.status_code in (200, 201), answer.text
        total = {name: count + answer.json()[name] for name, count in total.items()}
    return total


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (NDJSON, NDJSON),
        (CSV, CSV),
        ("text/*", CSV),
        ("Text/CSV", CSV),
        ("text/html, */*;q=0.8", JSON),
        ("text/csv;q=0.5, application/x-ndjson;q=0.9", NDJSON),
        ("application/json;q=0, */*", NDJSON),
        ("application/json; q=0.1, text/csv; q=0.2", CSV),
        ("*/*;q=0.1, text/csv", CSV),
        ("text/html", None),
        ("application/json;q=0", None),
        ("*/*;q=0", None),
        ("application/json;q=0.0, text/html", None),
    ],
)
def test_accept_chooses_the_type(client: httpx.Client, source: str, accept: str | None, given: str | None) -> None:
    request = client.build_request("GET", "/events", params={"source": source})
    del request.headers["accept"]
    request.headers.update({} if accept is None else {"Accept": accept})
    answer = client.send(request)
    if given is None:
        problem(answer, 406)
    else:
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] == given
        assert "accept" in answer.headers["vary"].lower()


@pytest.mark.parametrize("media", [NDJSON, CSV])
def test_an_export_has_no_limit(client: httpx.Client, many: str, media: str) -> None:
    found = lines(export(client, many)) if media == NDJSON else rows(export(client, many, CSV))
    assert [one["id"] for one in found] == [str(n) for n in reversed(range(2500))]


@pytest.mark.parametrize("limit", ["1", "1001", "5000"])
def test_an_export_takes_the_parameters_of_a_page(client: httpx.Client, many: str, limit: str) -> None:
    found = lines(export(client, many, limit=limit, order="asc"))
    assert [one["id"] for one in found] == [str(n) for n in range(min(2500, int(limit)))]
    later = lines(export(client, many, cursor=str(found[0]["seq"]), order="asc"))
    assert len(later) == 2499
    assert [one["id"] for one in lines(export(client, many, **{"data.n": "7"}))] == ["7"]


def test_a_line_is_the_event_as_a_page_gives_it(client: httpx.Client, source: str) -> None:
    post(client, [event(source, data={"text": "ü\n"}), event(source)])
    assert lines(export(client, source, order="asc")) == kept(client, source)


def test_an_empty_export_has_no_lines_and_a_header(client: httpx.Client, source: str) -> None:
    assert export(client, source).content == b""
    assert export(client, source, CSV).text == "seq,id,source,action,subject,time,received_at,data\r\n"


def test_a_row_has_what_the_event_has(client: httpx.Client, source: str) -> None:
    data: Any = {"quotes": '"', "lines": "\r\n", "comma": ","}
    stored = post(client, event(source, id="1", subject='a "b", c\nd', data=data)).json()
    (row,) = rows(export(client, source, CSV))
    assert json.loads(row.pop("data")) == data
    assert row == {name: str(value) for name, value in stored.items() if name != "data"}


def test_nothing_is_a_cell_without_text(client: httpx.Client, source: str) -> None:
    post(client, event(source))
    (row,) = rows(export(client, source, CSV))
    assert (row["subject"], row["data"]) == ("", "")


@pytest.mark.parametrize("formula", FORMULAS, ids=ascii)
def test_no_cell_is_a_formula(client: httpx.Client, source: str, formula: str) -> None:
    label = formula.strip()
    post(client, [event(source, action=label, id=formula, subject=formula, data=formula), event(source, data=-1)])
    for row in rows(export(client, source, CSV)):
        assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert rows(export(client, source, CSV))[1]["id"] == f"'{formula}"


def test_an_export_sent_back_is_all_duplicates(client: httpx.Client, many: str) -> None:
    before = client.get("/sources").json()
    assert send(client, export(client, many).text) == {"accepted": 0, "duplicates": 2500, "rejected": 0}
    assert client.get("/sources").json() == before


def test_an_export_moves_a_collector_and_moving_twice_doubles_nothing(
    client: httpx.Client, source: str, other: httpx.Client
) -> None:
    batch = [
        event(source),
        event(source, id="mine", time="2024-05-01T12:00:00+02:00"),
        event(source, data=[1.0, {}]),
    ]
    post(client, batch)
    text = export(client, source, order="asc").text
    assert send(other, text) == {"accepted": 3, "duplicates": 0, "rejected": 0}
    assert send(other, text) == {"accepted": 0, "duplicates": 3, "rejected": 0}
    here, there = (
        [
            {name: one[name] for name in ("id", "source", "action", "subject", "time", "data")}
            for one in kept(at, source)
        ]
        for at in (client, other)
    )
    assert here == there


def test_an_export_of_many_can_be_moved(many: str, client: httpx.Client, other: httpx.Client) -> None:
    text = export(client, many, order="asc").text
    assert send(other, text)["accepted"] == 2500
    assert [one["id"] for one in lines(export(other, many, order="asc"))] == [str(n) for n in range(2500)]


def test_an_error_of_an_export_is_a_problem(client: httpx.Client) -> None:
    answer = client.get("/events", params={"sources": "a"}, headers={"Accept": NDJSON})
    assert "sources" in problem(answer, 400)["detail"]
