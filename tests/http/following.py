"""Following: a reader of Server-Sent Events, as browsers parse them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.http.serving import DEADLINE, Json

Frame = dict[str, str]  # field names and values; a comment stands under ""


@asynccontextmanager
async def following(
    client: httpx.AsyncClient, *, after: str | None = None, **parameters: str
) -> AsyncIterator[AsyncIterator[Frame]]:
    """An open stream, from when its first frame has come; `after` is the Last-Event-ID."""
    headers = {} if after is None else {"Last-Event-ID": after}
    async with client.stream(
        "GET", "/events/stream", params=parameters, headers=headers, timeout=DEADLINE
    ) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
        frames = frames_of(answer.aiter_lines())
        assert "retry" in await anext(frames)
        yield frames


async def frames_of(lines: AsyncIterator[str]) -> AsyncIterator[Frame]:
    """Frames; the last may lack its blank line."""
    fields: Frame = {}
    async for line in lines:
        if line:
            name, _, text = line.partition(":")
            fields[name] = text.strip()
        elif fields:
            yield fields
            fields = {}
    if fields:
        yield fields


async def take(frames: AsyncIterator[Frame], count: int) -> list[Json]:
    """The next events. Each one's frame must bear its number as its id."""
    events: list[Json] = []
    async with asyncio.timeout(DEADLINE):
        while len(events) < count:
            frame = await anext(frames)
            if "data" in frame:
                events.append(json.loads(frame["data"]))
                assert frame["id"] == str(events[-1]["seq"])
                assert "event" not in frame
    return events
