"""What a reader asks for: the parameters of a URL in, one value out. An unknown parameter is an error, since a
typo must not return everything."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

from app.errors import BadParameter

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_CURSOR = 2**53
MAX_BUCKETS = 1500
MAX_PATH = 32
POSITION = "collector-position"  # a header: what a write's answer gives, and a read may show
MAX_VALUE = 1000  # characters of any one parameter
MAX_REPEATED = 100  # times that `source`, or a path into data, may be given
PROBES = "collector.probe/*"  # the sources of `collector probe`, which counts leave out unless they are asked for

Order = Literal["asc", "desc"]
Data = tuple[tuple[tuple[str, ...], str], ...]  # paths into data, and the text found there
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN = re.compile(r"(\d{1,8})([smhdw])")  # eight digits of weeks are a timedelta still, nine are none
_DAY = timedelta(days=1)
_ALL_TIME = timedelta(days=9999 * 366)  # a bucket of much more has more microseconds than a database can count
_SECOND_DAY = datetime(1, 1, 2, tzinfo=UTC)  # before it there is no day to go back


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Which events: all conditions given must hold. `sources` are alternatives; `*` stands for any text.

    `but`: a pattern of sources that are left out. `within`: patterns of the sources that may be seen at all,
    whatever is asked for; None: every one.
    """

    sources: tuple[str, ...] = ()
    but: str | None = None
    within: tuple[str, ...] | None = None
    id: str | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None  # time >= since
    until: datetime | None = None  # time < until
    text: str | None = None  # anywhere in the event, whatever the case of ASCII letters
    data: Data = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PageQuery:
    """A page of the log: `cursor` is a position, exclusive; `limit` None means all."""

    filter: Filter
    order: Order = "desc"
    cursor: int | None = None
    limit: int | None = DEFAULT_LIMIT


@dataclass(frozen=True, kw_only=True, slots=True)
class StatsQuery:
    """Counts of events by `by`, in buckets of `step` from `since` up to `until`."""

    filter: Filter
    by: tuple[Literal["source", "action"], ...]
    step: timedelta
    since: datetime
    until: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class PurgeQuery:
    """Events to be forgotten: of these sources, as in Filter, and received before that moment."""

    sources: tuple[str, ...]
    before: datetime


@dataclass(frozen=True, slots=True)
class Parameter:
    """How a parameter reads in the documentation."""

    name: str
    about: str
    schema: dict[str, object]
    repeatable: bool = False
    required: bool = False


_TEXT: dict[str, object] = {"type": "string", "minLength": 1, "maxLength": MAX_VALUE}
_SOURCE = "Who. `*` stands for any text; given several times, any of them."
SOURCE = Parameter("source", _SOURCE, _TEXT, repeatable=True)
COUNTED_SOURCE = Parameter("source", f"{_SOURCE} Absent: all but `{PROBES}`.", _TEXT, repeatable=True)
NARROWING = (
    Parameter("id", "The event's id.", _TEXT),
    Parameter("action", "What.", _TEXT),
    Parameter("subject", "What it was about.", _TEXT),
    Parameter("since", "Happened at or after: RFC 3339, or how long ago: `15m`, `24h`, `7d`.", _TEXT),
    Parameter("until", "Happened before: RFC 3339, or how long ago.", _TEXT),
    Parameter("q", "Text anywhere in the event, whatever the case of ASCII letters.", _TEXT),
)
FILTERS = (SOURCE, *NARROWING)
CURSOR = Parameter(
    "cursor", "Position to go on from, as `Link` gives it.", {"type": "string", "pattern": "^[0-9]{1,16}$"}
)
PAGING = (
    Parameter(
        "order", "By position: newest first, or oldest first.", {"enum": ["desc", "asc"], "default": "desc"}
    ),
    CURSOR,
    Parameter(
        "limit",
        "Events a page; for NDJSON and CSV, events in all.",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    ),
)
STATS = (
    Parameter("by", "`source`, `action`, or both with a comma; absent: one series.", {"type": "string"}),
    Parameter("step", "Width of a bucket: `30s`, `5m`, `1h`. Absent: about 60 buckets.", {"type": "string"}),
)

