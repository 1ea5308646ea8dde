"""The front: connections go to the ready in turn, and stay where they are."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.drills.front import Front
from tests.ports import LOOPBACK

DEADLINE = 10.0  # seconds
LAG = 0.5  # seconds


@asynccontextmanager
async def echo(name: bytes) -> AsyncIterator[int]:
    """A server that answers every line with its name and the line; gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line == b"leave\n":
                break
            writer.write(name + b" " + line)
        writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


class Client:
    """A connection through the front."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, front: Front) -> "Client":
        return cls(*await asyncio.open_connection(LOOPBACK, front.port))

    async def ask(self, line: bytes) -> bytes:
        """The answer; empty where the connection ends."""
        async with asyncio.timeout(DEADLINE):
            try:
                self._writer.write(line + b"\n")
                return (await self._reader.readline()).rstrip()
            except ConnectionError:
                return b""

    def close(self) -> None:
        self._writer.close()


async def who(front: Front) -> bytes:
    client = await Client.open(front)
    answer = await client.ask(b"x")
    client.close()
    return answer.partition(b" ")[0]


async def taken(front: Front) -> None:
    """Until what it was told has taken effect, where there is no lag."""
    await asyncio.sleep(0)
    await asyncio.sleep(0.01)


async def test_connections_go_to_the_endpoints_in_turn() -> None:
    async with echo(b"a") as a, echo(b"b") as b, Front() as front:
        front.update([a, b])
        await taken(front)
        found = [await who(front) for _ in range(6)]
        assert sorted(found) == [b"a"] * 3 + [b"b"] * 3
        assert found[0] != found[1]


async def test_a_connection_stays_and_only_new_ones_follow_the_endpoints() -> None:
    async with echo(b"a") as a, echo(b"b") as b, Front() as front:
        front.update([a])
        await taken(front)
        client = await Client.open(front)
        assert await client.ask(b"1") == b"a 1"
        front.update([b])
        await taken(front)
        assert await client.ask(b"2") == b"a 2"
        assert [await who(front) for _ in range(3)] == [b"b"] * 3
        assert await client.ask(b"leave") == b"", "the server's end is the client's"
        client.close()


async def test_a_change_takes_effect_after_the_lag() -> None:
    async with echo(b"a") as a, echo(b"b") as b, Front(lag=LAG) as front:
        front.update([a])
        await until_it_is(front, b"a")
        told = time.monotonic()
        front.update([b])
        found = await who(front)
        assert found == b"a" or time.monotonic() - told > LAG
        await until_it_is(front, b"b")
        assert time.monotonic() - told >= LAG


async def until_it_is(front: Front, name: bytes) -> None:
    async with asyncio.timeout(DEADLINE):
        while await who(front) != name:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_without_an_endpoint_or_with_a_dead_one_clients_are_cut_off() -> None:
    async with Front() as front:
        assert await who(front) == b""
        async with echo(b"a") as a:
            front.update([a])
            await taken(front)
            assert await who(front) == b"a"
        assert await who(front) == b""
