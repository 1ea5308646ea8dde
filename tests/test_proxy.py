"""Proxy: what tests of a broken network count on."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.ports import LOOPBACK
from tests.proxy import Mode, Proxy
from tests.servers import PostgresServer

SOON = 0.2  # seconds; an echo takes under one ms
DEADLINE = 10.0  # seconds

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """A server that sends back what it gets, and remembers it."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.grew = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while data := await reader.read(65_536):
                self.received += data
                self.grew.set()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass  # what a reset is for
        finally:
            writer.close()

    async def wait_for(self, data: bytes) -> None:
        async with asyncio.timeout(DEADLINE):
            while data not in self.received:
                self.grew.clear()
                await self.grew.wait()


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(echo.serve, LOOPBACK, 0)
    async with server, Proxy(LOOPBACK, server.sockets[0].getsockname()[1]) as proxy:
        yield proxy


@asynccontextmanager
async def connected(proxy: Proxy) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def say(streams: Streams, data: bytes) -> None:
    streams[1].write(data)
    await streams[1].drain()


async def hear(streams: Streams, data: bytes) -> None:
    async with asyncio.timeout(DEADLINE):
        assert await streams[0].readexactly(len(data)) == data


async def hears_nothing(streams: Streams) -> bool:
    try:
        async with asyncio.timeout(SOON):
            await streams[0].read(1)
    except TimeoutError:
        return True
    return False


async def test_pass_lets_all_through(proxy: Proxy) -> None:
    data = bytes(range(256)) * 20_000  # 5 MB: more than the proxy holds
    async with connected(proxy) as streams:
        await asyncio.gather(say(streams, data), hear(streams, data))


async def test_pass_hands_the_end_on(proxy: Proxy) -> None:
    async with connected(proxy) as (reader, writer):
        writer.write(b"last words")
        writer.write_eof()
        assert await reader.read() == b"last words"


async def test_stall_holds_open_connections_until_pass(proxy: Proxy, echo: Echo) -> None:
    async with connected(proxy) as streams:
        await say(streams, b"one")
        await hear(streams, b"one")
        proxy.mode = "stall"
        await say(streams, b"two")
        assert await hears_nothing(streams)
        assert echo.received == b"one"
        proxy.mode = "pass"
        await hear(streams, b"two")


async def test_stall_accepts_and_holds_new_connections(proxy: Proxy, echo: Echo) -> None:
    proxy.mode = "stall"
    async with connected(proxy) as streams:
        await say(streams, b"one")
        assert await hears_nothing(streams)
        assert not echo.writers
        proxy.mode = "pass"
        await hear(streams, b"one")


async def test_stall_replies_lets_requests_through(proxy: Proxy, echo: Echo) -> None:
    async with connected(proxy) as streams:
        proxy.mode = "stall-replies"
        await say(streams, b"one")
        await echo.wait_for(b"one")
        assert await hears_nothing(streams)
        proxy.mode = "pass"
        await hear(streams, b"one")


async def test_drop_replies_loses_them_for_good(proxy: Proxy, echo: Echo) -> None:
    async with connected(proxy) as streams:
        proxy.mode = "drop-replies"
        await say(streams, b"one")
        await echo.wait_for(b"one")
        assert await hears_nothing(streams)
        proxy.mode = "pass"
        await say(streams, b"two")
        await hear(streams, b"two")


async def test_reset_cuts_open_and_new_connections(proxy: Proxy) -> None:
    async with connected(proxy) as streams:
        await say(streams, b"one")
        await hear(streams, b"one")
        proxy.mode = "reset"
        with pytest.raises(ConnectionResetError):
            await streams[0].read(1)
    with pytest.raises(ConnectionResetError):
        async with connected(proxy) as streams:
            await streams[0].read(1)


async def test_reset_cuts_connections_that_are_held(proxy: Proxy) -> None:
    proxy.mode = "stall"
    async with connected(proxy) as streams:
        proxy.mode = "reset"
        with pytest.raises(ConnectionResetError):
            await streams[0].read(1)


async def test_refuse_closes_and_refuses(proxy: Proxy) -> None:
    async with connected(proxy) as streams:
        await say(streams, b"one")
        await hear(streams, b"one")
        proxy.mode = "refuse"
        assert await streams[0].read(1) == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(LOOPBACK, proxy.port)


@pytest.mark.parametrize("mode", ["reset", "refuse"])
async def test_pass_mends_what_was_cut(proxy: Proxy, mode: Mode) -> None:
    proxy.mode = mode
    proxy.mode = "pass"
    async with connected(proxy) as streams:
        await say(streams, b"one")
        await hear(streams, b"one")


async def test_delay_is_added_each_way(proxy: Proxy) -> None:
    proxy.delay = 0.1
    proxy.mode = "delay"
    async with connected(proxy) as streams:
        begin = time.monotonic()
        await say(streams, b"one")
        await hear(streams, b"one")
        assert time.monotonic() - begin >= 0.2


async def test_a_server_that_is_down_shows_as_a_reset() -> None:
    async with Proxy(LOOPBACK, 1) as proxy:
        with pytest.raises(ConnectionResetError):
            async with connected(proxy) as streams:
                await streams[0].read(1)


async def test_no_connection_is_left_when_the_client_has_gone(proxy: Proxy) -> None:
    async with connected(proxy) as streams:
        await say(streams, b"one")
        await hear(streams, b"one")
        assert proxy.connections == 1
    async with asyncio.timeout(DEADLINE):
        while proxy.connections:  # noqa: ASYNC110 - it has no event of its own
            await asyncio.sleep(0.01)


def test_an_unknown_mode_is_an_error() -> None:
    with pytest.raises(ValueError, match="no such mode"):
        Proxy(LOOPBACK, 1).mode = "lose"  # type: ignore[assignment]


def test_a_url_keeps_all_but_its_host_and_port() -> None:
    proxy = Proxy(LOOPBACK, 1)
    there = "postgresql://me:p%40ss@db.example:5432/events?sslmode=disable"
    here = f"postgresql://me:p%40ss@127.0.0.1:{proxy.port}/events?sslmode=disable"
    assert proxy.url_through(there) == here
    assert proxy.url_through("redis://db.example/0") == f"redis://127.0.0.1:{proxy.port}/0"


async def test_a_commit_whose_reply_is_lost_is_kept(own_postgres: PostgresServer) -> None:
    async with Proxy(LOOPBACK, own_postgres.port) as proxy:
        connection = await asyncpg.connect(proxy.url_through(own_postgres.url()))
        proxy.mode = "drop-replies"
        with pytest.raises(TimeoutError):
            await connection.execute("CREATE TABLE kept ()", timeout=SOON)
        proxy.mode = "reset"
        connection.terminate()
    direct = await asyncpg.connect(own_postgres.url())
    assert await direct.fetchval("SELECT to_regclass('kept')") == "kept"
    await direct.close()