PURGE = (
    Parameter("source", _SOURCE, _TEXT, repeatable=True, required=True),
    Parameter("before", "Received before: RFC 3339, or how long ago: `30d`, `0s`.", _TEXT, required=True),
)
CONFIRM = Parameter(
    "confirm", "What a GET with the same parameters gave, whose `before` is a moment.", _TEXT, required=True
)

Items = Iterable[tuple[str, str]]


def page_query(items: Items, now: Callable[[], datetime], *, unlimited: bool = False) -> PageQuery:
    """The query of a page; `unlimited` where everything that matches is streamed. Raises BadParameter."""
    filter_, rest = _filter(items, now())
    limit = rest.pop("limit", None)
    query = PageQuery(
        filter=filter_,
        order=_order(rest.pop("order", "desc")),
        cursor=cursor(rest.pop("cursor", None)),
        limit=_limit(limit, unlimited=unlimited),
    )
    _nothing_left(rest)
    return query


def stream_query(items: Items, now: Callable[[], datetime]) -> PageQuery:
    """The query of a stream, which goes on for ever. Raises BadParameter."""
    filter_, rest = _filter(items, now())
    query = PageQuery(filter=filter_, order="asc", cursor=cursor(rest.pop("cursor", None)))
    _nothing_left(rest)
    return query


def stats_query(items: Items, now: Callable[[], datetime]) -> StatsQuery:
    """The query of counts: the last 24 hours unless told otherwise. Raises BadParameter."""
    present = now()
    filter_, rest = _filter(items, present)
    until = filter_.until or present
    since = filter_.since or max(until, _SECOND_DAY) - _DAY
    step = _step(rest.pop("step", None), since, until)
    by = _by(rest.pop("by", None))
    _nothing_left(rest)
    return StatsQuery(
        filter=replace(_counted(filter_), since=since, until=until), by=by, step=step, since=since, until=until
    )


def sources_query(items: Items) -> Filter:
    """Which sources: all that count unless told otherwise. Raises BadParameter."""
    sources, data, rest = _read(items)
    _nothing_left(rest | {f"data.{'.'.join(path)}": text for path, text in data})
    return _counted(Filter(sources=sources))


def purge_query(items: Items, now: Callable[[], datetime], *, confirmed: bool) -> tuple[PurgeQuery, str]:
    """What is to be forgotten, and the confirmation, empty unless it is `confirmed`. Raises BadParameter."""
    sources, data, rest = _read(items)
    before = _instant("before", rest.pop("before", None), now())
    confirm = rest.pop("confirm", "") if confirmed else ""
    _nothing_left(rest | {f"data.{'.'.join(path)}": text for path, text in data})
    if not sources or before is None:
        raise BadParameter("source and before say what is to be forgotten: both are needed")
    if confirmed and not confirm:
        raise BadParameter("confirm is needed: a GET with the same parameters shows what would go, and gives it")
    return PurgeQuery(sources=sources, before=before), confirm


def no_query(items: Items) -> None:
    """For what takes no parameters. Raises BadParameter."""
    _nothing_left(dict(items))


def cursor(value: str | None, name: str = "cursor") -> int | None:
    """A position in the log, as a cursor or a stream's event id gives it. Raises BadParameter."""
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 16 and int(value) < MAX_CURSOR):
        raise BadParameter(f"{name} is no position that the collector gave")
    return int(value)


def position(value: str | None) -> int:
    """What a read has to show: everything up to the position that a write's answer bore. Raises BadParameter."""
    return cursor(value, "Collector-Position") or 0


@lru_cache(4096)
def covered(source: str, patterns: tuple[str, ...]) -> bool:
    """Whether any of the patterns stands for this source, as the databases read them."""
    return any(_stands_for(pattern, source) for pattern in patterns)


def _stands_for(pattern: str, text: str) -> bool:
    # Each piece as early as it can be, which misses nothing and never goes back.
    first, *pieces = pattern.split("*")
    if not pieces:
        return pattern == text
    *pieces, last = pieces
    place, end = len(first), len(text) - len(last)
    if place > end or not (text.startswith(first) and text.endswith(last)):
        return False
    for piece in pieces:
        found = text.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True


def _counted(filter_: Filter) -> Filter:
    """The one place that decides it: events of no one's own count only where they are asked for by source."""
    return filter_ if filter_.sources else replace(filter_, but=PROBES)


