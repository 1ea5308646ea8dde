"""GET and POST /purge: what would go, and its going. HTTP in, HTTP out."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from app import openapi, query
from app.auth import GRANT
from app.erasure import Erasure, Plan, Progress, Run
from app.errors import BadParameter, Forbidden, NotShown, TooFast, Unauthorized, Unavailable
from app.formats import JSON, NDJSON

_encode = msgspec.json.Encoder().encode
_UNSTORED = {"Cache-Control": "no-store"}


def purges(router: APIRouter, erasure: Erasure, now: Callable[[], datetime]) -> None:
    """Add the routes. `now` is what `30d` ago is counted from."""
    refusals = (BadParameter, Unauthorized, Forbidden, TooFast, Unavailable)

    async def show(request: Request) -> Response:
        asked, _ = query.purge_query(request.query_params.multi_items(), now, confirmed=False)
        plan = await erasure.plan(asked, request.scope[GRANT])
        return Response(_encode(plan), media_type=JSON, headers=_UNSTORED)

    async def purge(request: Request) -> Response:
        asked, confirm = query.purge_query(request.query_params.multi_items(), now, confirmed=True)
        run = await erasure.begin(asked, confirm, request.scope[GRANT])
        return StreamingResponse(_lines(run), media_type=NDJSON, headers=_UNSTORED)

    router.add_api_route(
        "/purge",
        show,
        tags=["administration"],
        summary="Show what a purge would delete",
        description="Deletes nothing.",
        responses=openapi.responses(
            *refusals, ok_200=openapi.gives("What would go, by source.", openapi.described(Plan))
        ),
        openapi_extra=openapi.takes(query.PURGE),
        response_class=Response,
    )
    router.add_api_route(
        "/purge",
        purge,
        methods=["POST"],
        tags=["administration"],
        summary="Delete what was shown",
        description="The answer has a line about once a second, and a last one, whose `state` is `succeeded` or "
        "`failed`. What is under way goes on when nobody reads it.",
        responses=openapi.responses(
            *refusals,
            NotShown,
            ok_200={
                "description": "How far it has come, and what came of it.",
                "content": {NDJSON: {"schema": openapi.described(Progress)}},
            },
        ),
        openapi_extra=openapi.takes(query.PURGE, (query.CONFIRM,)),
        response_class=Response,
    )


async def _lines(run: Run) -> AsyncIterator[bytes]:
    async for progress in run.follow():
        yield _encode(progress) + b"\n"
