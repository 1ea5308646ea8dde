"""The no-op: what uvicorn alone costs, with the collector's own options. It reads the body and keeps nothing.

GET answers the bytes of the file PAGE, and 304 to whoever asks with If-None-Match.
"""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = (b"content-type", b"application/json")
KEPT = b'{"kept":false}'
PAGE = Path(os.environ["PAGE"]).read_bytes() if "PAGE" in os.environ else b"[]"


async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    if scope["method"] == "POST":
        while (await receive()).get("more_body"):
            pass
        await answer(send, 201, KEPT)
    elif any(name == b"if-none-match" for name, _ in scope["headers"]):
        await answer(send, 304, b"")
    else:
        await answer(send, 200, PAGE)


async def answer(send: Send, status: int, body: bytes) -> None:
    headers = [JSON] if status == 304 else [JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    config = uvicorn.Config(
        app,
        port=int(os.environ["PORT"]),
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=[("Collector-Instance", "noop")],
        timeout_keep_alive=75,
    )
    uvloop.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
