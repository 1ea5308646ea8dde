"""Liveness on the database: `/healthz` answers 503 while the database is away.

As where one health check does for both probes. The supervisor then restarts what no restart can mend: a drill
that takes the database away for longer than the liveness probe bears must find restarts where it expects none.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from app.api import _Api
from tests.drills.planted import swap


def plant() -> None:
    """Plant it, in collectors and workers."""
    swap(_Api, "healthz", _asking)


def _asking(sound: Callable[[Any, Request], Awaitable[Response]]) -> Callable[[Any, Request], Awaitable[Response]]:
    @wraps(sound)
    async def healthz(self: Any, request: Request) -> Response:
        if self._services.readiness.database_away:
            return PlainTextResponse("the database is away", 503)
        return await sound(self, request)

    return healthz
