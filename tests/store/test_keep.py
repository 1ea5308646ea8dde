"""Keeping: what becomes of each event of a group, on every database and for groups of every size."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from app.errors import Unavailable
from app.events import Event
from app.query import Filter, PageQuery
from app.store import Kept, Stored, fold
from app.store.postgres import PostgresStore
from tests.store.bases import AnyStore, Base, PostgresBase, SqliteBase
from tests.store.make import event, plain, sent_again

MANY = 120  # above STAGED_ROWS, so that PostgreSQL gets them by COPY
T0 = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
Keep = Callable[..., Awaitable[list[Kept]]]


@pytest.fixture(params=[0, MANY], ids=["few", "many"])
def padding(request: pytest.FixtureRequest) -> int:
    """How many other events each group brings with it."""
    count: int = request.param
    return count


@pytest.fixture
def keep(store: AnyStore, padding: int) -> Keep:
    """Keep events among others that bear new ids; the results are those of the events."""
    rounds = 0

    async def keep(*events: Event, strict: bool = False) -> list[Kept]:
        nonlocal rounds
        rounds += 1
        others = [event(f"other {rounds}/{n}", action="other") for n in range(padding)]
        results = await store.keep([*others[::2], *events, *others[1::2]], strict)
        assert len(results) == len(events) + padding
        start = len(others[::2])
        return results[start : start + len(events)]

    return keep


async def log(store: AnyStore) -> list[Stored]:
    """All that is kept but the padding, in order."""
    pages = store.reader.scan(PageQuery(filter=Filter(), order="asc", limit=None))
    return [one async for page in pages for one in page.events if one.action != "other"]


def states(results: Sequence[Kept]) -> list[str]:
    return [kept.state for kept in results]


async def test_a_new_event_is_kept(store: AnyStore, keep: Keep) -> None:
    (kept,) = await keep(event("1"))
    assert kept.state == "new"
    (stored,) = await log(store)
    assert (stored.seq, stored.id, stored.received_at) == (kept.seq, "1", kept.at)


async def test_events_without_an_id_of_their_sender_are_all_new(store: AnyStore, keep: Keep) -> None:
    assert states(await keep(event(), event())) == ["new", "new"]
    assert states(await keep(event())) == ["new"]
    assert len(await log(store)) == 3


@pytest.mark.parametrize("subject", ["b", "b\nc", "\n", "\\N", '","', "{}", "NULL", "\r\t\x01"])
async def test_what_few_without_an_id_hold_is_kept_to_the_letter(store: AnyStore, subject: str) -> None:
    data = {"text": 'a\nb\\n,"{}', "none": None}
    sent = [
        event(),
        event(subject=subject, data=data),
        event(data="\n", time=T0.isoformat()),
        event(subject="z", source="NULL", action='"\\'),
        event(data=None),
    ]
    results = await store.keep(sent, False)
    assert [one.seq for one in results] == list(range(results[0].seq, results[0].seq + len(sent)))
    stored = await log(store)
    assert [(one.id, one.source, one.action, one.subject) for one in stored] == [
        (one.id, one.source, one.action, one.subject) for one in sent
    ]
    assert [bytes(one.data).decode() for one in stored] == [one.data or "null" for one in sent]
    assert [one.time for one in stored] == [one.time or kept.at for one, kept in zip(sent, results, strict=True)]


async def test_a_resend_is_a_duplicate_of_the_first(store: AnyStore, keep: Keep) -> None:
    (first,) = await keep(event("1", data={"a": 1, "b": 2}))
    (again,) = await keep(event("1", data={"b": 2, "a": 1}))
    assert (again.state, again.seq) == ("duplicate", first.seq)
    assert len(await log(store)) == 1


async def test_other_content_under_a_kept_id_is_a_conflict(store: AnyStore, keep: Keep) -> None:
    (first,) = await keep(event("1", data=1))
    (other,) = await keep(event("1", data=2))
    assert (other.state, other.seq) == ("conflict", first.seq)
    assert [bytes(stored.data) for stored in await log(store)] == [b"1"]


async def test_one_id_under_two_sources_is_two_events(keep: Keep) -> None:
    assert states(await keep(event("1"), event("1", source="t"))) == ["new", "new"]


async def test_new_duplicate_and_conflict_stand_in_one_group(store: AnyStore, keep: Keep) -> None:
    await keep(event("1"), event("2"))
    assert states(await keep(event("1"), event("3"), event("2", data=0))) == ["duplicate", "new", "conflict"]
    assert [stored.id for stored in await log(store)] == ["1", "2", "3"]


async def test_twins_in_a_group_are_one_event(store: AnyStore, keep: Keep) -> None:
    first, twin = await keep(event("1"), event("1"))
    assert (states([first, twin]), twin.seq, twin.at) == (["new", "duplicate"], first.seq, first.at)
    assert len(await log(store)) == 1


async def test_of_two_contents_in_a_group_the_first_is_kept(store: AnyStore, keep: Keep) -> None:
    first, other = await keep(event("1", data=1), event("1", data=2))
    assert (states([first, other]), other.seq) == (["new", "conflict"], first.seq)
    assert [bytes(stored.data) for stored in await log(store)] == [b"1"]


async def test_a_group_folds_three_ways(store: AnyStore, keep: Keep) -> None:
    one, two, three = event("1", data=1), event("1", data=2), event("1", data=3)
    results = await keep(one, two, one, three, two)
    assert states(results) == ["new", "conflict", "duplicate", "conflict", "conflict"]
    assert {kept.seq for kept in results} == {results[0].seq}
    assert len(await log(store)) == 1


async def test_twins_of_a_kept_event_are_duplicates(store: AnyStore, keep: Keep) -> None:
    (first,) = await keep(event("1"))
    again = await keep(event("1"), event("1"), event("1", data=0))
    assert states(again) == ["duplicate", "duplicate", "conflict"]
    assert {kept.seq for kept in again} == {first.seq}


async def test_strict_keeps_all(store: AnyStore, keep: Keep) -> None:
    assert states(await keep(event("1"), event("2"), event(), strict=True)) == ["new"] * 3
    assert len(await log(store)) == 3


async def test_strict_can_be_sent_again(store: AnyStore, keep: Keep) -> None:
    await keep(event("1"), event("2"), strict=True)
    assert states(await keep(event("1"), event("2"), event("3"), strict=True)) == ["duplicate"] * 2 + ["new"]
    assert len(await log(store)) == 3


async def test_strict_keeps_nothing_beside_a_conflict(store: AnyStore, keep: Keep) -> None:
    await keep(event("1"), event("2"))
    results = await keep(event("3"), event("1", data=0), event("2"), event("2"), event("4"), strict=True)
    assert states(results) == ["skipped", "conflict", "duplicate", "duplicate", "skipped"]
    assert [stored.id for stored in await log(store)] == ["1", "2"]


async def test_strict_keeps_nothing_of_a_group_that_contradicts_itself(store: AnyStore, keep: Keep) -> None:
    results = await keep(event("1"), event("2"), event("1", data=0), strict=True)
    assert states(results) == ["skipped", "skipped", "conflict"]
    assert await log(store) == []


async def test_strict_twins_are_one_event(store: AnyStore, keep: Keep) -> None:
    assert states(await keep(event("1"), event("1"), strict=True)) == ["new", "duplicate"]
    assert len(await log(store)) == 1


async def test_a_failed_strict_group_can_be_mended(store: AnyStore, keep: Keep) -> None:
    await keep(event("1"))
    await keep(event("1", data=0), event("2"), strict=True)
    assert states(await keep(event("1"), event("2"), strict=True)) == ["duplicate", "new"]


@pytest.mark.parametrize("strict", [False, True], ids=["each", "strict"])
async def test_an_exported_event_is_a_duplicate(store: AnyStore, keep: Keep, strict: bool) -> None:
    await keep(event("1", data={"a": [1, None]}), event("2", time="2026-01-02T03:04:05.678901+01:00"))
    exported = [sent_again(stored) for stored in await log(store)]
    results = await keep(*exported, event("3"), strict=strict)
    assert states(results) == ["duplicate", "duplicate", "new"]
    assert [stored.id for stored in await log(store)] == ["1", "2", "3"]


@pytest.mark.parametrize("strict", [False, True], ids=["each", "strict"])
async def test_an_export_with_another_time_is_a_conflict(store: AnyStore, keep: Keep, strict: bool) -> None:
    await keep(event("1"), event("2", time=T0.isoformat()))
    untimed, timed = await log(store)
    later = (untimed.time + timedelta(microseconds=1)).isoformat()
    results = await keep(sent_again(untimed, time=later), sent_again(timed, time=None), event("3"), strict=strict)
    assert states(results) == ["conflict", "conflict", "skipped" if strict else "new"]
    assert len(await log(store)) == (2 if strict else 3)


async def test_an_export_with_other_data_is_a_conflict(store: AnyStore, keep: Keep) -> None:
    await keep(event("1"))
    (stored,) = await log(store)
    assert states(await keep(sent_again(stored, data=1))) == ["conflict"]


@pytest.mark.parametrize("strict", [False, True], ids=["each", "strict"])
async def test_an_event_and_its_export_in_one_group_are_one(store: AnyStore, keep: Keep, strict: bool) -> None:
    await keep(event("1"))
    (stored,) = await log(store)
    results = await keep(event("1"), sent_again(stored), strict=strict)
    # A strict batch is judged before its times are known: it may be refused, never kept in part.
    assert states(results) == (["skipped", "conflict"] if strict else ["duplicate", "duplicate"])


async def test_numbers_rise_through_a_group_and_from_one_to_the_next(store: AnyStore, keep: Keep) -> None:
    seqs: list[int] = []
    for _ in range(3):
        seqs += [kept.seq for kept in await keep(event(), event(), event())]
    assert seqs == sorted(set(seqs))
    assert seqs == [stored.seq for stored in await log(store)]
    assert abs(seqs[0] / 1e6 - datetime.now(UTC).timestamp()) < 60
    assert seqs[-1] < 2**53


async def test_numbers_rise_when_the_clock_goes_back(base: Base, store: AnyStore, keep: Keep) -> None:
    ahead = (await base.today() + 30) * 86_400_000_000
    if isinstance(base, SqliteBase):
        base.clock.at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ahead)
        first = [kept.seq for kept in await keep(event(), event())]
        base.clock.at = None
    else:
        await base.rows("SELECT setval('event_seq', $1)", ahead)
        first = [ahead]
    seqs = first + [kept.seq for _ in range(2) for kept in await keep(event(), event())]
    assert seqs == sorted(set(seqs))
    assert seqs[-1] < ahead + 1000


async def test_every_field_comes_back_as_it_was_sent(store: AnyStore, keep: Keep) -> None:
    data = {"ключ": ["🦆", 'a"\\b', -1.5, 1e308, 2**63 - 1, True, None, {}], "\u2028": "\x01", "": 1e-7}
    sent = event("ид/1 ", source="söurce", action="act %_*", subject="sub\tject", time=T0.isoformat(), data=data)
    (kept,) = await keep(sent)
    (stored,) = await log(store)
    assert (stored.source, stored.action, stored.id) == ("söurce", "act %_*", "ид/1 ")
    assert (stored.subject, stored.time, stored.received_at) == ("sub\tject", T0, kept.at)
    assert sent.data is not None
    assert bytes(stored.data) == sent.data.encode()
    assert await store.reader.event(kept.seq) == stored


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"]
)
async def test_no_time_is_too_far_away(store: AnyStore, keep: Keep, time: str) -> None:
    await keep(event("1", time=time))
    (stored,) = await log(store)
    assert stored.time == datetime.fromisoformat(time)
    assert states(await keep(sent_again(stored))) == ["duplicate"]


async def test_what_was_not_sent_comes_back_filled_in(store: AnyStore, keep: Keep) -> None:
    (kept,) = await keep(event())
    (stored,) = await log(store)
    assert (stored.subject, bytes(stored.data)) == (None, b"null")
    assert stored.time == stored.received_at == kept.at


async def test_an_empty_group_is_nothing(store: AnyStore) -> None:
    assert await store.keep([], strict=False) == []
    assert await store.keep([], strict=True) == []


POISON = {
    "data that is no JSON": plain("bad", data="{"),
    "a NUL": plain("bad", subject="a\0b"),
    "half of a surrogate pair": plain("bad", source="\ud800"),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
@pytest.mark.parametrize("count", [4, MANY])
async def test_what_postgres_refuses_is_refused_alone(postgres: PostgresStore, poison: Event, count: int) -> None:
    events = [*(event(f"{n}") for n in range(count)), poison, event("after"), poison]
    results = await postgres.keep(events, strict=False)
    assert states(results) == ["new"] * count + ["refused", "new", "refused"]
    assert "does not take it" in results[-1].reason
    assert [stored.id for stored in await log(postgres)] == [e.id for e in events if e is not poison]


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
@pytest.mark.parametrize("count", [4, MANY])
async def test_strict_keeps_nothing_beside_what_postgres_refuses(
    postgres: PostgresStore, poison: Event, count: int
) -> None:
    results = await postgres.keep([*(event(f"{n}") for n in range(count)), poison], strict=True)
    assert states(results) == ["refused"] * (count + 1)
    assert await log(postgres) == []
    assert states(await postgres.keep([event("1")], strict=True)) == ["new"]


NOT_KEPT = Unavailable("the database is locked", outcome="not_kept")


async def test_a_group_of_two_rounds_is_in_doubt_when_the_second_fails() -> None:
    rounds = 0

    async def fail_later(events: Sequence[Event]) -> list[Kept]:
        nonlocal rounds
        rounds += 1
        if rounds == 2:
            raise NOT_KEPT
        return [Kept("new", n + 1) for n in range(len(events))]

    with pytest.raises(Unavailable) as raised:
        await fold.folded([event("1"), event("2"), event("1", data=0)], fail_later)
    assert raised.value.outcome == "unknown"


async def test_a_group_that_was_halved_is_in_doubt_when_a_half_fails(
    postgres: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = postgres._committers[0]._commit

    async def fail_late(events: Sequence[Event], *, strict: bool) -> list[Kept]:
        if events[0].id == "last":
            raise NOT_KEPT
        return await commit(events, strict=strict)

    monkeypatch.setattr(postgres._committers[0], "_commit", fail_late)
    with pytest.raises(Unavailable) as raised:
        await postgres.keep([event("first"), POISON["a NUL"], event("last"), event("very last")], strict=False)
    assert raised.value.outcome == "unknown"


async def test_a_group_is_in_doubt_when_only_its_times_cannot_be_compared(
    postgres_base: PostgresBase, postgres: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await postgres.keep([event("1")], strict=False)
    (stored,) = await log(postgres)
    failing = "SELECT 1 / (count(*) - 1) FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[])"
    monkeypatch.setattr("app.store.keep.SAME_BUT_FOR_TIME", failing)
    with pytest.raises(Unavailable) as raised:
        await postgres.keep([event(), sent_again(stored)], strict=False)
    assert raised.value.outcome == "unknown"
    assert len(await log(postgres)) == 2


def test_the_data_of_an_event_is_json() -> None:
    assert msgspec.json.decode(event(data={"a": 1}).data or "") == {"a": 1}
