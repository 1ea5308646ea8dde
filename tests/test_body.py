"""Bodies: inflated as they stream, and never more of them than the limit."""

import asyncio
import contextlib
import gzip
import os
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.body import MAX_BODY, MAX_FRAMES, SLICE, Bodies, ClientGone, Receive
from app.errors import Draining, Malformed, Overloaded, TooLarge, UnsupportedType

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DEADLINE = 10.0  # seconds
TEXT = b'{"source":"ci","action":"build"}\n' * 1000
PACKS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress}
MIB = 2**20


def receiving(chunks: Iterable[bytes], *, gone: bool = False) -> Receive:
    """An ASGI `receive`; `gone`: the client hangs up after the last chunk."""
    pieces = list(chunks)
    last = len(pieces) if gone else len(pieces) - 1

    def messages() -> Iterator[dict[str, Any]]:
        for number, chunk in enumerate(pieces):
            yield {"type": "http.request", "body": chunk, "more_body": number < last}
        yield {"type": "http.disconnect"}

    left = messages()

    async def receive() -> dict[str, Any]:
        return next(left)

    return receive


async def read(*chunks: bytes, encoding: str | None = None, length: str | None = None) -> bytes:
    return await Bodies().read(receiving(chunks), length=length, encoding=encoding)


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


@pytest.fixture(params=PACKS)
def coding(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pack(coding: str) -> Callable[[bytes], bytes]:
    return PACKS[coding]


@pytest.mark.parametrize("encoding", [None, "", "identity", " Identity "])
async def test_a_plain_body_is_what_was_sent(encoding: str | None) -> None:
    assert await read(TEXT, encoding=encoding) == TEXT
    assert await read(*cut(TEXT, 1000), encoding=encoding) == TEXT
    assert await read(b"", encoding=encoding) == b""
    assert await read(b"", TEXT, b"", encoding=encoding) == TEXT


@pytest.mark.parametrize("size", [1, 7, SLICE, 10**6])
async def test_a_packed_body_is_inflated_however_it_is_cut(
    coding: str, pack: Callable[[bytes], bytes], size: int
) -> None:
    assert await read(*cut(pack(TEXT), size), encoding=coding) == TEXT


@pytest.mark.parametrize("size", [1, 7, SLICE, 10**6])
async def test_several_members_or_frames_are_one_body(
    coding: str, pack: Callable[[bytes], bytes], size: int
) -> None:
    body = pack(b"one") + pack(b"") + pack(TEXT) + pack(b"two")
    assert await read(*cut(body, size), encoding=coding) == b"one" + TEXT + b"two"


async def test_many_small_members_or_frames_are_read(coding: str, pack: Callable[[bytes], bytes]) -> None:
    assert await read(pack(b"x") * MAX_FRAMES, encoding=coding) == b"x" * MAX_FRAMES


async def test_more_of_them_than_anyone_needs_are_refused(coding: str, pack: Callable[[bytes], bytes]) -> None:
    # An empty one inflates to nothing, so no limit of bytes would end this.
    with pytest.raises(Malformed, match="more than"):
        await read(pack(b"") * (MAX_FRAMES + 1), encoding=coding)


@pytest.mark.parametrize("encoding", ["GZIP", " gzip ", "x-gzip", "Zstd"])
async def test_the_coding_is_read_as_http_says(encoding: str) -> None:
    assert await read(PACKS["zstd" if "z" in encoding.lower()[:1] else "gzip"](TEXT), encoding=encoding) == TEXT


@pytest.mark.parametrize("encoding", ["br", "deflate", "compress", "gzip, zstd", "*", "gzip;q=1"])
async def test_another_coding_is_unsupported(encoding: str) -> None:
    with pytest.raises(UnsupportedType) as caught:
        await read(TEXT, encoding=encoding)
    assert caught.value.header_lines()["Accept-Encoding"] == "gzip, zstd, identity"


@pytest.mark.parametrize("left_out", [1, 5, 20])
async def test_a_body_that_ends_too_early_is_malformed(
    coding: str, pack: Callable[[bytes], bytes], left_out: int
) -> None:
    with pytest.raises(Malformed, match=coding):
        await read(pack(TEXT)[:-left_out], encoding=coding)


async def test_an_empty_body_is_not_packed(coding: str) -> None:
    with pytest.raises(Malformed, match=f"the {coding} body ends too early"):
        await read(b"", encoding=coding)


@pytest.mark.parametrize("body", [TEXT, b"\0" * 100, bytes(range(256))])
async def test_garbage_is_malformed(coding: str, pack: Callable[[bytes], bytes], body: bytes) -> None:
    with pytest.raises(Malformed, match=f"the body is not {coding}: "):
        await read(body, encoding=coding)
    with pytest.raises(Malformed, match=f"the body is not {coding}: "):
        await read(pack(TEXT) + body, encoding=coding)


async def test_one_coding_is_not_taken_for_another() -> None:
    with pytest.raises(Malformed):
        await read(gzip.compress(TEXT), encoding="zstd")
    with pytest.raises(Malformed):
        await read(zstd.compress(TEXT), encoding="gzip")
    with pytest.raises(Malformed):
        await read(zlib.compress(TEXT), encoding="gzip")


async def test_a_flipped_bit_is_malformed() -> None:
    packed = bytearray(gzip.compress(os.urandom(1000)))
    packed[500] ^= 1
    with pytest.raises(Malformed):
        await read(bytes(packed), encoding="gzip")


async def test_a_frame_that_wants_a_large_window_is_malformed() -> None:
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 27}
    packer = zstd.ZstdCompressor(options=options)
    packed = packer.compress(os.urandom(100)) + packer.flush()
    with pytest.raises(Malformed, match="the body is not zstd: "):
        await read(packed, encoding="zstd")


