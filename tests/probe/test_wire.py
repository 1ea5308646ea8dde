"""What a connection does, and what is known when it breaks."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from app.probe import client
from app.probe.client import Caller
from tests.ports import LOOPBACK, free_port

OK = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nCollector-Instance: c1\r\nRetry-After: 3\r\n\r\n{}"
Answers = Callable[[int], list[bytes | None]]  # of the nth request: pieces, None ends the connection


@asynccontextmanager
async def server(
    answers: Answers, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers as told; gives its URL, and the requests that came, each with the number of its connection."""
    asked: list[bytes] = []
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        number = len(serving)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                asked.append(b"%d %b" % (number, head + await reader.readexactly(length)))
                for piece in answers(len(asked)):
                    if piece is None:
                        raise ConnectionError
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.005)
        writer.close()

    listener = await asyncio.start_server(serve, LOOPBACK, 0, ssl=context)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        yield f"{'https' if context else 'http'}://{LOOPBACK}:{port}", asked
        for task in serving:
            if task is not None:
                task.cancel()
        await asyncio.gather(*filter(None, serving), return_exceptions=True)


async def test_a_connection_is_kept_or_not() -> None:
    for keep, numbers in ((1, [1, 1, 1]), (0, [1, 2, 3])):
        async with server(lambda _: [OK]) as (url, asked):
            caller = Caller(f"{url}/base/", keep=keep)
            replies = [await caller.post("/events", b"{}") for _ in range(3)]
            caller.close()
        assert [int(one[:1]) for one in asked] == numbers
        assert all(one[2:].startswith(b"POST /base/events HTTP/1.1\r\nHost: 127.0.0.1:") for one in asked)
        assert all(one.endswith(b"\r\n\r\n{}") for one in asked)
        assert [(one.status, one.body, one.instance, one.retry_after) for one in replies] == [
            (201, b"{}", "c1", 3)
        ] * 3


async def test_a_connection_that_the_other_side_ends_is_not_used_again() -> None:
    closes = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with server(lambda n: [closes] if n == 1 else [OK, None] if n == 2 else [OK]) as (url, asked):
        caller = Caller(url)
        for _ in range(3):
            assert (await caller.post("/events", b"{}")).status == 201
            async with asyncio.timeout(30):
                while True:
                    if len(asked) != 2 or all(wire.closed for wire in caller._idle):
                        break
                    await asyncio.sleep(0.005)
        caller.close()
    assert [int(one[:1]) for one in asked] == [1, 2, 3]


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 100 Continue\r\n\r\n", OK],
        [OK[:30], OK[30:]],
        [bytes((byte,)) for byte in OK],
        [b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b"1\r\n}\r\n0\r\n\r\n"],
    ],
)
async def test_an_answer_may_come_in_pieces(pieces: list[bytes]) -> None:
    async with server(lambda _: list(pieces)) as (url, _):
        caller = Caller(url)
        for _ in range(2):
            reply = await caller.post("/events", b"{}")
            assert (reply.status, reply.body) == (201, b"{}")
        caller.close()


@pytest.mark.parametrize(
    "pieces", [[None], [OK[:-1], None], [b"HTTP/1.1 201", None], [b"nonsense\r\n\r\n"], [b"SSH-2.0\r\n\r\n", None]]
)
async def test_what_is_no_whole_answer_leaves_it_unknown(pieces: list[bytes | None]) -> None:
    async with server(lambda n: pieces if n == 1 else [OK]) as (url, _):
        caller = Caller(url)
        reply = await caller.post("/events", b"{}")
        assert (reply.status, reply.error, reply.sent) == (None, "Cut", True)
        assert (await caller.post("/events", b"{}")).status == 201
        caller.close()


async def test_an_answer_that_does_not_come_leaves_it_unknown() -> None:
    async with server(lambda _: []) as (url, _):
        reply = await Caller(url, seconds=0.05).post("/events", b"{}")
    assert (reply.status, reply.error, reply.sent) == (None, "TimeoutError", True)


@pytest.mark.parametrize("host", [f"{LOOPBACK}:{free_port()}", "no-such-host.invalid"], ids=["refused", "unknown"])
async def test_what_was_not_sent_is_told_from_what_may_have_come(host: str) -> None:
    reply = await Caller(f"http://{host}").post("/events", b"{}")
    assert (reply.status, reply.sent) == (None, False)
    assert reply.error is not None
    assert reply.error.startswith("connecting: ")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of loopback that nobody has signed, and its key."""
    found, key = tmp_path / "certificate", tmp_path / "key"
    words = f"req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {found} -days 1 -subj /CN=x -addext"
    subprocess.run(["openssl", *words.split(), f"subjectAltName=IP:{LOOPBACK}"], check=True, capture_output=True)
    return found, key


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")
async def test_over_tls_the_certificate_counts(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    async with server(lambda _: [OK], context) as (url, _):
        strange = await Caller(url).post("/events", b"{}")
        assert (strange.sent, strange.error) == (False, "connecting: SSLCertVerificationError")
        known = ssl.create_default_context(cafile=certificate[0])
        monkeypatch.setattr(client, "_trust", lambda: known)
        caller = Caller(url)
        assert (await caller.post("/events", b"{}")).status == 201
        caller.close()
        await asyncio.sleep(0.05)
