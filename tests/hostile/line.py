"""Line: a connection that says any bytes, and reads answers strictly, one after the other."""

import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import msgspec

from tests.ports import LOOPBACK

ANSWER_WITHIN = 10.0  # seconds; the promise is 5
_HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) [ -~]*((?:\r\n[!-9;-~]+: ?[\t -~\x80-\xff]*)*)\Z")
_MAX_HEAD = 64 * 1024  # bytes


class Broken(Exception):
    """What came is no answer that HTTP knows."""


class Ended(Exception):
    """The connection was closed before an answer began."""


@dataclass(frozen=True)
class Said:
    """An answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def json(self) -> Any:
        """Raises ValueError."""
        return msgspec.json.decode(self.body)

    @property
    def closes(self) -> bool:
        """Whether the connection ends with it."""
        return self.headers.get("connection", "").lower() == "close"


class Line:
    """One connection to a port of loopback; as a context manager it is open inside."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((LOOPBACK, port), timeout=ANSWER_WITHIN)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        """Say something; who has hung up does not hear it."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def done(self) -> None:
        """Say that nothing more comes."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def answer(self, *, to: bytes = b"GET", body: bool = True) -> Said:
        """The next answer, to a request of this method; without its body where that has no end.

        Raises Broken, Ended, TimeoutError.
        """
        status, headers = self._head()
        if not body or to == b"HEAD" or status in (204, 304):
            return Said(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Said(status, headers, b"".join(self._chunks()))
        length = headers.get("content-length", "none")
        if not length.isdecimal():
            raise Broken(f"an answer of length {length}")
        return Said(status, headers, self._exactly(int(length)))

    def answers(self) -> Iterable[Said]:
        """All of them until the connection ends. Raises Broken, TimeoutError."""
        try:
            while True:
                yield self.answer()
        except Ended:
            return

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _head(self) -> tuple[int, dict[str, str]]:
        lines = b""
        while not lines.endswith(b"\r\n\r\n"):
            line = self._line()
            if not line and not lines:
                raise Ended
            if not line or len(lines) > _MAX_HEAD:
                raise Broken("half a head")
            lines += line
        found = _HEAD.match(lines.removesuffix(b"\r\n\r\n"))
        if found is None:
            raise Broken(f"no head: {lines[:200]!r}")
        pairs = [line.partition(":") for line in found[2].decode("latin-1").split("\r\n")[1:]]
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        if len(headers) < len(pairs):
            raise Broken(f"a header twice: {lines[:500]!r}")
        return int(found[1]), headers

    def _chunks(self) -> Iterable[bytes]:
        while size := int(self._line() or b"-", 16):
            yield self._exactly(size)
            self._exactly(2)
        self._exactly(2)

    def _line(self) -> bytes:
        try:
            return self._file.readline(_MAX_HEAD)
        except ConnectionResetError:
            return b""

    def _exactly(self, size: int) -> bytes:
        try:
            found = self._file.read(size)
        except ConnectionResetError:
            found = b""
        if len(found) < size:
            raise Broken(f"{len(found)} bytes of {size}")
        return found


def request_of(
    method: str, path: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes, *, host: bool = True
) -> bytes:
    """The bytes of a request, whatever is in it."""
    lines = [(b"Host", b"collector")] * host + [*headers, (b"Content-Length", b"%d" % len(body))]
    head = b"".join(b"%b: %b\r\n" % line for line in lines)
    return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method.encode(), path, head, body)
