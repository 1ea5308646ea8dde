"""POST /events, the fast lane: bytes to events, to the writer, to a receipt. Plain ASGI, before FastAPI."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, NamedTuple

import msgspec

from app import cloudevents
from app.auth import GRANT, Access, Grant
from app.body import Bodies
from app.edge import BEGUN, Receive, Scope, Send, respond
from app.errors import (
    BadParameter,
    Conflict,
    Draining,
    Fault,
    Forbidden,
    Invalid,
    Overloaded,
    Unavailable,
    UnsupportedType,
)
from app.events import MAX_KEY, Event, Parser, Spooled, Stored
from app.formats import JSON, NDJSON, Batch, media_type, read_json, read_ndjson
from app.metrics import Metrics
from app.shortcuts import Reply
from app.store import Kept, Reader, settled
from app.writer import GroupCommit

LOOK_SECONDS = 1.0  # for the event that a duplicate repeats, after a commit that may have taken its time
INLINE_BYTES = 32 * 1024  # of a body that is parsed on the event loop, in about a millisecond

_NAMES = ("content-type", "content-length", "content-encoding", "idempotency-key", "prefer", *cloudevents.HEADERS)
_HEADERS = {name.encode(): name for name in _NAMES}
MEDIA = (JSON, NDJSON, cloudevents.STRUCTURED, cloudevents.BATCHED)
_PLAIN_TYPES = (b"application/json", b"application/json; charset=utf-8")
_SPECIAL = frozenset(_HEADERS.keys() - {b"content-type", b"content-length"} | {b"transfer-encoding"})
_CREATED = (
    b"content-type: application/json\r\ncollector-position: %d\r\nlocation: /events/%d\r\ncontent-length: %d\r\n"
)
_PLAIN_PARSER = Parser()
_CONFLICT = "another event with this source and id, but other content, is already kept"
_NOT_ITS_SOURCE = "the token is not one for events of this source"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a request's headers ask for. `media`: empty for a CloudEvent whose attributes are headers."""

    media: str
    strict: bool
    committed: bool

    @property
    def final(self) -> bool:
        """Whether an answer of 202 would not do."""
        return self.strict or self.committed

    @property
    def applied(self) -> bytes:
        """What to say in Preference-Applied."""
        names = {b"handling=strict": self.strict, b"durability=committed": self.committed}
        return b", ".join(name for name, wished in names.items() if wished)


_NO_WISHES = Wishes(JSON, strict=False, committed=False)


class Submitted(NamedTuple):
    """What a request held, on its way through the writer."""

    ingest: "Ingest"
    batch: Batch
    size: int  # bytes
    answer: "asyncio.Future[Sequence[Kept]]"

    def reply(self) -> Reply | None:
        """The receipt of one new event; None for whatever else came of it."""
        kept = self.answer.result()
        (one,) = kept
        if one.state != "new" or one.at is None:
            return None
        self.ingest.count(self.batch, kept)
        body = _encode(_stored(self.batch.events[0], one.seq, one.at))
        return Reply(201, _CREATED % (one.seq, one.seq, len(body)), body)


