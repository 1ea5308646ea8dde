"""A request's body: read and inflated as it streams, never more of it than the limit."""

import asyncio
import sys
import zlib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Protocol

from app.errors import Draining, Malformed, TooLarge, UnsupportedType

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_BODY = 5 * 2**20  # bytes, on the wire and inflated
SLICE = 4096  # bytes inflated at once: what follows a frame is copied, so small frames would cost the square
MAX_ZSTD_WINDOW = 23  # 8 MiB, what RFC 9659 asks every decoder to have

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientGone(Exception):
    """The client hung up before its body was complete."""


class Bodies:
    """Reads bodies; `cut` ends those that are half sent, when the process leaves."""

    def __init__(self) -> None:
        self._half_sent: set[asyncio.Task[Any] | None] = set()
        self._leaving = False

    async def read(self, receive: Receive, *, length: str | None, encoding: str | None) -> bytes:
        """The body's bytes. Raises TooLarge, Malformed, UnsupportedType, Draining, ClientGone."""
        if length is not None and length.isdecimal() and int(length) > MAX_BODY:
            raise TooLarge(f"a body may have {MAX_BODY} bytes")
        coding = _coding(encoding)
        with self._until_cut():
            message = await _next(receive)
            if coding is None and not message.get("more_body"):
                return _limited(bytes(message.get("body", b"")))
            return await _rest(receive, message, coding)

    def cut(self) -> None:
        """Answer those who have not sent all of their body yet: nobody waits for them any longer."""
        self._leaving = True
        for task in self._half_sent:
            if task is not None:
                task.cancel()

    @contextmanager
    def _until_cut(self) -> Iterator[None]:
        task = asyncio.current_task()
        self._half_sent.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if self._leaving:
                raise Draining("the body was not complete when this process left", outcome="not_kept") from None
            raise
        finally:
            self._half_sent.discard(task)


async def _next(receive: Receive) -> MutableMapping[str, Any]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message


async def _rest(receive: Receive, message: MutableMapping[str, Any], coding: "Inflater | None") -> bytes:
    body, sent = bytearray(), 0
    while True:
        chunk = message.get("body", b"")
        sent += len(chunk)
        if sent > MAX_BODY:
            raise TooLarge(f"a body may have {MAX_BODY} bytes")
        if coding is None:
            body += chunk
        else:
            for start in range(0, len(chunk), SLICE):
                body += coding.feed(chunk[start : start + SLICE], MAX_BODY - len(body))
        if not message.get("more_body"):
            break
        message = await _next(receive)
    if coding is not None:
        coding.finish()
    return bytes(body)


class Inflater(Protocol):
    """One content coding."""

    def feed(self, chunk: bytes, room: int) -> bytes:
        """What the chunk inflates to. Raises TooLarge past `room` bytes, Malformed."""
        ...

    def finish(self) -> None:
        """The body has ended. Raises Malformed where the coding has not."""
        ...


class Gzip:
    """RFC 1952, also in several members."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)

    def feed(self, chunk: bytes, room: int) -> bytes:
        """What the chunk inflates to."""
        whole = bytearray()
        try:
            while chunk:
                if self._inflate.eof:
                    self._inflate = zlib.decompressobj(wbits=31)
                whole += self._inflate.decompress(chunk, room - len(whole) + 1)
                if len(whole) > room:
                    raise TooLarge(f"a body may inflate to {MAX_BODY} bytes")
                chunk = self._inflate.unconsumed_tail or self._inflate.unused_data
        except zlib.error as error:
            raise Malformed(f"the body is not gzip: {error}") from None
        return bytes(whole)

    def finish(self) -> None:
        """The body has ended."""
        if not self._inflate.eof:
            raise Malformed("the gzip body ends too early")


class Zstd:
    """RFC 8878, also in several frames."""

    def __init__(self) -> None:
        self._inflate = self._new()

    def feed(self, chunk: bytes, room: int) -> bytes:
        """What the chunk inflates to."""
        whole = bytearray()
        try:
            while chunk or not (self._inflate.needs_input or self._inflate.eof):
                if self._inflate.eof:
                    self._inflate = self._new()
                whole += self._inflate.decompress(chunk, room - len(whole) + 1)
                if len(whole) > room:
                    raise TooLarge(f"a body may inflate to {MAX_BODY} bytes")
                chunk = self._inflate.unused_data if self._inflate.eof else b""
        except zstd.ZstdError as error:
            raise Malformed(f"the body is not zstd: {error}") from None
        return bytes(whole)

    def finish(self) -> None:
        """The body has ended."""
        if not self._inflate.eof:
            raise Malformed("the zstd body ends too early")

    @staticmethod
    def _new() -> "zstd.ZstdDecompressor":
        return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MAX_ZSTD_WINDOW})


def _coding(encoding: str | None) -> Inflater | None:
    match (encoding or "identity").strip().lower():
        case "identity":
            return None
        case "gzip" | "x-gzip":
            return Gzip()
        case "zstd":
            return Zstd()
    raise UnsupportedType("Content-Encoding must be gzip, zstd, or absent")


def _limited(body: bytes) -> bytes:
    if len(body) > MAX_BODY:
        raise TooLarge(f"a body may have {MAX_BODY} bytes")
    return body
