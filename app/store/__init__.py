"""The database behind one interface: what can be asked of it, and what it answers."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

import msgspec

from app.events import Event, Stored
from app.query import Filter, PageQuery, StatsQuery

# Revisions are numbered. A database fits if its revision is at least CODE and its min_code is at most CODE, so
# that the release before this one stays in service while a migration runs.
CODE = 1
ALL = Filter()  # matches everything
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Kept(msgspec.Struct, frozen=True, gc=False):
    """What became of an event: `seq` and `at` are those of the event that is stored.

    `conflict`: an event with this identity and other content is stored. `refused`: the database does not take
    this one, for the `reason`. `skipped`: nothing of a strict batch was kept, because of another event in it.
    `spooled`: kept at `at`, but not in the database yet.
    """

    state: Literal["new", "duplicate", "conflict", "refused", "skipped", "spooled"]
    seq: int = 0
    at: datetime | None = None
    reason: str = ""


def settled(events: Sequence[Event], kept: Sequence[Kept]) -> Sequence[Kept]:
    """What became of events, where those that go by their id alone conflict with nothing."""
    return [
        Kept("duplicate", one.seq) if one.state == "conflict" and event.by_id else one
        for event, one in zip(events, kept, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Page:
    """Events in the order asked for. `next` is the position to go on from, None where the log is still empty;
    `last` tells that nothing more matched when this was read."""

    events: list[Stored]
    next: int | None
    last: bool


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """One source: when its events happened, and how many are kept."""

    source: str
    first_seen: datetime
    last_seen: datetime
    events: int


@dataclass(frozen=True, slots=True)
class Count:
    """How many events of `labels` fell into the bucket of this index."""

    labels: tuple[str, ...]
    bucket: int
    events: int


@dataclass(frozen=True, slots=True)
class Schema:
    """The revision that the database has, and the oldest code that it admits. Both 0: there is none yet."""

    revision: int
    min_code: int

    @property
    def usable(self) -> bool:
        """Whether this code and this schema fit."""
        return self.revision >= CODE and self.min_code <= CODE


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What a turn of maintenance found and did."""

    days_ahead: int | None  # days for which there is a place, today excluded; None: it needs none
    dropped_through: int  # the highest number that retention has dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """An event that was answered 202 and that the log does not take, for the `reason`.

    `id` names its entry in the spool and its place there; `body` is the event as the spool held it, or the whole
    entry where that could not be read: then `source` and `event_id` are empty.
    """

    id: str
    at: datetime
    source: str
    event_id: str
    reason: str
    body: bytes

    @property
    def received_at(self) -> datetime:
        """When its entry was added to the spool, whose clock its id begins with, in milliseconds."""
        milliseconds = self.id.partition("-")[0]
        return _EPOCH + timedelta(milliseconds=int(milliseconds)) if milliseconds.isdecimal() else self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """Events of one source that were received before a moment and whose numbers go up to `through`.

    There are never more of them than there were when `through` was the last number: new ones are above it.
    """

    source: str
    before: datetime
    through: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How many events there are, and when the first and the last of them were received."""

    events: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Portion:
    """Events to be deleted at once, by number, and the keys that their identities would have.

    `reached` is the position to go on from, None after the last.
    """

    seqs: list[int]
    keys: list[bytes]
    reached: int | None


class Purger(Protocol):
    """What finds events that are to be forgotten, and forgets them. Every method raises Unavailable."""

    async def tally(self, doomed: Doomed) -> Tally | None:
        """What there is of them; None: nothing."""
        ...

    async def portion(self, doomed: Doomed, after: int) -> Portion:
        """The next few of them."""
        ...

    async def delete(self, portion: Portion) -> int:
        """Forget them, with their identities and their part in the rollup, in one short transaction that moves the
        log's version; how many there were."""
        ...

    async def end(self) -> None:
        """Leave nothing of them behind that can be helped."""
        ...


class DeadLetters(Protocol):
    """The letters that wait for somebody to look. Every method raises Unavailable."""

    async def add(self, letters: Sequence[Letter]) -> None:
        """Keep letters; those that are kept already stay as they are."""
        ...

    async def count(self) -> int:
        """How many there are."""
        ...

    async def page(self, after: str, limit: int) -> list[Letter]:
        """At most `limit` of those whose id comes after that one, by id."""
        ...

    async def remove(self, ids: Sequence[str]) -> None:
        """Forget letters."""
        ...


