"""The tokens of this process: those of its settings, and those of a file, which is read again when it changes."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from app.auth import Access, OpenAccess, TokenAccess
from app.health import Beat
from app.logs import log
from app.metrics import Metrics
from app.tokens import Token, TokensError, read_file, read_tokens

LOOK_EVERY = 1.0  # seconds

Follow = Callable[[Beat], Coroutine[Any, Any, None]]


def open_access(text: str | None, file: Path | None, metrics: Metrics) -> tuple[Access, Follow | None]:
    """Who decides, and the loop that keeps it told of the file, if there is one. Raises TokensError."""
    if text is None and file is None:
        return OpenAccess(), None
    fixed = () if text is None else read_tokens(text)
    access = TokenAccess(fixed)
    metrics.tokens.set(len(fixed))
    if file is None:
        return access, None
    return access, TokenFile(file, fixed, access, metrics).follow


class TokenFile:
    """The tokens of a file, beside those that are `fixed`. Raises TokensError when it is made."""

    def __init__(self, file: Path, fixed: Sequence[Token], access: TokenAccess, metrics: Metrics) -> None:
        self._file = file
        self._fixed = fixed
        self._access = access
        self._metrics = metrics
        self._stamp = _stamp(file)
        self._declare(read_file(file))

    async def follow(self, beat: Beat) -> None:
        """Look whether it has changed, once a second, until cancelled."""
        while True:
            beat()
            await asyncio.sleep(LOOK_EVERY)
            # In a thread: a file system that hangs must not hang the others.
            stamp = await asyncio.to_thread(_stamp, self._file)
            if stamp != self._stamp:
                self._stamp = stamp  # before it is read: what changes meanwhile is seen at the next look
                await self._reread()

    async def _reread(self) -> None:
        try:
            found = await asyncio.to_thread(read_file, self._file)
        except TokensError as error:
            self._metrics.tokens_stale.set(1)
            log.error("the tokens cannot be read, those before stay", file=str(self._file), reason=str(error))
            return
        self._declare(found)
        log.info("tokens read", file=str(self._file), tokens=len(found))

    def _declare(self, found: Sequence[Token]) -> None:
        tokens = (*self._fixed, *found)
        self._access.declare(tokens)
        self._metrics.tokens.set(len(tokens))
        self._metrics.tokens_stale.set(0)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """What changes with it; None while it is not there. A mounted Secret becomes a link to another file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