class Ingest:
    """The handler. `access` decides who may write what. `max_events`: how many one request may carry. `spool`
    keeps what the database cannot take."""

    def __init__(
        self,
        *,
        access: Access,
        writer: GroupCommit[Event, Kept],
        reader: Reader,
        metrics: Metrics,
        bodies: Bodies,
        max_events: int,
        spool: GroupCommit[Event, Kept] | None = None,
    ) -> None:
        self._access = access
        self._writer = writer
        self._spool = spool
        self._reader = reader
        self._metrics = metrics
        self._bodies = bodies
        self._max_events = max_events
        self._parsing = ThreadPoolExecutor(1, thread_name_prefix="parser")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises what the answer is to tell."""
        headers = _joined(scope["headers"])
        if scope["query_string"]:
            raise BadParameter("POST /events takes no parameters")
        binary = not headers.keys().isdisjoint(cloudevents.HEADERS)
        wishes = _wishes(headers.get("content-type", ""), headers.get("prefer", ""), binary=binary)
        submitted = scope.get(BEGUN) or await self._read(scope, receive, headers, wishes)
        await self._answer(send, submitted, await self._kept(submitted, wishes), wishes)

    async def deliver(self, send: Send, batch: Batch, size: int) -> None:
        """Keep what a webhook told in a body of `size` bytes, and answer."""
        submitted = Submitted(self, batch, size, self._submit(batch, size=size, strict=False))
        await self._answer(send, submitted, await self._kept(submitted, _NO_WISHES), _NO_WISHES)

    async def _answer(self, send: Send, submitted: Submitted, kept: Sequence[Kept], wishes: Wishes) -> None:
        status, answer, location = await self._receipt(submitted.batch, kept, strict=wishes.strict)
        lines = [(b"content-type", JSON.encode())]
        if position := max((one.seq for one in kept), default=0):
            lines.append((b"collector-position", b"%d" % position))
        if location is not None:
            lines.append((b"location", b"/events/%d" % location))
        if wishes.final:
            lines.append((b"preference-applied", wishes.applied))
        await respond(send, status, lines, answer)

    def begin(self, headers: Mapping[bytes, bytes], query: bytes, body: bytes) -> Submitted | None:
        """The shortcut, for one event in plain JSON."""
        if query or headers.get(b"content-type") not in _PLAIN_TYPES or not body.startswith(b"{"):
            return None
        if not _SPECIAL.isdisjoint(headers):
            return None
        grant = self._access.grant(headers.get(b"authorization"), "write")
        batch = read_json(body, _PLAIN_PARSER, 1)
        if not grant.may_write(batch.events[0].source):
            return None
        grant.take()
        return Submitted(self, batch, len(body), self._writer.submit(batch.events, size=len(body)))

    async def _read(self, scope: Scope, receive: Receive, headers: Mapping[str, str], wishes: Wishes) -> Submitted:
        read = self._reading(scope, headers, wishes)
        body = await self._bodies.read(
            receive, length=headers.get("content-length"), encoding=headers.get("content-encoding")
        )
        batch = _permitted(await self.aside(read, body), scope[GRANT])
        scope[GRANT].pay(len(batch.events) + len(batch.faults))
        self._metrics.rejected.inc(len(batch.faults))
        if wishes.strict and batch.faults:
            raise Invalid("nothing was kept: the batch is all or nothing", errors=batch.faults)
        return Submitted(self, batch, len(body), self._submit(batch, size=len(body), strict=wishes.strict))

    def _reading(self, scope: Scope, headers: Mapping[str, str], wishes: Wishes) -> Callable[[bytes], Batch]:
        """What makes events of the body."""
        parser = Parser(key=_key(headers.get("idempotency-key")))
        match wishes.media:
            case "":
                of = headers.get("content-type", "")
                return partial(cloudevents.read_binary, headers=scope["headers"], content_type=of)
            case cloudevents.STRUCTURED:
                return partial(cloudevents.read_structured, max_events=self._max_events)
            case cloudevents.BATCHED:
                return partial(cloudevents.read_batched, max_events=self._max_events)
        read = read_json if wishes.media == JSON else read_ndjson
        return partial(read, parser=parser, max_events=self._max_events)

    async def aside(self, read: Callable[[bytes], Batch], body: bytes) -> Batch:
        """The events of a body, read where that keeps nobody waiting."""
        if len(body) <= INLINE_BYTES:
            return read(body)
        # One thread for all of them: it takes turns with the event loop, which goes on serving the others.
        return await asyncio.get_running_loop().run_in_executor(self._parsing, read, body)

    def _submit(self, batch: Batch, *, size: int, strict: bool) -> "asyncio.Future[Sequence[Kept]]":
        if batch.events:
            return self._writer.submit(batch.events, size=size, alone=strict)
        nothing: asyncio.Future[Sequence[Kept]] = asyncio.get_running_loop().create_future()
        nothing.set_result(())
        return nothing

    async def _kept(self, submitted: Submitted, wishes: Wishes) -> Sequence[Kept]:
        """What became of the events: committed, or spooled where the database is away."""
        try:
            kept = settled(submitted.batch.events, await submitted.answer)
        except Unavailable as problem:
            if self._spool is None or wishes.final or not _database_is_away(problem):
                raise
            spooled = await self._spool.submit(submitted.batch.events, size=submitted.size)
            self._metrics.spooled.inc(len(spooled))
            return spooled
        self.count(submitted.batch, kept)
        return kept

    def count(self, batch: Batch, kept: Sequence[Kept]) -> None:
        """Count what became of a request's events."""
        if len(kept) == 1 and kept[0].state == "new":
            self._metrics.kept(batch.events[0].source)
            return
        states = [one.state for one in kept]
        new = (event.source for event, state in zip(batch.events, states, strict=True) if state == "new")
        for source, count in Counter(new).items():
            self._metrics.kept(source, count)
        self._metrics.duplicates.inc(states.count("duplicate"))
        self._metrics.rejected.inc(states.count("conflict") + states.count("refused"))

    async def _receipt(self, batch: Batch, kept: Sequence[Kept], *, strict: bool) -> tuple[int, bytes, int | None]:
        """Status, body and, for one event, its number."""
        if batch.single:
            return await self._single(batch.events[0], kept[0])
        faults = _in_order(*batch.faults, *_refused(batch, kept))
        if strict and faults:
            raise Conflict("nothing was kept: the batch is all or nothing", errors=faults)
        duplicates = [index for index, one in zip(batch.indexes, kept, strict=True) if one.state == "duplicate"]
        if faults and len(faults) == len(batch.faults) + len(batch.events):
            raise Invalid(errors=faults)
        if kept and kept[0].state == "spooled":
            return 202, _encode(_document(0, duplicates, faults, spooled=len(kept))), None
        accepted = len(kept) - len(duplicates) - (len(faults) - len(batch.faults))
        clean = accepted > 0 and not duplicates and not faults
        return 201 if clean else 200, _encode(_document(accepted, duplicates, faults)), None

    async def _single(self, event: Event, kept: Kept) -> tuple[int, bytes, int | None]:
        if kept.state == "conflict":
            raise Conflict(_CONFLICT, errors=[Fault(index=0, pointer="/id", detail=_CONFLICT)])
        if kept.state == "refused":
            raise Invalid(kept.reason, errors=[Fault(index=0, detail=kept.reason)])
        if kept.state == "new" and kept.at is not None:
            return 201, _encode(_stored(event, kept.seq, kept.at)), kept.seq
        if kept.state == "spooled" and kept.at is not None:
            return 202, _encode(_waiting(event, kept.at)), None
        return 200, _encode(await self._kept_before(kept.seq)), kept.seq

    async def _kept_before(self, seq: int) -> Stored | dict[str, int]:
        """The stored event; its number alone where no more is to be had now: the receipt holds anyway."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return await self._reader.event(seq) or {"seq": seq}
        except (Unavailable, TimeoutError):
            return {"seq": seq}


def _joined(lines: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers that matter here; the lines of one that came several times are a list (RFC 9110)."""
    headers: dict[str, str] = {}
    for name, value in lines:
        if (key := _HEADERS.get(name)) is not None:
            text = value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


