"""Deadlines: what a client sends has to be there in time, and what is slow for another reason is left alone."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from app.body import MAX_BODY
from app.deadlines import BODY, HEAD, SLOWEST, Deadlines, Pace
from app.edge import MAX_HEAD
from tests.faults.wire import Answer, Cut, Wire, request
from tests.ways import DEADLINE, Ways, opened, ordinary, serving, short, until

HURRIED = Deadlines(head=0.4, body=0.4)
LATER = 1.2  # seconds: three deadlines
DRIP = 0.05  # seconds between two bytes
REAL = Deadlines(head=10, body=30)
HALF_BODY = ordinary(1)[:-2]
HALF_HEAD, ITS_REST = ordinary(1)[:30], ordinary(1)[30:]


@pytest.fixture
async def ways() -> AsyncIterator[Ways]:
    async with serving(deadlines=HURRIED) as ways:
        yield ways


@pytest.fixture
async def wire(ways: Ways) -> AsyncIterator[Wire]:
    async with opened(ways) as wire:
        yield wire


async def answered(wire: Wire) -> Answer:
    async with asyncio.timeout(DEADLINE):
        return await wire.answer()


async def dripped(wire: Wire, text: bytes) -> None:
    """Send it byte by byte, for as long as somebody takes it."""
    try:
        for place in range(len(text)):
            await wire.send(text[place : place + 1])
            await asyncio.sleep(DRIP)
    except Cut:
        pass


def cuts(ways: Ways) -> dict[str, float]:
    """How many connections were cut, by cause."""
    name = "collector_cut_connections_total"
    lines = (line for line in ways.metrics.text().decode().splitlines() if line.startswith(name))
    found = {line.split('"')[1]: float(line.split()[-1]) for line in lines}
    return {cause: count for cause, count in found.items() if count}


def refused_as_late(answer: Answer, what: str) -> None:
    document = answer.document
    assert (answer.status, answer.closes) == (408, True)
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"date", "x-request-id", "collector-instance", "retry-after"} <= answer.headers.keys()
    assert document["type"] == "urn:problem:too-slow"
    assert (document["retryable"], document["outcome"]) == (True, "not_kept")
    assert what in document["detail"]


@pytest.mark.parametrize("sent", [b"", b"\r\n" * 40], ids=["nothing", "empty lines"])
async def test_who_never_begins_is_let_go_without_a_word(ways: Ways, wire: Wire, sent: bytes) -> None:
    drip = asyncio.create_task(dripped(wire, sent))
    async with asyncio.timeout(DEADLINE):
        assert await wire.rest() == b""
    await until(lambda: not ways.connections)
    assert cuts(ways) == {"silent": 1}
    drip.cancel()


@pytest.mark.parametrize(
    ("begun", "cause"),
    [(HALF_HEAD, "head"), (HALF_BODY.replace(b"4", b"999"), "body")],
    ids=["a head", "a body"],
)
@pytest.mark.parametrize("drips", [False, True], ids=["stops", "drips"])
async def test_what_does_not_come_in_time_is_408(
    ways: Ways, wire: Wire, begun: bytes, cause: str, drips: bool
) -> None:
    await wire.send(begun)
    began = time.monotonic()
    drip = asyncio.create_task(dripped(wire, b"x" * 200)) if drips else None
    refused_as_late(await answered(wire), cause)
    print(f"after {time.monotonic() - began:.2f} s")
    async with asyncio.timeout(DEADLINE):
        assert await wire.rest() == b""
    await until(lambda: not ways.connections)
    assert cuts(ways) == {f"slow_{cause}": 1}
    assert b'collector_responses_total{status="408"} 1.0' in ways.metrics.text()
    assert not ways.server.server_state.tasks
    if drip is not None:
        drip.cancel()


async def test_the_next_request_of_a_connection_has_its_own_time(ways: Ways, wire: Wire) -> None:
    for _ in range(3):
        for one in (short(1), ordinary(1)):
            await wire.send(one)
            assert (await answered(wire)).status == 200
        await asyncio.sleep(0.25)
    await wire.send(HALF_HEAD)
    refused_as_late(await answered(wire), "head")


async def test_a_head_in_pieces_is_served(ways: Ways, wire: Wire) -> None:
    text = ordinary(1)
    for start in range(0, len(text), 20):
        await wire.send(text[start : start + 20])
        await asyncio.sleep(0.01)
    assert (await answered(wire)).body == b"1"
    assert not cuts(ways)


async def test_an_answer_that_takes_long_is_no_fault_of_the_client(ways: Ways, wire: Wire) -> None:
    await wire.send(ordinary(0, x_hold="") + HALF_HEAD)
    await asyncio.sleep(LATER)
    assert not wire.ended
    ways.released.set()
    assert (await answered(wire)).body == b"0"
    await wire.send(ITS_REST)
    assert (await answered(wire)).body == b"1"
    assert not cuts(ways)


async def test_what_an_answer_is_waited_for_with_is_not_cut_either(ways: Ways, wire: Wire) -> None:
    await wire.send(short(0, x_do="wait"))
    await asyncio.sleep(LATER)
    ways.pending[0].end()
    assert (await answered(wire)).body == b"0"
    assert not cuts(ways)


async def test_a_body_behind_another_request_waits_for_us(ways: Ways, wire: Wire) -> None:
    await wire.send(ordinary(0, x_hold="") + HALF_BODY)
    await asyncio.sleep(LATER)
    ways.released.set()
    assert (await answered(wire)).body == b"0"
    await wire.send(ordinary(1)[-2:])
    assert (await answered(wire)).body == b"1"
    assert not cuts(ways)


async def test_a_loop_that_was_late_itself_reads_before_it_judges(ways: Ways, wire: Wire) -> None:
    await wire.send(HALF_HEAD)
    await until(lambda: ways.connections)
    await asyncio.sleep(DRIP)
    wire._writer.write(ITS_REST)
    time.sleep(LATER)  # noqa: ASYNC251 - the loop that serves is this one
    assert (await answered(wire)).body == b"1"
    assert not cuts(ways)


LARGE = b"GET /other HTTP/1.1\r\nHost: c\r\nX-A: "


@pytest.mark.parametrize("size", [MAX_HEAD, 200_000], ids=["a little", "much"])
@pytest.mark.parametrize("at_once", [False, True], ids=["in pieces", "at once"])
async def test_a_head_without_an_end_is_431(ways: Ways, wire: Wire, size: int, at_once: bool) -> None:
    text = LARGE + b"x" * size
    step = len(text) if at_once else 1000
    for start in range(0, len(text), step):
        if wire.ended:
            break
        await wire.send(text[start : start + step])
        await asyncio.sleep(0.001)
    answer = await answered(wire)
    assert (answer.status, answer.closes) == (431, True)
    assert str(MAX_HEAD) in answer.document["detail"]
    await until(lambda: not ways.connections)
    assert cuts(ways) == {"large_head": 1}


async def test_a_head_counts_alone_not_what_came_before_it(ways: Ways, wire: Wire) -> None:
    body = b" " * 3 * MAX_HEAD
    first = request("POST", "/other", body, x_n="0")
    await wire.send(first + HALF_HEAD)
    await asyncio.sleep(DRIP)
    await wire.send(ITS_REST + first[:-MAX_HEAD])
    await asyncio.sleep(DRIP)
    await wire.send(first[-MAX_HEAD:] + HALF_HEAD)
    await asyncio.sleep(DRIP)
    await wire.send(ITS_REST)
    assert [(await answered(wire)).body for _ in range(4)] == [b"0", b"1", b"0", b"1"]
    assert not cuts(ways)


def body_on_a_line(rate: float, size: int) -> Iterator[tuple[float, float]]:
    """When each part of a body comes, and by when it has to: a part a second."""
    pace = Pace(REAL)
    pace.begin()
    pace.body()
    pace.read(HEAD, 100, 0.0)
    now, left = 0.0, float(size)
    while left > 0:
        now += min(1.0, left / rate)
        yield now, pace.due
        pace.read(BODY, int(min(rate, left)), now)
        left -= rate


@pytest.mark.parametrize("rate", [SLOWEST, 2 * SLOWEST, 1_000_000], ids=str)
def test_a_large_body_on_a_slow_but_honest_line_comes_through(rate: float) -> None:
    assert all(now < due for now, due in body_on_a_line(rate, MAX_BODY))


@pytest.mark.parametrize("rate", [1, 100, SLOWEST / 4], ids=str)
def test_a_drip_is_cut_however_steady_it_is(rate: float) -> None:
    late = next(now for now, due in body_on_a_line(rate, MAX_BODY) if now > due)
    print(f"{rate} bytes a second: cut after {late:.0f} s")
    assert late <= REAL.body / (1 - rate / SLOWEST) + 2


def test_a_body_without_an_end_has_an_end() -> None:
    last = max(due for _, due in body_on_a_line(100_000, 20 * MAX_BODY))
    assert last <= REAL.body + MAX_BODY / SLOWEST + 100_000 / SLOWEST
