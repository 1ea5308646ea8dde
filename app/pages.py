"""GET /events as JSON, the other fast lane: a page from memory while nothing new was committed. Plain ASGI."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from hashlib import blake2b
from urllib.parse import parse_qsl, unquote_to_bytes, urlencode

import msgspec

from app import query
from app.auth import GRANT, Access, Grant
from app.cache import CachedPage, NoShelf, Pages, Shelf
from app.edge import App, Receive, Scope, Send, header, respond
from app.errors import Unavailable
from app.events import Stored
from app.formats import JSON, accepted
from app.near import Nearest, Server
from app.query import PageQuery
from app.shortcuts import Reply
from app.store import Page, Reader

PAGE_BYTES = 8 * 2**20  # of events, past which a page ends early and `next` goes on
ANSWER_SECONDS = 4.5  # for all pieces of a page
PIECE = 100  # events asked for at once: at most 25 MiB
_PLAIN_ACCEPT = (None, b"*/*", JSON.encode())
_POSITION = query.POSITION.encode()
MAX_KEY_BYTES = 2048  # of a query string; a longer one is read every time

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class _Look:
    """A page in memory, and the question whether it is still true."""

    pages: Pages
    key: bytes
    page: CachedPage
    if_none_match: bytes | None
    answer: "asyncio.Future[str]"

    def reply(self) -> Reply | None:
        """The page, or 304; None where it has to be read."""
        if self.answer.result() != self.page.version:
            if self.pages.kept(self.key) is self.page:  # nobody has read it anew meanwhile
                self.pages.drop(self.key)
            return None
        if matches(self.if_none_match, self.page.etag):
            return Reply(304, self.page.lines, b"")
        body = self.page.body
        return Reply(200, b"%bcontent-length: %d\r\n" % (self.page.lines, len(body)), body)


class PageLane:
    """Serves pages of JSON; leaves whatever else `Accept` asks for to `exports`.

    `access` decides who gets them: a page in memory is for all who may see the same. `nearest`: which database is
    read. `shelf`: looked at before it is read, for pages that hang on nothing but the version.
    """

    def __init__(
        self,
        *,
        access: Access,
        nearest: Nearest,
        pages: Pages,
        shelf: Shelf,
        exports: App,
        now: Callable[[], datetime],
    ) -> None:
        self._access = access
        self._nearest = nearest
        self._pages = pages
        self._shelf = shelf
        self._exports = exports
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises what the answer is to tell."""
        accept = header(scope, b"accept")
        if accept is not None and accepted(accept.decode("latin-1")) != JSON:
            await self._exports(scope, receive, send)
            return
        asked: bytes = scope["query_string"]
        shown = header(scope, _POSITION)
        page = await self._page(
            asked, scope[GRANT], query.position(None if shown is None else shown.decode("latin-1"))
        )
        if matches(header(scope, b"if-none-match"), page.etag):
            await send({"type": "http.response.start", "status": 304, "headers": list(page.headers)})
            await send({"type": "http.response.body", "body": b""})
            return
        await respond(send, 200, page.headers, page.body)

    def begin(self, headers: Mapping[bytes, bytes], query: bytes, body: bytes) -> _Look | None:
        """The shortcut, for a page in memory."""
        grant = self._access.grant(headers.get(b"authorization"), "read")
        key = grant.view + query
        page = self._pages.kept(key)
        if page is None or body or headers.get(b"accept") not in _PLAIN_ACCEPT or _POSITION in headers:
            return None
        grant.take()
        return _Look(self._pages, key, page, headers.get(b"if-none-match"), self._pages.version())

    async def _page(self, asked: bytes, grant: Grant, position: int) -> CachedPage:
        # What is so long ago, or was, changes with the clock alone. And a replica may show a commit for an instant
        # before it says that it has come so far.
        plain = unquote_to_bytes(asked)
        if len(asked) > MAX_KEY_BYTES or b"since" in plain or b"until" in plain or position:
            return await self._nearest.ask(position, partial(self._read, asked, grant, NoShelf()))
        read = partial(self._read, asked, grant, self._shelf)
        return await self._pages.get(grant.view + asked, lambda: self._nearest.ask(0, read))

    async def _read(self, asked: bytes, grant: Grant, shelf: Shelf, server: Server) -> CachedPage:
        items = parse_qsl(asked.decode("latin-1"), keep_blank_values=True)
        asked_for = query.page_query(items, self._now)
        key, reader = grant.view + asked, grant.reader(server.reader)
        read_at = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                version = await server.settled()
                if (found := await shelf.find(version, key)) is not None:
                    return found
                page = await bounded(reader, asked_for)
        except TimeoutError:
            raise Unavailable("the page took too long to read: ask for less, or more narrowly") from None
        body = _encode(page.events)
        etag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
        headers = (
            (b"content-type", JSON.encode()),
            (b"etag", etag.encode()),
            (b"cache-control", b"no-cache"),
            (b"vary", b"accept"),
            (b"link", f'<{_next(items, page.next)}>; rel="next"'.encode()),
        )
        made = CachedPage(body, headers, etag, version, read_at)
        shelf.keep(key, made)
        return made


async def bounded(reader: Reader, asked: PageQuery) -> Page:
    """A page, gathered in pieces so that large events do not fill the memory."""
    limit = asked.limit or query.DEFAULT_LIMIT
    events: list[Stored] = []
    size = 0
    while True:
        piece = min(PIECE, limit - len(events))
        page = await reader.page(replace(asked, limit=piece))
        events += page.events
        size += sum(len(bytes(event.data)) for event in page.events)
        # A piece that is not full ends at the log's end, or at the edge of what one request may look at.
        if len(page.events) < piece or len(events) == limit or size > PAGE_BYTES:
            return replace(page, events=events)
        asked = replace(asked, cursor=page.next)


def matches(if_none_match: bytes | None, etag: str) -> bool:
    """Whether a client has this page already."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.decode("latin-1").split(",")]
    return etag in tags or tags == ["*"]


def _next(items: list[tuple[str, str]], cursor: int | None) -> str:
    kept = [(name, value) for name, value in items if name != "cursor"]
    # An empty log has no position yet: the same request, again, is how to go on.
    kept += [] if cursor is None else [("cursor", str(cursor))]
    return f"/events?{urlencode(kept)}" if kept else "/events"
