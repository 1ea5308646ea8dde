"""A request's body: read and inflated as it streams, never more than the limit, nor of all of them together."""

import asyncio
import sys
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from app.errors import Draining, Malformed, Overloaded, TooLarge, UnsupportedType

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_BODY = 5 * 2**20  # bytes, on the wire and inflated
SLICE = 512  # bytes inflated at once: what follows a frame is copied, so small frames would cost the square
LONG = 64 * 1024  # bytes inflated from one slice
MAX_FRAMES = 1000  # gzip members or zstd frames a body: an empty one inflates to nothing, but costs time
MAX_ZSTD_WINDOW = 23  # 8 MiB, what RFC 9659 asks every decoder to have

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientGone(Exception):
    """The client hung up before its body was complete."""


class Bodies:
    """Reads bodies; `cut` ends those that are half sent, when the process leaves.

    `room`: bytes that they may have together: they may take long, and a webhook's is not proved before its end.
    """

    def __init__(self, room: int = 64 * 2**20) -> None:
        self._room = room
        self._half_sent: set[asyncio.Task[Any] | None] = set()
        self._leaving = False

    async def read(self, receive: Receive, *, length: str | None, encoding: str | None) -> bytes:
        """The body's bytes. Raises TooLarge, Malformed, UnsupportedType, Overloaded, Draining,
        ClientGone."""
        if length is not None and length.isdecimal() and int(length) > MAX_BODY:
            raise TooLarge(f"a body may have {MAX_BODY} bytes")
        coding = _coding(encoding)
        task, body = asyncio.current_task(), bytearray()
        self._half_sent.add(task)
        try:
            message = await _next(receive)
            if coding is None and not message.get("more_body"):
                return _limited(message.get("body", b""))
            await self._read_rest(receive, message, coding, body)
            return bytes(body)
        except asyncio.CancelledError:
            if self._leaving:
                raise Draining("the body was not complete when this process left", outcome="not_kept") from None
            raise
        finally:
            self._half_sent.discard(task)
            self._room += len(body)

    def cut(self) -> None:
        """Answer those who have not sent all of their body yet: nobody waits for them any longer."""
        self._leaving = True
        for task in self._half_sent:
            if task is not None:
                task.cancel()

    async def _read_rest(
        self, receive: Receive, message: MutableMapping[str, Any], coding: "Inflater | None", body: bytearray
    ) -> None:
        sent = 0
        while True:
            chunk = message.get("body", b"")
            sent += len(chunk)
            if sent > MAX_BODY:
                raise TooLarge(f"a body may have {MAX_BODY} bytes")
            if coding is None:
                self._add(body, chunk)
            else:
                for start in range(0, len(chunk), SLICE):
                    more = coding.feed(chunk[start : start + SLICE], MAX_BODY - len(body))
                    self._add(body, more)
                    if len(more) > LONG:
                        await asyncio.sleep(0)  # the others' turn
            if not message.get("more_body"):
                break
            message = await _next(receive)
        if coding is not None:
            coding.finish()

    def _add(self, body: bytearray, more: bytes) -> None:
        if len(more) > self._room:
            raise Overloaded("too many bodies are being sent", outcome="not_kept")
        body += more
        self._room -= len(more)


async def _next(receive: Receive) -> MutableMapping[str, Any]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message


class Decompressor(Protocol):
    """What zlib and zstd have in common: one member or frame."""

    @property
    def eof(self) -> bool:
        """Whether it has ended."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What came after its end."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """At most that many bytes."""
        ...


class Inflater:
    """A content coding: members or frames of `coding`, one after the other, each made by `make`."""

    def __init__(self, coding: str, make: Callable[[], Decompressor]) -> None:
        self._coding = coding
        self._make = make
        self._frame = make()
        self._frames = 1

    def feed(self, chunk: bytes, room: int) -> bytes:
        """What the chunk inflates to. Raises TooLarge past `room` bytes, Malformed."""
        whole = bytearray()
        while chunk:
            if self._frame.eof:
                self._begin()
            try:
                whole += self._frame.decompress(chunk, room - len(whole) + 1)
            except (zlib.error, zstd.ZstdError) as error:
                raise Malformed(f"the body is not {self._coding}: {error}") from None
            if len(whole) > room:
                raise TooLarge(f"a body may inflate to {MAX_BODY} bytes")
            chunk = self._frame.unused_data if self._frame.eof else b""
        return bytes(whole)

    def finish(self) -> None:
        """The body has ended. Raises Malformed where the coding has not."""
        if not self._frame.eof:
            raise Malformed(f"the {self._coding} body ends too early")

    def _begin(self) -> None:
        self._frames += 1
        if self._frames > MAX_FRAMES:
            raise Malformed(f"the {self._coding} body has more than {MAX_FRAMES} parts")
        self._frame = self._make()


def _gzip() -> Decompressor:
    return zlib.decompressobj(wbits=31)


def _zstd() -> Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MAX_ZSTD_WINDOW})


def _coding(encoding: str | None) -> Inflater | None:
    match (encoding or "identity").strip().lower():
        case "identity":
            return None
        case "gzip" | "x-gzip":
            return Inflater("gzip", _gzip)
        case "zstd":
            return Inflater("zstd", _zstd)
    raise UnsupportedType("Content-Encoding must be gzip, zstd, or absent")


def _limited(body: bytes) -> bytes:
    if len(body) > MAX_BODY:
        raise TooLarge(f"a body may have {MAX_BODY} bytes")
    return body