@lru_cache(256)
def _wishes(content_type: str, prefer: str, *, binary: bool) -> Wishes:
    media, charset = media_type(content_type)
    if binary and not media.startswith(cloudevents.FAMILY) and "," not in media:
        media = ""  # whatever the type, it is that of the data
    elif media not in MEDIA or charset not in ("utf-8", "us-ascii"):
        raise UnsupportedType(f"Content-Type must be one of {', '.join(MEDIA)}, in UTF-8")
    preferences = {one.strip().lower() for one in prefer.split(",")}
    return Wishes(media, strict="handling=strict" in preferences, committed="durability=committed" in preferences)


def _permitted(batch: Batch, grant: Grant) -> Batch:
    """The batch without the events that are not the bearer's to send: they are rejected. Raises Forbidden."""
    if grant.sources is None:
        return batch
    allowed = [grant.may_write(event.source) for event in batch.events]
    if all(allowed):
        return batch
    refused = [
        Fault(index=index, pointer="/source", detail=_NOT_ITS_SOURCE)
        for index, may in zip(batch.indexes, allowed, strict=True)
        if not may
    ]
    if batch.single:
        raise Forbidden(_NOT_ITS_SOURCE, errors=refused)
    return Batch(
        [event for event, may in zip(batch.events, allowed, strict=True) if may],
        [index for index, may in zip(batch.indexes, allowed, strict=True) if may],
        _in_order(*batch.faults, *refused),
        single=False,
    )


def _in_order(*faults: Fault) -> list[Fault]:
    return sorted(faults, key=lambda fault: fault.index or 0)


def _database_is_away(problem: Unavailable) -> bool:
    # What is in doubt may be stored already, and is not for us to try again.
    return problem.outcome == "not_kept" and not isinstance(problem, Overloaded | Draining)


def _key(value: str | None) -> str | None:
    if value is None:
        return None
    key = value.removeprefix('"').removesuffix('"')
    if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise BadParameter(f"Idempotency-Key must have 1 to {MAX_KEY} printable ASCII characters")
    return key


def _refused(batch: Batch, kept: Sequence[Kept]) -> list[Fault]:
    reasons = {"conflict": _CONFLICT, "refused": None}
    return [
        Fault(
            index=index,
            pointer="/id" if one.state == "conflict" else None,
            detail=reasons[one.state] or one.reason,
        )
        for index, one in zip(batch.indexes, kept, strict=True)
        if one.state in reasons
    ]


def _document(
    accepted: int, duplicates: Sequence[int], faults: Sequence[Fault], *, spooled: int = 0
) -> dict[str, Any]:
    results: list[dict[str, Any]] = [{"index": index, "status": "duplicate"} for index in duplicates]
    results += [
        {"index": fault.index, "status": "rejected", "error": {"detail": fault.detail, "pointer": fault.pointer}}
        for fault in faults
    ]
    return {
        "accepted": accepted,
        "spooled": spooled,
        "duplicates": len(duplicates),
        "rejected": len(faults),
        "results": sorted(results, key=lambda result: result["index"]),
    }


def _stored(event: Event, seq: int, at: datetime) -> Stored:
    return Stored(
        seq=seq,
        id=event.id,
        source=event.source,
        action=event.action,
        subject=event.subject,
        time=event.time or at,
        received_at=at,
        data=msgspec.Raw(b"null" if event.data is None else event.data.encode()),
    )


def _waiting(event: Event, at: datetime) -> Spooled:
    stored = _stored(event, 0, at)
    return Spooled(**{field: getattr(stored, field) for field in Spooled.__struct_fields__})
