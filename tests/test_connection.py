"""Connections: which request takes the shortcut, and that nobody can tell by the answer."""

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from app.deadlines import Deadlines
from app.edge import BEGUN, MAX_HEAD, header
from tests.faults.wire import Answer, Cut, Wire, request
from tests.ways import DEADLINE, Pending, Ways, opened, ordinary, serving, short, until

MOMENT = 0.05  # seconds, in which a loop that has nothing else to do has read what was sent
PLAIN = {
    "a body": short(1, b'{"a": "b"}'),
    "a query": request("GET", '/events?a=%20b&c=d?e/f"<>{}|^`\\', x_n="1"),
    "an empty query": request("GET", "/events?", x_n="1"),
    "nothing": request("GET", "/events", x_n="1"),
    "a length of zero": short(1, b""),
    "chunks": request("POST", "/events", transfer_encoding="chunked", x_n="1") + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
}


def odd(first: str = "POST /events HTTP/1.1", *lines: str, body: bytes = b"{}") -> bytes:
    """A request whose head is written by hand; a line of Host is added, unless it is an empty one."""
    host = [] if "" in lines else ["Host: collector"]
    head = [first, *host, *filter(None, lines), f"Content-Length: {len(body)}", "X-N: 1"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


ODD = {
    "large": (odd(body=b" " * MAX_HEAD),),
    "a head, then a body": (odd()[:-2], b"{}"),
    "half a head": (odd()[:30], odd()[30:]),
    "half a body": (odd()[:-1], b"}"),
    "expect": (odd("POST /events HTTP/1.1", "Expect: 100-continue"),),
    "HTTP/1.0": (odd("POST /events HTTP/1.0"),),
    "HTTP/1.0, kept alive": (odd("POST /events HTTP/1.0", "Connection: keep-alive"),),
    "close": (odd("POST /events HTTP/1.1", "Connection: close"),),
    "a fragment": (odd("GET /events?a=b#c HTTP/1.1"),),
    "a fragment alone": (odd("GET /events#c HTTP/1.1"),),
    "another method": (odd("PUT /events HTTP/1.1"),),
    "another path": (odd("POST /events/ HTTP/1.1"),),
    "the path, encoded": (odd("POST /%65vents HTTP/1.1"),),
    "the path, twice the slash": (odd("POST //events HTTP/1.1"),),
    "an absolute URL": (odd("POST http://collector/events HTTP/1.1"),),
    "a name twice": (odd("POST /events HTTP/1.1", "X-A: 1", "x-a: 2"),),
    "two hosts": (odd("POST /events HTTP/1.1", "Host: other"),),
    "no host": (odd("POST /events HTTP/1.1", ""),),
}
WISHES = {
    "HTTP/2": ("Connection: keep-alive, Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    "a web socket": ("Connection: Upgrade", "Upgrade: websocket"),
}
NO_HTTP = b"\0\r\n\r\n"
HALF = request("POST", "/events", transfer_encoding="chunked") + b"2\r\n{}\r\n"
CANNOT = ["none", "raise", "fail", "cancel", "then none", "raise at the end"]


@pytest.fixture
async def ways() -> AsyncIterator[Ways]:
    async with serving() as ways:
        yield ways


@pytest.fixture(autouse=True)
def _nothing_goes_wrong_unseen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert not [
        one for when in ("setup", "call") for one in caplog.get_records(when) if one.levelno >= logging.ERROR
    ]


@pytest.fixture
async def wire(ways: Ways) -> AsyncIterator[Wire]:
    async with opened(ways) as wire:
        yield wire


async def answered(wire: Wire) -> Answer:
    async with asyncio.timeout(DEADLINE):
        answer = await wire.answer()
        return answer if answer.status != 100 else await wire.answer()


def way(answer: Answer) -> str:
    assert answer.status == 200
    return answer.headers["x-way"]


async def said(wire: Wire, parts: tuple[bytes, ...]) -> Answer:
    """The answer to a request that is sent in parts, on a connection that is in use."""
    await wire.send(ordinary(0))
    assert way(await answered(wire)) == "ordinary"
    for part in parts:
        await wire.send(part)
        await asyncio.sleep(MOMENT if part is not parts[-1] else 0)
    return await answered(wire)


@pytest.mark.parametrize("plain", PLAIN.values(), ids=PLAIN)
async def test_a_whole_request_takes_the_shortcut(ways: Ways, wire: Wire, plain: bytes) -> None:
    await wire.send(plain)
    answer = await answered(wire)
    assert (way(answer), answer.body, answer.headers["collector-instance"]) == ("short", b"1", "here")
    assert {"date", "x-request-id"} <= answer.headers.keys()
    assert not answer.closes
    assert not ways.scopes
    ((headers, query, body),) = ways.begun
    head, _, sent = plain.partition(b"\r\n\r\n")
    assert headers[b"host"] == b"collector"
    assert query == head.split()[1].partition(b"?")[2]
    assert body == (sent if b"chunked" not in head else b"abc")


@pytest.mark.parametrize("name", [*PLAIN, *ODD])
async def test_the_application_is_given_what_it_would_be_given_without_shortcuts(ways: Ways, name: str) -> None:
    parts = ODD.get(name) or (PLAIN[name].replace(b"X-N: 1", b"X-N: 1\r\nX-Do: none"),)
    async with serving(short=False) as stock:
        answers = []
        for one in (ways, stock):
            async with opened(one) as wire:
                answers.append(await said(wire, parts))
    ours, theirs = answers
    assert (way(ours), ours.body, ours.closes) == (way(theirs), theirs.body, theirs.closes)
    assert ours.headers.keys() == theirs.headers.keys()
    assert len(ways.scopes) == 2
    assert ways.came() == stock.came()
    assert len(ways.begun) == (name in PLAIN)
    assert ways.scopes[1].get(BEGUN) is None


@pytest.mark.parametrize("wish", WISHES.values(), ids=WISHES)
async def test_a_wish_for_another_protocol_is_ignored(ways: Ways, wire: Wire, wish: tuple[str, ...]) -> None:
    asks = odd("POST /events HTTP/1.1", *wish)
    for parts in ((asks,), (asks[:60], asks[60:-1], asks[-1:]), (asks * 3,)):
        for part in parts:
            await wire.send(part)
            await asyncio.sleep(MOMENT)
        for _ in range(3 if parts == (asks * 3,) else 1):
            assert way(await answered(wire)) in ("short", "ordinary")
    assert len(ways.begun) + len(ways.scopes) == 5
    for headers, _, body in ways.begun:
        assert body == b"{}"
        assert headers.get(b"connection", b"") in (b"", b"keep-alive")
        assert not {b"upgrade", b"http2-settings"} & headers.keys()


async def test_nothing_begins_while_the_process_leaves(ways: Ways, wire: Wire) -> None:
    ways.readiness.draining = True
    await wire.send(short(1))
    assert way(await answered(wire)) == "ordinary"
    assert not ways.begun


@pytest.mark.parametrize("do", CANNOT)
async def test_what_a_shortcut_cannot_say_the_application_says_once(ways: Ways, wire: Wire, do: str) -> None:
    for n in range(2):
        await wire.send(short(n, x_do=do))
        answer = await answered(wire)
        assert (way(answer), answer.body) == ("ordinary", b"%d" % n)
    assert len(ways.scopes) == len(ways.begun) == 2
    expected: list[Pending] | list[None] = ways.pending or [None, None]
    assert [scope[BEGUN] for scope in ways.scopes] == expected
    await wire.send(short(2))
    assert way(await answered(wire)) == "short"


@pytest.mark.parametrize("first", ["short", "wait", "wait, then none", "hold"])
@pytest.mark.parametrize("apart", [False, True], ids=["in one write", "one by one"])
async def test_answers_come_in_the_order_of_their_requests(
    ways: Ways, wire: Wire, first: str, apart: bool
) -> None:
    opening = ordinary(0, x_hold="") if first == "hold" else short(0, x_do=first)
    rest = [short(1), ordinary(2), short(3, x_do="none"), short(4), ordinary(5), ordinary(6), short(7)]
    parts = [opening, *rest] if apart else [opening + b"".join(rest)]
    for part in parts:
        await wire.send(part)
        await asyncio.sleep(MOMENT / 5)
    await until(lambda: ways.begun or ways.scopes)
    if first != "short":
        assert len(ways.begun) + len(ways.scopes) == 1
    ways.released.set()
    for pending in ways.pending:
        if not pending.answer.done():
            pending.end()
    answers = [await answered(wire) for _ in range(8)]
    assert [answer.body for answer in answers] == [b"%d" % n for n in range(8)]
    assert not any(answer.closes for answer in answers)
    given = [header(scope, b"x-n") for scope in ways.scopes]
    assert len(given) == len(set(given))


@pytest.mark.parametrize("waits", [short(0, x_do="wait"), ordinary(0, x_hold="")], ids=["short", "ordinary"])
@pytest.mark.parametrize("between", [b"", ordinary(1), HALF], ids=["", "another", "half of another"])
async def test_what_is_no_http_is_not_told_in_place_of_an_answer(
    ways: Ways, wire: Wire, waits: bytes, between: bytes
) -> None:
    await wire.send(waits + between + NO_HTTP)
    async with asyncio.timeout(DEADLINE):
        assert await wire.rest() == b""
    await until(lambda: not ways.connections)


@pytest.mark.parametrize("before", [b"", short(0), ordinary(0)], ids=["", "short", "ordinary"])
async def test_what_is_no_http_is_400(ways: Ways, wire: Wire, before: bytes) -> None:
    if before:
        await wire.send(before)
        assert (await answered(wire)).status == 200
    await wire.send(NO_HTTP)
    answer = await answered(wire)
    assert (answer.status, answer.closes) == (400, True)


async def test_a_body_that_is_no_http_is_400(ways: Ways, wire: Wire) -> None:
    await wire.send(HALF + NO_HTTP)
    answer = await answered(wire)
    assert (answer.status, answer.closes) == (400, True)
    assert not ways.begun


@pytest.mark.parametrize("do", ["wait", "wait, then none"])
@pytest.mark.parametrize("reset", [False, True], ids=["closes", "resets"])
async def test_a_client_that_goes_away_leaves_nothing(ways: Ways, do: str, reset: bool) -> None:
    wire = await Wire.open(ways.port)
    await wire.send(short(0, x_do=do))
    await until(lambda: ways.pending)
    if reset:
        linger = struct.pack("ii", 1, 0)
        wire._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    wire.abort()
    await until(lambda: not ways.connections)
    ways.pending[0].end()
    await until(lambda: ways.scopes if do.endswith("none") else counted(ways))
    assert not ways.server.server_state.tasks
    async with opened(ways) as other:
        assert way(await other.ask("POST", "/events", b"{}")) == "short"


async def test_a_client_that_is_idle_is_closed_and_one_that_waits_is_not() -> None:
    hurried = Deadlines(head=0.1, body=0.1, idle=0.1)
    async with serving(deadlines=hurried) as ways, opened(ways) as wire:
        await wire.send(short(0))
        assert way(await answered(wire)) == "short"
        await wire.send(short(1, x_do="wait"))
        await until(lambda: len(ways.pending) == 2)
        await asyncio.sleep(0.4)
        ways.pending[-1].end()
        assert way(await answered(wire)) == "short"
        await until(lambda: not ways.connections)


def counted(ways: Ways) -> bool:
    return b'collector_responses_total{status="200"} 1.0' in ways.metrics.text()


async def test_every_answer_of_a_shortcut_is_counted(ways: Ways, wire: Wire) -> None:
    for _ in range(3):
        assert way(await wire.ask("POST", "/events", b"{}")) == "short"
    assert way(await wire.ask("GET", "/events?a=b")) == "short"
    text = ways.metrics.text()
    assert b'collector_responses_total{status="200"} 4.0' in text
    assert b'collector_request_duration_seconds_count{route="POST /events"} 3.0' in text
    assert b'collector_request_duration_seconds_count{route="GET /events"} 1.0' in text


async def test_an_answer_that_comes_while_the_process_leaves_ends_the_connection(ways: Ways, wire: Wire) -> None:
    await wire.send(short(0, x_do="wait") + short(1))
    await until(lambda: ways.pending)
    ways.readiness.draining = True
    ways.pending[0].end()
    answer = await answered(wire)
    assert (way(answer), answer.body, answer.closes) == ("short", b"0", True)
    assert await wire.rest() == b""
    assert not ways.scopes


async def test_the_id_of_a_request_is_taken_or_made(wire: Wire) -> None:
    ids = []
    for given in ("mine-1", "no id", "x" * 65, ""):
        answer = await wire.ask("POST", "/events", b"{}", x_request_id=given)
        assert way(answer) == "short"
        ids.append(answer.headers["x-request-id"])
    assert ids[0] == "mine-1"
    assert all(one.startswith("id-") for one in ids[1:])
    assert len(set(ids)) == 4


async def test_the_date_goes_on(ways: Ways, wire: Wire) -> None:
    async def date() -> str:
        answer = await wire.ask("POST", "/events", b"{}")
        assert way(answer) == "short"
        return answer.headers["date"]

    first = await date()
    async with asyncio.timeout(DEADLINE):
        while True:
            if await date() != first:
                return
            await asyncio.sleep(MOMENT)


def has_answered(ways: Ways, count: int) -> bool:
    return ways.server.server_state.total_requests == count


async def test_a_client_that_does_not_read_takes_no_shortcuts_and_little_memory() -> None:
    size, more = 2**20, 20
    async with serving(size=size) as ways, opened(ways) as wire:
        wire._writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: ways.connections)
        (connection,) = ways.connections
        sent = 0
        while not connection.flow.write_paused:
            await wire.send(short(sent))
            sent += 1
            await until(partial(has_answered, ways, sent))
        for n in range(sent, sent + more):
            await wire.send(short(n))
            await asyncio.sleep(0)
        await until(lambda: connection.pipeline)
        await asyncio.sleep(MOMENT)
        assert connection.transport.get_write_buffer_size() <= size + 2**16
        assert len(ways.begun) == sent
        assert len(connection.pipeline) < more
        wire._writer.transport.resume_reading()  # type: ignore[attr-defined]
        answers = [await answered(wire) for _ in range(sent + more)]
    assert [answer.body.rstrip() for answer in answers] == [b"%d" % n for n in range(sent + more)]


@pytest.mark.parametrize("do", ["wait", "wait, then none"])
async def test_a_server_that_ends_waits_for_what_is_under_way(ways: Ways, wire: Wire, do: str) -> None:
    await wire.send(short(0, x_do=do))
    await until(lambda: ways.pending)
    (connection,) = ways.connections
    ways.server.should_exit = True
    await until(lambda: not connection.cycle.keep_alive)
    await asyncio.sleep(MOMENT)
    assert not wire.ended
    ways.pending[0].end()
    answer = await answered(wire)
    assert (way(answer), answer.closes) == ("ordinary" if do.endswith("none") else "short", True)
    assert await wire.rest() == b""


async def test_a_server_that_ends_closes_what_was_answered(ways: Ways, wire: Wire) -> None:
    assert way(await wire.ask("POST", "/events", b"{}")) == "short"
    ways.server.should_exit = True
    assert await wire.rest() == b""
    with pytest.raises(Cut):
        await answered(wire)
