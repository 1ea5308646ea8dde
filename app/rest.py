"""FastAPI: what serves all but the fast lanes, and describes those too."""

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from app import openapi
from app.about import NAME, VERSION
from app.admin import purges
from app.api import Services, operations, routes
from app.edge import PROBLEM, body_of
from app.erasure import Erasure
from app.errors import (
    BadParameter,
    BadSignature,
    Conflict,
    Forbidden,
    Internal,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    Problem,
    TooFast,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedType,
)


def rest_app(services: Services, erasure: Erasure) -> FastAPI:
    """The application, with its routes and their description."""
    router = routes(services)
    kept = {"anyOf": [openapi.stored(), openapi.RECEIPT]}
    waiting = {"anyOf": [openapi.spooled(), openapi.RECEIPT]}
    app = FastAPI(
        title=NAME,
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        exception_handlers={
            Problem: _told,
            StarletteHTTPException: partial(_unrouted, router),
            Exception: _broken,
        },
    )
    router.add_api_route(
        "/events",
        _documented,
        methods=["POST"],
        tags=["events"],
        summary="Keep events",
        description="Keep one event, an array of them, or one a line; or CloudEvents, alone, in a batch, or in "
        "binary mode: with the headers `ce-id`, `ce-source`, `ce-specversion` and `ce-type` the body is the "
        "event's data, of any media type. The answer is the receipt.",
        responses=openapi.responses(
            BadParameter,
            Unauthorized,
            Forbidden,
            TooFast,
            Malformed,
            Conflict,
            TooLarge,
            UnsupportedType,
            Invalid,
            Overloaded,
            Unavailable,
            ok_200=openapi.bears_position(
                openapi.gives(
                    "Committed. One event: it was before, same id, same content. "
                    "A batch: something was a duplicate or was rejected; the receipt says which.",
                    kept,
                )
            ),
            ok_201=openapi.bears_position(openapi.gives("Committed, all of it.", kept)),
            ok_202=openapi.gives(
                "The database is away: on disk in the spool, and committed once it is back.",
                waiting,
            ),
        ),
        openapi_extra=openapi.in_headers(
            openapi.post_body(),
            ("Idempotency-Key", "Gives events without an id the id `key/place`.", openapi.IDEMPOTENCY_KEY),
            (
                "Prefer",
                "`handling=strict`: all or nothing. `durability=committed`: 503 rather than 202.",
                {"type": "string"},
            ),
            ("Content-Encoding", "How the body is packed.", {"enum": ["gzip", "zstd"]}),
        ),
        response_class=Response,
    )
    router.add_api_route(
        "/hooks/{name}",
        _documented,
        methods=["POST"],
        tags=["webhooks"],
        summary="Take a webhook",
        description="Keep what a known sender tells, as the setting HOOKS has it: signed by one of the secrets.",
        responses=openapi.responses(
            BadParameter,
            BadSignature,
            NotFound,
            TooLarge,
            Overloaded,
            Unavailable,
            ok_200=openapi.bears_position(openapi.gives("It was committed before.", kept)),
            ok_201=openapi.bears_position(openapi.gives("Committed: the event, or the receipt of several.", kept)),
            ok_202=openapi.gives("On disk in the spool.", waiting),
        ),
        openapi_extra=openapi.in_path("name", {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"}),
        response_class=Response,
    )
    purges(router, erasure, services.now)
    app.include_router(router)
    app.openapi = partial(_with_tokens, app.openapi)  # type: ignore[method-assign]  # the way that FastAPI names
    return app


def _with_tokens(described: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The description with what a token is for."""
    document = described()
    document["components"] = document.get("components", {}) | {"securitySchemes": openapi.SCHEMES}
    for operations_ in document["paths"].values():
        for operation in operations_.values():
            if "events" in operation["tags"]:
                operation["security"] = openapi.WITH_OR_WITHOUT
            if "administration" in operation["tags"]:
                operation["security"] = openapi.WITH
    return document


def probes_app(services: Services) -> FastAPI:
    """The application of a process that serves no events: its probes and metrics."""
    router = APIRouter()
    operations(router, services)
    app = FastAPI(
        title=NAME,
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={
            Problem: _told,
            StarletteHTTPException: partial(_unrouted, router),
            Exception: _broken,
        },
    )
    app.include_router(router)
    return app


async def _documented() -> Response:
    """Stands for the fast lane in the documentation; the edge serves it."""
    raise NotFound


async def _told(request: Request, problem: Exception) -> Response:
    if not isinstance(problem, Problem):
        raise problem
    request.scope[PROBLEM] = problem
    return Response(body_of(problem), status_code=problem.status, headers=problem.header_lines())


async def _broken(_: Request, __: Exception) -> Response:
    """A bug's answer; the error goes on to the edge, which logs it."""
    problem = Internal()
    return Response(body_of(problem), status_code=problem.status, headers=problem.header_lines())


async def _unrouted(router: APIRouter, request: Request, error: Exception) -> Response:
    """What the router refuses: no such path, or not with this method."""
    if not isinstance(error, StarletteHTTPException):
        raise error
    if error.status_code != 405:
        return await _told(request, NotFound())
    response = await _told(request, MethodNotAllowed())
    # The router names the methods of the first route alone, and one path may have several.
    found = [route for route in router.routes if route.matches(request.scope)[0] is not Match.NONE]
    methods = {method for route in found if isinstance(route, Route) for method in route.methods or ()}
    response.headers["Allow"] = ", ".join(sorted(methods)) or (error.headers or {})["Allow"]
    return response
