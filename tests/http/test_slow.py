"""Slow readers: one that takes nothing is cut off, one that falls far behind is told of a gap, others get all."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.http.conftest import sqlite_at
from tests.http.following import Frame, following, take
from tests.http.serving import DEADLINE, async_client_of, event, eventually, running
from tests.ports import LOOPBACK
from tests.process import CollectorProcess

STALL, LAG = 1.0, 1.0  # seconds
BATCH, SIZE = 200, 10_000  # events, and bytes of each: 2 MB
MANY = 5  # batches: more than the kernel's buffers hold, which are bounded at 4 MiB where nobody changed that


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[CollectorProcess]:
    """A collector that soon cuts off who takes nothing."""
    with running({**sqlite_at(tmp_path), "STALL_SECONDS": str(STALL)}) as process:
        yield process


@pytest.fixture
def hurried(tmp_path: Path) -> Iterator[CollectorProcess]:
    """A collector that soon leaves out what a stream is behind with."""
    with running({**sqlite_at(tmp_path), "STREAM_LAG_SECONDS": str(LAG)}) as process:
        yield process


@contextmanager
def stream_of(process: CollectorProcess, query: str) -> Iterator[socket.socket]:
    """A connection that has asked for a stream and takes as little as a connection can."""
    with closing(socket.socket()) as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.settimeout(DEADLINE)
        reader.connect((LOOPBACK, process.port))
        reader.sendall(f"GET /events/stream{query} HTTP/1.1\r\nHost: c\r\n\r\n".encode())
        yield reader


async def fill(client: httpx.AsyncClient, batches: int) -> list[int]:
    """Post so many batches; the numbers of all that is kept."""
    for _ in range(batches):
        answer = await client.post("/events", json=[event("s", data="x" * SIZE) for _ in range(BATCH)])
        assert answer.status_code == 201
    return await numbers(client, 0)


async def numbers(client: httpx.AsyncClient, after: int) -> list[int]:
    """The numbers of all that is kept after a position."""
    answer = await client.get(
        "/events", params={"order": "asc", "cursor": str(after)}, headers={"Accept": "application/x-ndjson"}
    )
    return [json.loads(line)["seq"] for line in answer.text.splitlines()]


async def metric(client: httpx.AsyncClient, name: str) -> float:
    lines = (await client.get("/metrics")).text.splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


def frames_in(answer: bytes) -> list[Frame]:
    """The whole frames of an answer that came in chunks."""
    chunks, body = answer.partition(b"\r\n\r\n")[2], b""
    while len(chunks) > 2:
        size, _, rest = chunks.partition(b"\r\n")
        body, chunks = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    whole = body.rpartition(b"\n\n")[0].decode().split("\n\n")
    return [dict(line.partition(": ")[::2] for line in frame.splitlines()) for frame in whole]


def ids_in(answer: bytes) -> list[int]:
    return [int(frame["id"]) for frame in frames_in(answer) if "id" in frame]


async def received(reader: socket.socket, text: bytes, already: bytes = b"") -> bytes:
    """All that comes until there is a whole frame with this text, with what had come already."""

    def receive() -> bytes:
        found = bytearray(already)
        while text not in found[-2 * SIZE :] or not found.endswith(b"\n\n\r\n"):
            data = reader.recv(2**16)
            assert data, "it was cut off"
            found += data
        return bytes(found)

    return await asyncio.to_thread(receive)


async def test_a_reader_that_takes_nothing_is_cut_off_and_resumes_without_a_miss(
    impatient: CollectorProcess,
) -> None:
    async with async_client_of(impatient) as client:
        kept = await fill(client, MANY)
        with stream_of(impatient, "?cursor=0") as reader:
            await eventually(lambda: metric(client, "collector_stalled_clients_total"), lambda cut: cut == 1)
            await eventually(lambda: metric(client, "collector_streams"), lambda still_open: still_open == 0)
            taken = ids_in(await asyncio.to_thread(rest_of, reader))
        print(f"took {len(taken)} of {len(kept)} events before it was cut off")
        assert taken == kept[: len(taken)]
        assert len(taken) < len(kept)
        async with following(client, after=str(taken[-1] if taken else 0)) as frames:
            taken += [one["seq"] for one in await take(frames, len(kept) - len(taken))]
        assert taken == kept


def rest_of(reader: socket.socket) -> bytes:
    """What can be read until the connection is cut."""
    found = bytearray()
    with suppress(ConnectionResetError):
        while data := reader.recv(2**16):
            found += data
    return bytes(found)


async def test_a_reader_that_takes_a_little_now_and_then_is_left_alone(impatient: CollectorProcess) -> None:
    async with async_client_of(impatient) as client:
        kept = await fill(client, MANY)
        with stream_of(impatient, "?cursor=0") as reader:
            found = b""
            for _ in range(15):  # three times the patience that there is for one who takes nothing
                found += await asyncio.to_thread(reader.recv, 2**16)
                await asyncio.sleep(STALL / 5)
            found = await received(reader, b"id: %d\n" % kept[-1], found)
        assert await metric(client, "collector_stalled_clients_total") == 0
        assert ids_in(found) == kept


async def test_a_reader_that_fell_behind_is_told_of_the_gap_and_goes_on_at_the_end(
    hurried: CollectorProcess,
) -> None:
    async with async_client_of(hurried) as client:
        with stream_of(hurried, "") as reader:
            found = await received(reader, b"retry: ")
            await fill(client, MANY)
            await asyncio.sleep(2 * LAG)
            kept = await fill(client, 1)
            found = await received(reader, b"event: gap\n", found)
            last = (await client.post("/events", json=event("s", id="last"))).json()["seq"]
            found = await received(reader, b"id: %d\n" % last, found)
        (gap,) = [json.loads(frame["data"]) for frame in frames_in(found) if frame.get("event") == "gap"]
        print(
            f"{len(kept)} events, left out: {len([seq for seq in kept if gap['after'] < seq <= gap['through']])}"
        )
        shown = ids_in(found)
        assert shown == [seq for seq in kept if seq <= gap["after"]] + [gap["through"], last]
        assert gap["through"] == kept[-1]
        assert gap["after"] < gap["through"]
        assert await metric(client, "collector_stream_gaps_total") == 1


async def test_a_reader_that_was_away_gets_all_of_it(hurried: CollectorProcess) -> None:
    async with async_client_of(hurried) as client:
        kept = await fill(client, 1)
        await asyncio.sleep(2 * LAG)
        kept = await fill(client, 1)
        async with following(client, cursor="0") as frames:
            assert [one["seq"] for one in await take(frames, len(kept))] == kept
        assert await metric(client, "collector_stream_gaps_total") == 0
