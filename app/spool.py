"""The spool: a Redis stream that keeps events while the database is away.

1. An event is on disk there before anybody is told 202: Redis runs with `appendfsync always`, and where it has
   WAITAOF that must say so too. A Redis of which this is not known, or that may evict, is no spool. WAITAOF alone
   would not do: under `everysec` there are releases that answer it before the fsync (redis/redis#13793; seen in
   Valkey 9.1).
2. It is bounded in events and bytes, over all processes: past the bound nothing more is taken, and nothing is ever
   trimmed. What it holds is counted by the scripts that add and remove, so that no crash can part the two.
3. Every event in it has an identity: an entry that is added twice, or drained twice, is stored once.
4. What cannot be told is said to be unknown: no command is ever sent again behind the caller's back.

The moment at which an event was received is that of its entry, by Redis's clock: one clock for all processes.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, BusyLoadingError, ResponseError

from app.errors import Outcome, Overloaded, Unavailable
from app.events import Event, identified
from app.logs import log
from app.spool_link import LOST, Link, Refused, vet, waitaof
from app.spool_loss import Losses, Sight
from app.store import Kept

ENTRIES = "{collector}:spool"  # the stream; in braces what keeps both keys on one node of a cluster
HELD = "{collector}:spool:held"  # a hash: how many events and bytes the stream holds, how far it was drained
APPEND_SECONDS = 2.0  # for one group, from the connection to the disk
CONFIRM_MS = 1_800  # of them, for the disk
ASK_SECONDS = 1.0  # for one look, by the check
READ_SECONDS = 5.0  # for what drains
READ_BYTES = 16 * 2**20  # read at once, one entry at least

# XADD stands last among what can fail: where a script answers with an error, it has written nothing.
_APPEND = """
local held = redis.call('HMGET', KEYS[2], 'events', 'bytes')
local events, bytes = tonumber(held[1] or 0) + ARGV[1], tonumber(held[2] or 0) + ARGV[2]
if events > tonumber(ARGV[3]) or bytes > tonumber(ARGV[4]) then return false end
local id = redis.call('XADD', KEYS[1], '*', 'events', ARGV[1], 'bytes', ARGV[2], 'group', ARGV[5])
redis.call('HINCRBY', KEYS[2], 'events', ARGV[1])
redis.call('HINCRBY', KEYS[2], 'bytes', ARGV[2])
return id
"""
# ARGV: of each entry its id, and its events and bytes below zero. An empty stream holds nothing, come what may.
# Who drains takes from the head, so that what is left is past the last that was taken.
_REMOVE = """
for n = 1, #ARGV, 3 do
  if redis.call('XDEL', KEYS[1], ARGV[n]) == 1 then
    redis.call('HINCRBY', KEYS[2], 'events', ARGV[n + 1])
    redis.call('HINCRBY', KEYS[2], 'bytes', ARGV[n + 2])
    redis.call('HSET', KEYS[2], 'drained', ARGV[n])
  end
end
if redis.call('XLEN', KEYS[1]) == 0 then redis.call('HDEL', KEYS[2], 'events', 'bytes') end
return redis.status_reply('OK')
"""
# Entry by entry, since one may have a hundred bytes and the next some megabytes.
_HEAD = """
local found, events, bytes, from = {}, 0, 0, '-'
while true do
  local entry = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 1)[1]
  if not entry then return found end
  local fields = entry[2]
  events = events + (tonumber(fields[2]) or 1)
  for n = 1, #fields do bytes = bytes + #fields[n] end
  if #found > 0 and (events > tonumber(ARGV[1]) or bytes > tonumber(ARGV[2])) then return found end
  found[#found + 1] = entry
  from = '(' .. entry[1]
end
"""
# ARGV: ids of entries that may be there.
_LOOK = """
local held = redis.call('HMGET', KEYS[2], 'events', 'bytes', 'drained')
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local present = {}
for n = 1, #ARGV do
  if redis.call('XRANGE', KEYS[1], ARGV[n], ARGV[n])[1] then present[#present + 1] = ARGV[n] end
end
return {redis.call('XLEN', KEYS[1]), tonumber(held[1] or 0), tonumber(held[2] or 0),
        first and first[1] or '', redis.call('TIME')[1], last and last[1] or '', held[3] or '', present}
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Event]).decode


