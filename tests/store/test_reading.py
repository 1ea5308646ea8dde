"""Reading: every database gives the answers of a model in plain Python, whole and in pages."""

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest

from app.errors import CursorGone
from app.query import Filter, PageQuery, StatsQuery
from app.store import Page, Reader, Stored, reader, scan
from tests.store.bases import DAY, AnyStore, Base
from tests.store.make import event
from tests.store.model import T0, events, filters, matching

EVERYTHING = Filter()
RARE = Filter(id="id57")
ORDERS: tuple[Literal["asc", "desc"], ...] = ("asc", "desc")


@pytest.fixture
async def full(store: AnyStore) -> AnyStore:
    """A store with 60 events of all sorts: the same on every database."""
    await store.keep(events(random.Random(1), 60), strict=True)
    return store


async def walk(reads: Reader, query: PageQuery) -> list[Page]:
    """Page by page to the end."""
    pages = [await reads.page(query)]
    while not pages[-1].last:
        assert pages[-1].next is not None
        pages.append(await reads.page(replace(query, cursor=pages[-1].next)))
    return pages


async def scanned(reads: Reader, query: PageQuery) -> list[Page]:
    return [page async for page in reads.scan(query)]


def flat(pages: list[Page]) -> list[Stored]:
    return [one for page in pages for one in page.events]


async def log(reads: Reader) -> list[Stored]:
    return flat(await walk(reads, PageQuery(filter=EVERYTHING, order="asc", limit=1000)))


@pytest.mark.parametrize("seed", range(4))
async def test_every_filter_answers_as_the_model_does(full: AnyStore, seed: int) -> None:
    stored = await log(full.reader)
    assert len(stored) == 60
    for filter_ in filters(random.Random(seed), 150):
        page = await full.reader.page(PageQuery(filter=filter_, order="asc", limit=1000))
        assert [one.id for one in page.events] == [one.id for one in matching(filter_, stored)], filter_


async def test_the_filters_of_these_tests_find_something_and_not_everything(full: AnyStore) -> None:
    stored = await log(full.reader)
    found = [len(matching(filter_, stored)) for seed in range(4) for filter_ in filters(random.Random(seed), 150)]
    assert sum(0 < count < 60 for count in found) > 200


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("limit", [1, 7, 60])
async def test_pages_give_everything_once(full: AnyStore, order: Literal["asc", "desc"], limit: int) -> None:
    stored = await log(full.reader)
    for filter_ in (EVERYTHING, RARE, Filter(sources=("a*",)), Filter(text="run"), Filter(action="run")):
        pages = await walk(full.reader, PageQuery(filter=filter_, order=order, limit=limit))
        assert all(len(page.events) <= limit for page in pages)
        wanted = matching(filter_, stored)
        assert flat(pages) == (wanted if order == "asc" else wanted[::-1])