class Leader(Protocol):
    """Who drains the spool: one process at a time. Two at once would be slower, and do no harm."""

    @property
    def holds(self) -> bool:
        """Whether it is this process, as far as can be known without asking."""
        ...

    async def turn(self) -> None:
        """Ask again, at least every few seconds. Raises Unavailable."""
        ...

    async def close(self) -> None:
        """Let another one lead."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A replica, as it was just now. `server`: one process of one server; `standby`: it follows another; `shown`:
    those of the positions asked for whose events can be read from it."""

    server: str
    identity: str  # as of a Store
    standby: bool
    shown: frozenset[int]


class Reader(Protocol):
    """What reads. Every method raises Unavailable within 5 seconds where the database does not answer."""

    async def page(self, query: PageQuery) -> Page:
        """At most `query.limit` events. Raises CursorGone."""
        ...

    def scan(self, query: PageQuery) -> AsyncIterator[Page]:
        """All of it, page by page, in bounded memory. Raises CursorGone."""
        ...

    async def event(self, seq: int) -> Stored | None:
        """One event."""
        ...

    async def head(self) -> int:
        """The highest number that can be read: whatever is committed later is above it."""
        ...

    async def sources(self, filter_: Filter = ALL) -> list[SourceSummary]:
        """The sources that match, by name; of the filter only what it says of sources counts."""
        ...

    async def counts(self, query: StatsQuery) -> list[Count]:
        """Events a bucket and label; buckets with none are left out."""
        ...


class Store(Protocol):
    """A database: what `serve` and `worker` need of it."""

    @property
    def name(self) -> str:
        """What it is, for people."""
        ...

    @property
    def reader(self) -> Reader:
        """What reads from it."""
        ...

    @property
    def letters(self) -> DeadLetters:
        """What the spool took and the log did not."""
        ...

    @property
    def purger(self) -> Purger:
        """What forgets events before retention does."""
        ...

    def leader(self, of: str) -> Leader:
        """A candidate for the lead of those who drain the spool `of`; asks for it once it has its turns."""
        ...

    async def keep(self, events: Sequence[Event], strict: bool) -> list[Kept]:  # noqa: FBT001
        """Commit, all in one transaction; a result for each, in order. `strict`: all or none. Two may go at once.

        Raises Unavailable, whose outcome says whether it is certain that nothing was kept.
        """
        ...

    async def identity(self) -> str:
        """What tells this log from every other; the same for each who uses it. Raises Unavailable."""
        ...

    async def version(self) -> str:
        """A text that every commit moves, before it can be read. Raises Unavailable.

        Where two are equal, in whatever process and of whatever log, they mean the same log with the same events.
        """
        ...

    async def settled(self) -> str | None:
        """The same; None while a commit is under way, since its number may have moved already."""
        ...

    async def check(self, *, writing: bool) -> Schema:
        """Whether an event could be kept now; `writing`: by a write that leaves nothing. Raises Unavailable."""
        ...

    async def maintain(self, retention_days: int) -> Upkeep:
        """Make room for the days ahead, drop what retention allows; 0 days keeps all. Raises Unavailable."""
        ...

    async def roll_up(self) -> bool:
        """Sum up the next events for `sources`, a short step; whether there may be more. Raises Unavailable."""
        ...

    async def migrate(self) -> None:
        """Bring the schema to this code's revision. Safe to start several times at once."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...


class Replica(Protocol):
    """A copy of the log that follows it: what it shows is a beginning of the log."""

    @property
    def reader(self) -> Reader:
        """What reads from it."""
        ...

    async def look(self, positions: Sequence[int]) -> Sight:
        """What it is, and which of these events it shows. Raises Unavailable within about a second."""
        ...

    async def version(self) -> str:
        """A text that moves with whatever it shows; unlike that of any store, and of any other replica.

        Raises Unavailable, also where it is not the server any more that was last looked at, or no replica.
        """
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...


__all__ = [
    "ALL",
    "CODE",
    "Count",
    "DeadLetters",
    "Doomed",
    "Event",
    "Filter",
    "Kept",
    "Leader",
    "Letter",
    "Page",
    "PageQuery",
    "Portion",
    "Purger",
    "Reader",
    "Replica",
    "Schema",
    "Sight",
    "SourceSummary",
    "StatsQuery",
    "Store",
    "Stored",
    "Tally",
    "Upkeep",
    "settled",
]