class Undecodable(Exception):
    """An entry that no version of the collector wrote; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What the spool holds. `oldest`: seconds since the first entry that is left was added."""

    entries: int
    events: int
    bytes: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A group of events as one stream entry; `count` and `size` are what the spool has counted for it."""

    id: str
    count: int
    size: int
    group: bytes

    @property
    def received_at(self) -> datetime:
        """When it was added."""
        return _moment(self.id)

    def events(self) -> list[Event]:
        """The events, received when the entry was added. Raises Undecodable."""
        try:
            at = self.received_at
            return [msgspec.structs.replace(event, received_at=at) for event in _decode(self.group)]
        except (msgspec.DecodeError, ValueError, OverflowError) as error:
            raise Undecodable(str(error)[:200]) from error


class Spool:
    """The spool on the Redis of this URL. `max_events` and `max_bytes` are what it may hold in all.

    `on_lost` is called once each time that events are found to have gone without being drained.
    """

    def __init__(
        self, url: str, *, max_events: int, max_bytes: int, on_lost: Callable[[], None] = lambda: None
    ) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._appending = Link(url, APPEND_SECONDS, vet=True)
        self._asking = Link(url, ASK_SECONDS, vet=False)
        self._draining = Link(url, READ_SECONDS, vet=False)
        self._why_not = "the spool has not been asked yet"
        self._told: str | None = None
        self._losses = Losses(on_lost)
        self.waiting: Waiting | None = None  # as of the last look that went well

    @property
    def usable(self) -> bool:
        """Whether it would take events, as of the last look."""
        return not self._why_not

    async def append(self, events: Sequence[Event], alone: bool) -> list[Kept]:  # noqa: ARG002, FBT001
        """Keep a group on disk. Raises Unavailable, whose outcome says whether it is certain that it is not."""
        if self._why_not:
            raise _problem(self._why_not, "not_kept")
        group = _encode([identified(event) for event in events])
        outcome: Outcome = "not_kept"
        try:
            async with asyncio.timeout(APPEND_SECONDS):
                link, confirms = await self._appending.get()
                outcome = "unknown"
                try:
                    added = await link.eval(
                        _APPEND,
                        2,
                        ENTRIES,
                        HELD,
                        len(events),
                        len(group),
                        self._max_events,
                        self._max_bytes,
                        group,
                    )
                except (ResponseError, BusyLoadingError):
                    outcome = "not_kept"
                    raise
                if added is None:
                    raise Overloaded("the database is away and the spool is full", outcome="not_kept")
                if confirms:
                    await _confirm(link)
        except LOST as error:
            await self._appending.drop()
            raise _problem(_reason(error), outcome) from error
        except asyncio.CancelledError:
            await self._appending.drop()
            raise
        id_ = added.decode()
        self._losses.added(id_, len(events))
        return [Kept("spooled", 0, _moment(id_))] * len(events)

    async def check(self) -> Waiting:
        """Look at it: whether it is one, what it holds, whether it lost any. Raises Unavailable.

        One line for each change.
        """
        asked = self._losses.witnesses
        try:
            async with asyncio.timeout(ASK_SECONDS):
                link, _ = await self._asking.get()
                found = await link.eval(_LOOK, 2, ENTRIES, HELD, *asked)
                self.waiting = _waiting(found)
                confirms = await vet(link)
        except LOST as error:
            if not isinstance(error, Refused):
                await self._asking.drop()
            self._why_not = _reason(error)
            self._tell(self._why_not)
            raise Unavailable(self._why_not) from error
        self._why_not = ""
        self._tell("", waitaof=confirms)
        # Only of a Redis that is a spool: another one, for a while at the same address, has lost nothing.
        self._losses.looked(asked, _sight(found))
        return self.waiting

    async def read(self, max_events: int) -> list[Entry]:
        """The oldest entries, at least one if there is any. Raises Unavailable."""
        return [_entry(*one) for one in await self._drain(_HEAD, max_events, READ_BYTES)]

    async def remove(self, entries: Iterable[Entry]) -> None:
        """Forget entries; those that are gone already do not matter. Raises Unavailable."""
        await self._drain(_REMOVE, *(word for one in entries for word in (one.id, -one.count, -one.size)))

    async def close(self) -> None:
        """Let go of every connection."""
        for link in (self._appending, self._asking, self._draining):
            await link.drop()

    async def _drain(self, script: str, *words: str | int) -> Any:
        try:
            async with asyncio.timeout(READ_SECONDS):
                link, _ = await self._draining.get()
                return await link.eval(script, 2, ENTRIES, HELD, *words)
        except LOST as error:
            await self._draining.drop()
            raise Unavailable(_reason(error)) from error
        except asyncio.CancelledError:
            await self._draining.drop()
            raise

    def _tell(self, why_not: str, **more: bool) -> None:
        if why_not != self._told:
            if why_not:
                log.warning("no spool: while the database is away, events are answered 503", reason=why_not)
            else:
                log.info("spool ready", **more)
            self._told = why_not


async def _confirm(client: Redis) -> None:
    if await waitaof(client, 1, CONFIRM_MS) < 1:
        raise TimeoutError


def _waiting(found: Sequence[Any]) -> Waiting:
    entries, events, size, first, now = found[:5]
    age = int(now) - int(first.partition(b"-")[0]) / 1000 if first else 0.0
    return Waiting(entries=entries, events=events, bytes=size, oldest=max(0.0, age))


def _sight(found: Sequence[Any]) -> Sight:
    newest, drained, present = found[5:]
    there = {id_.decode() for id_ in present}
    return Sight(newest=newest.decode(), drained=drained.decode(), present=there, events=found[1])


def _entry(id_: bytes, words: Sequence[bytes]) -> Entry:
    fields = dict(zip(words[::2], words[1::2], strict=True))
    count, size = (fields.get(name, b"") for name in (b"events", b"bytes"))
    return Entry(id_.decode(), _number(count), _number(size), fields.get(b"group", b""))


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() else 0


def _moment(id_: str) -> datetime:
    return _EPOCH + timedelta(milliseconds=int(id_.partition("-")[0]))


def _problem(reason: str, outcome: Outcome) -> Unavailable:
    return Unavailable(f"the database is away and {reason}", outcome=outcome)


def _reason(error: Exception) -> str:
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, BusyLoadingError):
        return "the spool's Redis is loading its data"
    if isinstance(error, AuthenticationError):
        return "the spool's Redis refuses our user or password"
    if isinstance(error, ResponseError):
        # The first word is the cause, the rest may be long.
        return f"the spool's Redis refuses: {str(error)[:100]}"
    return "the spool cannot be reached"
