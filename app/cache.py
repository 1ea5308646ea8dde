"""Pages in memory, served only while nothing new was committed.

1. Read your writes. What is served was read, or was found unchanged, by a question to the database that was asked
   after the request had arrived.
2. One question serves all who were waiting when it was asked: the twin of group commit.
3. Nothing is ever invalidated: a page bears the version of the log that it was read at, and is served only for
   that version. It is dropped after a while all the same, since retention moves no version.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

KEPT_SECONDS = 60.0
MAX_PAGES = 256
MAX_BYTES = 8 * 2**20  # of all pages together
MAX_PAGE_BYTES = MAX_BYTES // 4

Answer = TypeVar("Answer")


class Shared(Generic[Answer]):
    """Asks one question for many: whoever comes while it is being asked waits for the next."""

    def __init__(self, ask: Callable[[], Awaitable[Answer]]) -> None:
        self._ask = ask
        self._waiting: list[asyncio.Future[Answer]] = []
        self._asking: asyncio.Task[None] | None = None

    def get(self) -> "asyncio.Future[Answer]":
        """An answer to a question that is asked after this call; or what asking raised."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        if self._asking is None:
            self._asking = asyncio.create_task(self._run())
        return answer

    @property
    def idle(self) -> bool:
        """Whether nobody waits."""
        return self._asking is None

    async def _run(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            try:
                found = await self._ask()
            except Exception as error:  # noqa: BLE001 - it is raised again, by every waiter
                for answer in group:
                    if not answer.done():
                        answer.set_exception(error.with_traceback(None))
            else:
                for answer in group:
                    if not answer.done():
                        answer.set_result(found)
        self._asking = None


@dataclass(frozen=True, slots=True)
class CachedPage:
    """A page as it is sent. `version` is the log's when it was read, None where a commit was under way."""

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    etag: str
    version: str | None
    read_at: float  # seconds of the monotonic clock
    lines: bytes = field(init=False)  # the headers as they go over the wire, made once

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", b"".join(b"%b: %b\r\n" % line for line in self.headers))


class Shelf(Protocol):
    """Where pages are kept beyond this process. It is never worth an error."""

    async def find(self, version: str | None, key: bytes) -> CachedPage | None:
        """The page that is kept for this version, if there is one; None is the version of none."""
        ...

    def keep(self, key: bytes, page: CachedPage) -> None:
        """Keep a page, some time soon, or not."""
        ...


class NoShelf:
    """The shelf of who is alone, or of what must not be kept."""

    async def find(self, version: str | None, key: bytes) -> CachedPage | None:  # noqa: ARG002 - as a shelf does
        """None."""
        return None

    def keep(self, key: bytes, page: CachedPage) -> None:
        """Nothing."""


class Pages:
    """Pages by key. `version` asks for the log's version."""

    def __init__(self, version: Callable[[], Awaitable[str]]) -> None:
        self._version = Shared(version)
        self._pages: OrderedDict[bytes, CachedPage] = OrderedDict()
        self._readers: dict[bytes, Shared[CachedPage]] = {}
        self._bytes = 0

    def kept(self, key: bytes) -> CachedPage | None:
        """The page of this key that is in memory, whether it is still true or not."""
        page = self._pages.get(key)
        return page if page is not None and time.monotonic() - page.read_at < KEPT_SECONDS else None

    def version(self) -> "asyncio.Future[str]":
        """The log's version, asked for after this call."""
        return self._version.get()

    async def get(self, key: bytes, read: Callable[[], Awaitable[CachedPage]]) -> CachedPage:
        """The page of this key; `read` reads it from the database. Raises what that raised."""
        page = self.kept(key)
        if page is not None and await self.version() == page.version:
            return page
        return await self._fresh(key, read)

    async def _fresh(self, key: bytes, read: Callable[[], Awaitable[CachedPage]]) -> CachedPage:
        async def ask() -> CachedPage:
            page = await read()
            self._keep(key, page)
            return page

        reader = self._readers.setdefault(key, Shared(ask))
        try:
            return await reader.get()
        finally:
            if reader.idle:
                self._readers.pop(key, None)

    def _keep(self, key: bytes, page: CachedPage) -> None:
        self.drop(key)
        if page.version is None or len(page.body) > MAX_PAGE_BYTES:
            return
        self._pages[key] = page
        self._bytes += len(page.body)
        while self._bytes > MAX_BYTES or len(self._pages) > MAX_PAGES:
            self.drop(next(iter(self._pages)))

    def drop(self, key: bytes) -> None:
        """Forget the page of this key."""
        page = self._pages.pop(key, None)
        self._bytes -= 0 if page is None else len(page.body)
