"""Counts of events by the time they happened."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.http.serving import event, post, problem
from tests.http.some import at, some


def stats(client: httpx.Client, source: str, **more: str) -> Any:
    asked = {"source": f"{source}*", "since": at(-5), "until": at(35), "step": "10m"} | more
    answer = client.get("/events/stats", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_counts_are_zero_filled(client: httpx.Client, source: str) -> None:
    post(client, some(source))
    assert stats(client, source, until=at(55)) == {
        "since": at(-5),
        "until": at(55),
        "step": 600.0,
        "series": [{"total": 4, "counts": [1, 1, 1, 1, 0, 0]}],
    }
    assert stats(client, "nobody")["series"] == [{"total": 0, "counts": [0, 0, 0, 0]}]
    assert stats(client, "nobody", by="source")["series"] == []


def test_counts_are_told_apart_by_labels(client: httpx.Client, source: str) -> None:
    post(client, [*some(source), event(f"{source}-b", action="build", time=at(34))])
    assert stats(client, source, by="source")["series"] == [
        {"source": source, "total": 4, "counts": [1, 1, 1, 1]},
        {"source": f"{source}-b", "total": 1, "counts": [0, 0, 0, 1]},
    ]
    both = stats(client, source, by="action,source", step="20m")["series"]
    assert {(one["source"], one["action"]): one["counts"] for one in both} == {
        (source, "build"): [2, 0],
        (source, "deploy"): [0, 2],
        (f"{source}-b", "build"): [0, 1],
    }


def test_counts_take_the_filters_and_a_part_of_a_bucket(client: httpx.Client, source: str) -> None:
    post(client, some(source))
    assert stats(client, source, subject="shop")["series"][0]["counts"] == [1, 0, 1, 0]
    assert stats(client, source, q="text", step="30s")["series"][0]["total"] == 1
    assert stats(client, source, step="15m")["series"][0]["counts"] == [1, 2, 1]


def test_counts_are_of_the_last_day_by_default(client: httpx.Client, source: str) -> None:
    post(client, [event(source), event(source, time="2020-01-01T00:00:00Z")])
    answer = client.get("/events/stats", params={"source": source}).json()
    length = datetime.fromisoformat(answer["until"]) - datetime.fromisoformat(answer["since"])
    assert length == timedelta(days=1)
    assert answer["series"][0]["total"] == 1
    assert len(answer["series"][0]["counts"]) == length.total_seconds() / answer["step"]


@pytest.mark.parametrize(
    "query",
    ["by=id", "by=source,source", "step=0s", "step=5", "step=1s", "since=1h&until=2h", "limit=5", "cursor=1"],
)
def test_counts_that_cannot_be_are_400(client: httpx.Client, query: str) -> None:
    problem(client.get(f"/events/stats?{query}"), 400)


def test_what_the_probe_sends_counts_only_where_it_is_asked_for(client: httpx.Client, source: str) -> None:
    probe = f"collector.probe/{source}"
    post(client, [event(probe, subject=source), event(source, subject=source), event(f"x{probe}", subject=source)])
    for asked, total in (([], 2), ([probe], 1), (["collector.*"], 1), ([probe, source], 2)):
        answer = client.get("/events/stats", params={"source": asked, "subject": source}).json()
        assert answer["series"][0]["total"] == total, asked
    assert len(client.get("/events", params={"subject": source}).json()) == 3
