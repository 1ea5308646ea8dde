"""Queries: the parameters of a URL to one value, and a typo never to everything."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadParameter
from app.query import (
    FILTERS,
    MAX_BUCKETS,
    MAX_CURSOR,
    MAX_REPEATED,
    PAGING,
    STATS,
    Filter,
    PageQuery,
    StatsQuery,
    no_query,
    page_query,
    stats_query,
    stream_query,
)

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

NAMES = [one.name for one in (*FILTERS, *PAGING, *STATS)]
SPANS = st.builds("{}{}".format, st.integers(0, 10**10), st.sampled_from("smhdwy"))
INSTANTS = st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat())
PARAMETERS = st.tuples(
    st.sampled_from([*NAMES, "data.a", "data.a.b", "data."]) | st.text(max_size=8),
    SPANS | INSTANTS | st.text(max_size=20) | st.sampled_from(["0001-01-01T00:00:00Z", "source", "asc", "1"]),
)


def now() -> datetime:
    return NOON


def page(*items: tuple[str, str], unlimited: bool = False) -> PageQuery:
    return page_query(items, now, unlimited=unlimited)


def stats(*items: tuple[str, str]) -> StatsQuery:
    return stats_query(items, now)


def test_no_parameters_mean_the_newest_hundred() -> None:
    assert page() == PageQuery(filter=Filter(), order="desc", cursor=None, limit=100)


def test_every_condition_is_understood() -> None:
    items = [("source", "ci"), ("source", "cron*"), ("id", "7"), ("action", "build"), ("subject", "api")]
    items += [("since", "24h"), ("until", "2030-01-01T13:00:00+02:00"), ("q", "ä"), ("data.a.b", "1")]
    assert page(*items).filter == Filter(
        sources=("ci", "cron*"),
        id="7",
        action="build",
        subject="api",
        since=NOON - DAY,
        until=NOON - HOUR,
        text="ä",
        data=((("a", "b"), "1"),),
    )


def test_paging_is_understood() -> None:
    query = page(("order", "asc"), ("cursor", "9007199254740991"), ("limit", "1000"))
    assert query == PageQuery(filter=Filter(), order="asc", cursor=MAX_CURSOR - 1, limit=1000)


def test_what_is_streamed_has_no_limit_unless_asked_for() -> None:
    assert page(unlimited=True).limit is None
    assert page(("limit", "5000"), unlimited=True).limit == 5000


def test_a_stream_goes_on_in_order() -> None:
    query = stream_query([("cursor", "5"), ("source", "ci")], now)
    assert (query.order, query.cursor, query.filter.sources) == ("asc", 5, ("ci",))


@pytest.mark.parametrize(
    ("value", "ago"),
    [("30s", timedelta(seconds=30)), ("15m", HOUR / 4), ("24h", DAY), ("7d", 7 * DAY), ("2w", 14 * DAY)],
)
def test_a_span_is_how_long_ago(value: str, ago: timedelta) -> None:
    assert page(("since", value)).filter.since == NOON - ago


@pytest.mark.parametrize(
    "value",
    [
        "2030-01-01T12:00:00",  # without an offset
        "2030-01-01",
        "yesterday",
        "15",
        "15x",
        "-15m",
        "15m ",
        "200000w",  # before the year 1
        "99999999w",
        "999999999w",
        "0001-01-01T00:00:00+14:00",
        "2030-13-01T00:00:00Z",
    ],
)
@pytest.mark.parametrize("name", ["since", "until"])
def test_a_time_that_cannot_be_right_is_named(name: str, value: str) -> None:
    with pytest.raises(BadParameter, match=name):
        page((name, value))


@pytest.mark.parametrize(
    ("items", "detail"),
    [
        ([("sauce", "ci")], "there is no parameter 'sauce' here"),
        ([("Source", "ci")], "there is no parameter 'Source' here"),
        ([("step", "5m")], "there is no parameter 'step' here"),
        ([("", "x")], "there is no parameter '' here"),
        ([("x" * 100, "ci")], f"there is no parameter '{'x' * 40}' here"),
        ([("id", "1"), ("id", "2")], "id is given twice"),
        ([("cursor", "1"), ("cursor", "1")], "cursor is given twice"),
        ([("source", "")], "'source' must have 1 to 1000 characters, and no NUL"),
        ([("q", "x" * 1001)], "'q' must have 1 to 1000 characters, and no NUL"),
        ([("data.a", "a\0b")], "'data.a' must have 1 to 1000 characters, and no NUL"),
        ([("data.a\0", "b")], r"'data.a\x00' must have 1 to 1000 characters, and no NUL"),
        (
            [("source", "ci")] * (MAX_REPEATED + 1),
            f"source and data.<path> may be given {MAX_REPEATED} times each",
        ),
        ([("order", "up")], "order is asc or desc"),
        ([("data.", "1")], "data.<path> needs a name between its dots, and at most 32 of them"),
        ([("data.a..b", "1")], "data.<path> needs a name between its dots, and at most 32 of them"),
        ([("data" + ".a" * 33, "1")], "data.<path> needs a name between its dots, and at most 32 of them"),
    ],
)
def test_what_a_page_does_not_take_is_said(items: list[tuple[str, str]], detail: str) -> None:
    with pytest.raises(BadParameter) as caught:
        page(*items)
    assert caught.value.detail == detail


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "+1", "1.0", "ten", "٣", "9" * 5000])
def test_a_limit_is_from_1_to_1000(limit: str) -> None:
    with pytest.raises(BadParameter):
        page(("limit", limit))


@pytest.mark.parametrize("cursor", ["-1", "x", "1.0", " 1", "٣", str(MAX_CURSOR), "9" * 5000])
def test_a_cursor_is_a_position(cursor: str) -> None:
    with pytest.raises(BadParameter):
        page(("cursor", cursor))


def test_a_stream_takes_neither_limit_nor_order() -> None:
    for name, value in (("limit", "5"), ("order", "desc"), ("by", "source")):
        with pytest.raises(BadParameter, match="there is no parameter"):
            stream_query([(name, value)], now)


def test_what_takes_no_parameters_says_so() -> None:
    no_query([])
    with pytest.raises(BadParameter, match="there is no parameter 'limit' here"):
        no_query([("limit", "5")])


def test_counts_are_of_the_last_day_unless_told_otherwise() -> None:
    query = stats()
    assert (query.since, query.until, query.by, query.step) == (NOON - DAY, NOON, (), HOUR / 2)
    assert (query.filter.since, query.filter.until) == (NOON - DAY, NOON)


def test_counts_may_be_of_the_first_days_there_are() -> None:
    query = stats(("until", "0001-01-01T01:00:00Z"))
    assert query.until - query.since == HOUR


@pytest.mark.parametrize(
    ("value", "by"),
    [("source", ("source",)), ("action", ("action",)), ("action,source", ("source", "action"))],
)
def test_counts_are_by_source_action_or_both(value: str, by: tuple[str, ...]) -> None:
    assert stats(("by", value)).by == by


@pytest.mark.parametrize(
    ("ago", "step"),
    [("1s", 30), ("30m", 30), ("31m", 60), ("1h", 60), ("24h", 1800), ("7d", 10_800), ("52w", 604_800)],
)
def test_without_a_step_there_are_at_most_60_buckets(ago: str, step: int) -> None:
    query = stats(("since", ago))
    assert query.step == timedelta(seconds=step)
    assert (query.until - query.since) / query.step <= 60


def test_all_of_time_fits_into_the_buckets() -> None:
    query = stats(("since", "0001-01-01T00:00:00Z"), ("until", "9999-12-31T23:59:59Z"))
    assert (query.until - query.since) / query.step <= 61


@pytest.mark.parametrize(
    ("items", "detail"),
    [
        ([("by", "id")], "by is source, action, or source,action"),
        ([("by", "source,source")], "by is source, action, or source,action"),
        ([("by", "source,")], "by is source, action, or source,action"),
        ([("step", "0s")], "step is a width like 30s, 5m, 1h"),
        ([("step", "5")], "step is a width like 30s, 5m, 1h"),
        ([("step", "999999999w")], "step is a width like 30s, 5m, 1h"),
        ([("step", "1s")], f"that would be more than {MAX_BUCKETS} buckets: take a wider step"),
        ([("since", "1h"), ("until", "2h")], "since must be before until"),
        ([("since", "1h"), ("until", "1h")], "since must be before until"),
        ([("until", "0001-01-01T00:00:00Z")], "since must be before until"),
        ([("limit", "5")], "there is no parameter 'limit' here"),
    ],
)
def test_what_counts_do_not_take_is_said(items: list[tuple[str, str]], detail: str) -> None:
    with pytest.raises(BadParameter) as caught:
        stats(*items)
    assert caught.value.detail == detail


def test_the_most_buckets_are_allowed() -> None:
    query = stats(("since", "1500m"), ("step", "1m"))
    assert (query.until - query.since) / query.step == MAX_BUCKETS


@given(st.lists(PARAMETERS, max_size=6))
def test_any_parameters_raise_only_bad_parameter(items: list[tuple[str, str]]) -> None:
    reads: list[Callable[[], object]] = [
        lambda: page(*items),
        lambda: page(*items, unlimited=True),
        lambda: stats(*items),
        lambda: stream_query(items, now),
        lambda: no_query(items),
    ]
    for read in reads:
        with contextlib.suppress(BadParameter):
            read()


@given(st.sampled_from(["since", "until", "step"]), SPANS | INSTANTS, SPANS | INSTANTS)
def test_any_times_raise_only_bad_parameter(name: str, value: str, until: str) -> None:
    with contextlib.suppress(BadParameter):
        query = stats((name, value), *([("until", until)] if name != "until" else []))
        assert query.since < query.until
        assert (query.until - query.since) / query.step <= MAX_BUCKETS