def _read(items: Items) -> tuple[tuple[str, ...], Data, dict[str, str]]:
    """What may be given several times: sources, paths into data; and the other parameters."""
    sources: list[str] = []
    data: list[tuple[tuple[str, ...], str]] = []
    rest: dict[str, str] = {}
    for name, value in items:
        if not 0 < len(value) <= MAX_VALUE or "\0" in value or len(name) > MAX_VALUE or "\0" in name:
            raise BadParameter(f"{name[:40]!r} must have 1 to {MAX_VALUE} characters, and no NUL")
        if name == "source":
            sources.append(value)
        elif name.startswith("data."):
            data.append((_path(name), value))
        elif name in rest:
            raise BadParameter(f"{name} is given twice")
        else:
            rest[name] = value
    if max(len(sources), len(data)) > MAX_REPEATED:
        raise BadParameter(f"source and data.<path> may be given {MAX_REPEATED} times each")
    return tuple(sources), tuple(data), rest


def _filter(items: Items, now: datetime) -> tuple[Filter, dict[str, str]]:
    """The conditions among the parameters, and the other parameters."""
    sources, data, rest = _read(items)
    filter_ = Filter(
        sources=sources,
        id=rest.pop("id", None),
        action=rest.pop("action", None),
        subject=rest.pop("subject", None),
        since=_instant("since", rest.pop("since", None), now),
        until=_instant("until", rest.pop("until", None), now),
        text=rest.pop("q", None),
        data=data,
    )
    return filter_, rest


def _nothing_left(rest: dict[str, str]) -> None:
    if rest:
        raise BadParameter(f"there is no parameter {min(rest)[:40]!r} here")


def _path(name: str) -> tuple[str, ...]:
    path = tuple(name.split(".")[1:])
    if not all(path) or len(path) > MAX_PATH:
        raise BadParameter("data.<path> needs a name between its dots, and at most 32 of them")
    return path


def _order(value: str) -> Order:
    if value == "asc":
        return "asc"
    if value == "desc":
        return "desc"
    raise BadParameter("order is asc or desc")


def _limit(value: str | None, *, unlimited: bool) -> int | None:
    if value is None:
        return None if unlimited else DEFAULT_LIMIT
    digits = value.isascii() and value.isdigit() and len(value) <= 15
    if not digits or int(value) < 1 or (int(value) > MAX_LIMIT and not unlimited):
        raise BadParameter(f"limit is a whole number from 1 to {MAX_LIMIT}")
    return int(value)


def _instant(name: str, value: str | None, now: datetime) -> datetime | None:
    if value is None:
        return None
    try:
        if span := _SPAN.fullmatch(value):
            return now - _seconds(span)
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is None:
            raise BadParameter(f"{name} needs an offset: end it with Z, or +01:00 (in a URL %2B01:00)")
        return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadParameter(f"{name} is RFC 3339 with an offset, or how long ago: 15m, 24h, 7d") from None


def _seconds(span: re.Match[str]) -> timedelta:
    return timedelta(seconds=int(span[1]) * _UNITS[span[2]])


def _step(value: str | None, since: datetime, until: datetime) -> timedelta:
    if since >= until:
        raise BadParameter("since must be before until")
    if value is None:
        rounded = (30, 60, 300, 900, 1800, 3600, 10800, 43200, 86400, 604800)
        wanted = (until - since).total_seconds() / 60
        return timedelta(seconds=next((s for s in rounded if s >= wanted), max(wanted, 1) // 1 + 1))
    span = _SPAN.fullmatch(value)
    if span is None or not timedelta() < _seconds(span) <= _ALL_TIME:
        raise BadParameter("step is a width like 30s, 5m, 1h")
    if (until - since) / _seconds(span) > MAX_BUCKETS:
        raise BadParameter(f"that would be more than {MAX_BUCKETS} buckets: take a wider step")
    return _seconds(span)


def _by(value: str | None) -> tuple[Literal["source", "action"], ...]:
    names = value.split(",") if value else []
    if len(set(names)) != len(names) or not set(names) <= {"source", "action"}:
        raise BadParameter("by is source, action, or source,action")
    both: tuple[Literal["source", "action"], ...] = ("source", "action")
    return tuple(name for name in both if name in names)