@pytest.mark.parametrize("size", [MAX_BODY, 65_536])
async def test_a_body_may_have_the_limit_and_no_more(size: int) -> None:
    body = b"x" * MAX_BODY
    assert len(await read(*cut(body, size))) == MAX_BODY
    with pytest.raises(TooLarge):
        await read(*cut(body + b"x", size))
    with pytest.raises(TooLarge):
        await read(body + b"x")


async def test_a_body_may_inflate_to_the_limit_and_no_more(coding: str, pack: Callable[[bytes], bytes]) -> None:
    assert len(await read(pack(b"x" * MAX_BODY), encoding=coding)) == MAX_BODY
    with pytest.raises(TooLarge):
        await read(pack(b"x" * (MAX_BODY + 1)), encoding=coding)
    with pytest.raises(TooLarge):
        await read(pack(b"x" * MAX_BODY) + pack(b"x"), encoding=coding)


async def test_what_is_sent_packed_is_limited_too(coding: str, pack: Callable[[bytes], bytes]) -> None:
    empty = pack(b"")
    chunks = cut(empty * (MIB // len(empty)), 65_536)
    with pytest.raises((TooLarge, Malformed)):
        await read(*chunks, pack(os.urandom(MAX_BODY)), encoding=coding)


@pytest.mark.parametrize("length", [str(MAX_BODY + 1), "9" * 15])
async def test_a_length_past_the_limit_is_refused_before_anything_is_read(length: str) -> None:
    async def never() -> dict[str, Any]:
        raise AssertionError

    with pytest.raises(TooLarge):
        await Bodies().read(never, length=length, encoding=None)


@pytest.mark.parametrize("members", [1, 200])
async def test_a_bomb_takes_no_more_memory_than_the_limit(
    coding: str, pack: Callable[[bytes], bytes], members: int
) -> None:
    bomb = cut(pack(bytes(200 * MIB // members)) * members, 65_536)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            await read(*bomb, encoding=coding)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MAX_BODY


async def test_a_client_that_hangs_up_is_told_apart(coding: str, pack: Callable[[bytes], bytes]) -> None:
    for chunks in ([], [pack(TEXT)], [pack(TEXT)[:100]]):
        with pytest.raises(ClientGone):
            await Bodies().read(receiving(chunks, gone=True), length=None, encoding=coding)
        with pytest.raises(ClientGone):
            await Bodies().read(receiving(chunks, gone=True), length=None, encoding=None)


class Slow:
    """A client that has sent part of its body, and no more."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = list(chunks)
        self.asked = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if self._chunks:
            return {"type": "http.request", "body": self._chunks.pop(0), "more_body": True}
        self.asked.set()
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


@pytest.mark.parametrize("chunks", [(), (b"[",)])
async def test_a_process_that_leaves_cuts_what_is_half_sent(chunks: tuple[bytes, ...]) -> None:
    bodies, client = Bodies(), Slow(*chunks)
    async with asyncio.timeout(DEADLINE):
        reading = asyncio.create_task(bodies.read(client.receive, length=None, encoding=None))
        await client.asked.wait()
        bodies.cut()
        with pytest.raises(Draining) as caught:
            await reading
    assert caught.value.outcome == "not_kept"


async def test_what_is_cancelled_by_others_stays_cancelled() -> None:
    client = Slow(b"[")
    reading = asyncio.create_task(Bodies().read(client.receive, length=None, encoding=None))
    async with asyncio.timeout(DEADLINE):
        await client.asked.wait()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert reading.cancelled()


async def test_what_was_read_is_never_cut() -> None:
    bodies = Bodies()
    assert await bodies.read(receiving([TEXT]), length=None, encoding=None) == TEXT
    bodies.cut()
    await asyncio.sleep(0)  # a cancellation would arrive here


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=5), st.sampled_from(["gzip", "zstd", None, "odd"]))
def test_any_bytes_raise_only_what_is_documented(chunks: list[bytes], encoding: str | None) -> None:
    with contextlib.suppress(Malformed, UnsupportedType):
        asyncio.run(read(*chunks, encoding=encoding))


@pytest.mark.parametrize("coding", [None, *PACKS])
async def test_bodies_that_are_half_sent_have_room_for_so_many_bytes_together(coding: str | None) -> None:
    text = os.urandom(MIB)
    body = text if coding is None else PACKS[coding](text)
    bodies, slow = Bodies(MIB * 3 // 2), [Slow(body[: MIB // 2]), Slow(body[: MIB // 2])]

    async def read_whole() -> bytes:
        return await bodies.read(receiving([*cut(body, 10_000), b""]), length=None, encoding=coding)

    reading = [asyncio.create_task(bodies.read(one.receive, length=None, encoding=coding)) for one in slow]
    async with asyncio.timeout(DEADLINE):
        for one in slow:
            await one.asked.wait()
    with pytest.raises(Overloaded) as caught:
        await read_whole()
    assert caught.value.outcome == "not_kept"
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    for _ in range(3):
        assert await read_whole() == text
