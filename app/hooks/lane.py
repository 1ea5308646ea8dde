"""POST /hooks/{name}: a delivery's bytes to events, and on the way of all events. Plain ASGI, like `ingest`."""

import time
from collections.abc import Callable
from functools import partial

from app.body import Bodies
from app.edge import Receive, Scope, Send
from app.errors import BadParameter
from app.hooks.declared import Hook
from app.hooks.reading import read
from app.ingest import Ingest


class HookLane:
    """The handler of one webhook. `now`: seconds since 1970."""

    def __init__(
        self, hook: Hook, *, ingest: Ingest, bodies: Bodies, now: Callable[[], float] = time.time
    ) -> None:
        self._hook = hook
        self._ingest = ingest
        self._bodies = bodies
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises what the answer is to tell."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get("content-encoding", "identity") != "identity":
            raise BadParameter("a webhook comes as it was signed: without Content-Encoding")
        body = await self._bodies.read(receive, length=headers.get("content-length"), encoding=None)
        batch = await self._ingest.aside(partial(read, self._hook, headers, self._now()), body)
        await self._ingest.deliver(send, batch, len(body))