@pytest.mark.parametrize("order", ORDERS)
async def test_pages_of_a_narrow_window_are_short_and_go_on(
    full: AnyStore, order: Literal["asc", "desc"], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await log(full.reader)
    monkeypatch.setattr(reader, "TEXT_WINDOW", 7)
    monkeypatch.setattr(reader, "LABEL_WINDOW", 5)
    some = [filter_ for filter_ in filters(random.Random(9), 20) if reader._window(filter_)]
    for filter_ in (*some, RARE, Filter(text="nothing has this")):
        pages = await walk(full.reader, PageQuery(filter=filter_, order=order, limit=3))
        wanted = matching(filter_, stored)
        assert flat(pages) == (wanted if order == "asc" else wanted[::-1]), filter_
    rare = await walk(full.reader, PageQuery(filter=RARE, order=order, limit=3))
    assert len(rare) == 60 // 5 + 1
    assert sum(not page.events for page in rare[:-1]) == len(rare) - 2


async def test_what_is_committed_during_a_walk_is_seen_from_its_end(full: AnyStore) -> None:
    query = PageQuery(filter=Filter(action="late"), order="asc", limit=10)
    (page,) = await walk(full.reader, query)
    assert (page.events, page.next) == ([], await full.reader.head())
    await full.keep([event("late", action="late")], strict=False)
    (page,) = await walk(full.reader, replace(query, cursor=page.next))
    assert [one.id for one in page.events] == ["late"]


@pytest.mark.parametrize("order", ORDERS)
async def test_a_scan_streams_everything(
    full: AnyStore, order: Literal["asc", "desc"], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await log(full.reader)
    monkeypatch.setattr(scan, "FIRST_CHUNK", 4)
    monkeypatch.setattr(scan, "CHUNK_ROWS", 16)
    for filter_ in (EVERYTHING, RARE, Filter(text="run"), Filter(text="nothing has this")):
        wanted = matching(filter_, stored)[:: 1 if order == "asc" else -1]
        for limit in (None, 1, 25, 1000):
            pages = await scanned(full.reader, PageQuery(filter=filter_, order=order, limit=limit))
            assert flat(pages) == wanted[:limit]
            assert all(len(page.events) <= 16 for page in pages)


async def test_a_scan_looks_through_every_window(full: AnyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "TEXT_WINDOW", 7)
    stored = await log(full.reader)
    pages = await scanned(full.reader, PageQuery(filter=Filter(text="run"), limit=None))
    assert flat(pages) == matching(Filter(text="run"), stored)[::-1]


async def test_a_scan_does_not_wait_for_what_comes_in_meanwhile(
    full: AnyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "FIRST_CHUNK", 20)
    monkeypatch.setattr(scan, "CHUNK_ROWS", 20)
    seen = []
    async for page in full.reader.scan(PageQuery(filter=EVERYTHING, order="asc", limit=None)):
        seen += page.events
        await full.keep([event() for _ in range(20)], strict=False)
        assert len(seen) < 200
    assert [one.id for one in seen[:60]] == [f"id{n}" for n in range(60)]


async def test_an_empty_log_has_nothing_and_says_where_to_go_on(store: AnyStore) -> None:
    assert await store.reader.head() == 0
    assert await store.reader.sources() == []
    assert await store.reader.event(1) is None
    assert await store.reader.page(PageQuery(filter=EVERYTHING)) == Page([], None, last=True)
    page = await store.reader.page(PageQuery(filter=EVERYTHING, order="asc"))
    assert (page.events, page.last) == ([], True)
    assert await scanned(store.reader, PageQuery(filter=EVERYTHING, limit=None)) == [Page([], None, last=True)]
    await store.keep([event("first")], strict=False)
    page = await store.reader.page(PageQuery(filter=EVERYTHING, order="asc", cursor=page.next))
    assert [one.id for one in page.events] == ["first"]


async def test_head_is_the_last_number(full: AnyStore) -> None:
    assert await full.reader.head() == (await log(full.reader))[-1].seq


async def test_an_event_is_found_by_its_number_alone(full: AnyStore) -> None:
    one = (await log(full.reader))[30]
    assert await full.reader.event(one.seq) == one
    assert await full.reader.event(one.seq + 10**9) is None


async def test_sources_are_counted_and_dated(full: AnyStore) -> None:
    stored = await log(full.reader)
    found = await full.reader.sources()
    assert [summary.source for summary in found] == sorted({one.source for one in stored})
    for summary in found:
        times = [one.time for one in stored if one.source == summary.source]
        assert (summary.first_seen, summary.last_seen, summary.events) == (min(times), max(times), len(times))


@pytest.mark.parametrize("by", [(), ("source",), ("action",), ("source", "action")])
async def test_counts_are_those_of_the_model(full: AnyStore, by: tuple[Literal["source", "action"], ...]) -> None:
    stored = await log(full.reader)
    since, until, step = T0 + timedelta(microseconds=1), T0 + timedelta(seconds=50), timedelta(seconds=7)
    for filter_ in filters(random.Random(5), 15):
        bounded = replace(filter_, since=since, until=until)
        query = StatsQuery(filter=bounded, by=by, step=step, since=since, until=until)
        wanted = Counter(
            (tuple(getattr(one, name) for name in by), (one.time - since) // step)
            for one in matching(bounded, stored)
        )
        counts = await full.reader.counts(query)
        assert {(count.labels, count.bucket): count.events for count in counts} == wanted


async def test_counts_reach_from_the_first_moment_to_the_last(store: AnyStore) -> None:
    first, last = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"
    await store.keep([event(time=first), event(time=last)], strict=False)
    found = await store.reader.sources()
    since, until = found[0].first_seen, found[0].last_seen
    query = StatsQuery(
        filter=Filter(since=since, until=until), by=(), step=timedelta(days=9999), since=since, until=until
    )
    assert [(count.bucket, count.events) for count in await store.reader.counts(query)] == [(0, 1)]


@pytest.mark.parametrize("order", ORDERS)
async def test_a_cursor_before_what_retention_kept_is_gone(new_base: Base, order: Literal["asc", "desc"]) -> None:
    store = new_base.open()
    old = (await new_base.today() - 10) * DAY
    for n in range(3):
        await new_base.put(old + n, f"old{n}")
    await store.keep([event("new")], strict=False)
    query = PageQuery(filter=EVERYTHING, order=order, cursor=old + 1)
    assert (await store.reader.page(query)).events
    await store.maintain(retention_days=5)
    with pytest.raises(CursorGone) as raised:
        await store.reader.page(query)
    earliest = int(str(raised.value.extra["earliest"]))
    assert earliest == old + 2
    with pytest.raises(CursorGone):
        await scanned(store.reader, replace(query, limit=None))
    page = await store.reader.page(PageQuery(filter=EVERYTHING, order="asc", cursor=earliest))
    assert [one.id for one in page.events] == ["new"]
    await store.close()
