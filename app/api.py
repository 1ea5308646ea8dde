"""The other routes: HTTP in, HTTP out."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from app import openapi, query
from app.auth import GRANT, Access, Grant
from app.errors import (
    BadParameter,
    CursorGone,
    Forbidden,
    NotAcceptable,
    NotFound,
    Overloaded,
    TooFast,
    Unauthorized,
    Unavailable,
)
from app.feed import Feed
from app.formats import JSON, NDJSON, accepted, write_csv, write_ndjson
from app.health import Loops, Readiness
from app.metrics import CONTENT_TYPE, Metrics
from app.near import Nearest
from app.query import StatsQuery
from app.static import static
from app.store import Count, Page, Reader
from app.stream import Lag, stream

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """What the routes are made of."""

    access: Access
    nearest: Nearest
    feed: Feed
    loops: Loops
    readiness: Readiness
    metrics: Metrics
    max_streams: int
    stream_lag: float  # seconds
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def routes(services: Services) -> APIRouter:
    """Every route but POST /events."""
    router = APIRouter()
    reading = (BadParameter, Unauthorized, Forbidden, TooFast, Unavailable)
    api = _Api(services)

    def get(path: str, handler: Callable[[Request], Awaitable[Response]], **words: object) -> None:
        summary = (handler.__doc__ or "").partition(".")[0]
        words = {"tags": ["events"], "summary": summary, "response_class": Response, **words}
        router.add_api_route(path, handler, **words)  # type: ignore[arg-type]

    get(
        "/events",
        api.export,
        responses=openapi.responses(
            *reading,
            NotAcceptable,
            CursorGone,
            ok_200=openapi.gives(
                "A page of events; as NDJSON or CSV, all that match.",
                {"type": "array", "items": openapi.stored()},
                *openapi.EXPORTS,
            ),
            ok_304={"description": "The page is the one that If-None-Match names."},
        ),
        openapi_extra=openapi.near(openapi.with_data_filter(openapi.takes(query.FILTERS, query.PAGING))),
    )
    get(
        "/events/stats",
        api.stats,
        responses=openapi.responses(*reading, ok_200=openapi.gives("Counts, zero-filled.", _STATS)),
        openapi_extra=openapi.near(
            openapi.with_data_filter(openapi.takes((query.COUNTED_SOURCE,), query.NARROWING, query.STATS))
        ),
    )
    get(
        "/events/stream",
        api.stream,
        responses=openapi.responses(
            *reading,
            Overloaded,
            ok_200={
                "description": "Server-Sent Events: `id` is the cursor; an event `gap` tells of what is left out.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
        ),
        openapi_extra=openapi.in_headers(
            openapi.near(openapi.with_data_filter(openapi.takes(query.FILTERS, (query.CURSOR,)))),
            ("Last-Event-ID", "The cursor that a client resumes from by itself.", {"type": "string"}),
        ),
    )
    get(
        "/events/{seq}",
        api.event,
        responses=openapi.responses(*reading, NotFound, ok_200=openapi.gives("The event.", openapi.stored())),
        openapi_extra=openapi.near(openapi.in_path("seq", {"type": "string", "pattern": "^[0-9]{1,16}$"})),
    )
    get(
        "/sources",
        api.sources,
        responses=openapi.responses(
            *reading, ok_200=openapi.gives("Sources, by name.", {"type": "array", "items": _SOURCE})
        ),
        openapi_extra=openapi.near(openapi.takes((query.COUNTED_SOURCE,))),
    )
    operations(router, services)
    for path in ("/", "/page/{name:path}"):
        get(path, api.timeline_file, include_in_schema=False)
    for path in ("/docs", "/docs/{name}"):
        get(path, api.docs_file, include_in_schema=False)
    return router


def operations(router: APIRouter, services: Services) -> None:
    """Add the routes for those who watch the process."""
    api = _Api(services)

    def get(path: str, handler: Callable[[Request], Awaitable[Response]], *statuses: int) -> None:
        router.add_api_route(
            path,
            handler,
            summary=(handler.__doc__ or "").partition(".")[0],
            responses=_says(*statuses),
            response_class=Response,
            tags=["operations"],
        )

    get("/healthz", api.healthz, 200, 503)
    for path in ("/readyz", "/ready"):
        get(path, api.readyz, 200, 503)
    get("/metrics", api.scrape, 200)


class _Api:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def export(self, request: Request) -> Response:
        """Read events, newest first. Sent with `Accept: application/x-ndjson` or `text/csv`: all that match."""
        media = accepted(request.headers.get("accept", "*/*"))
        asked = query.page_query(request.query_params.multi_items(), self._services.now, unlimited=True)
        pages = self._reader(request).scan(asked)
        first = await anext(pages)  # before the answer begins: what goes wrong here still has a status
        headers = {"Cache-Control": "no-cache", "Vary": "Accept"}
        return StreamingResponse(_written(first, pages, media), media_type=media, headers=headers)

    async def event(self, request: Request) -> Response:
        """Read one event."""
        query.no_query(request.query_params.multi_items())
        seq = query.cursor(request.path_params["seq"])
        found = None if seq is None else await self._reader(request).event(seq)
        if found is None:
            raise NotFound("no event has this number, or retention has dropped it")
        return Response(_encode(found), media_type=JSON)

    async def sources(self, request: Request) -> Response:
        """Who sent events: first seen, last seen, how many are kept."""
        wanted = query.sources_query(request.query_params.multi_items())
        return Response(_encode(await self._reader(request).sources(wanted)), media_type=JSON)

    async def stats(self, request: Request) -> Response:
        """Count events by the time they happened."""
        asked = query.stats_query(request.query_params.multi_items(), self._services.now)
        counts = await self._reader(request).counts(asked)
        return Response(_encode(_series(asked, counts)), media_type=JSON)

    async def stream(self, request: Request) -> Response:
        """Follow events as they are committed. Resumes after `Last-Event-ID`, else after `cursor`, else now."""
        services, reader, grant = self._services, self._reader(request), _granted(request)
        asked = query.stream_query(request.query_params.multi_items(), services.now)
        resume = query.cursor(request.headers.get("last-event-id") or None)
        if services.metrics.streams_open >= services.max_streams:
            raise Overloaded(f"{services.max_streams} streams are open")
        cursor = resume if resume is not None else asked.cursor
        if cursor is None:
            # Known before the answer begins: what is posted after that is in the stream.
            cursor = await reader.head()
        lag = Lag(services.stream_lag, services.metrics.gaps.inc)
        frames = stream(reader, services.feed, asked, cursor, lag, allowed=lambda: services.access.holds(grant))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._counted(frames), media_type="text/event-stream", headers=headers)

    async def healthz(self, request: Request) -> Response:
        """Whether every loop of this process has turned lately. Touches nothing outside the process."""
        late = self._services.loops.late()
        return _verdict(
            request, ok=not late, parts={"loops": {"ok": not late, "detail": ", ".join(late) or "turning"}}
        )

    async def readyz(self, request: Request) -> Response:
        """Whether this process can keep an event. `?verbose` gives the parts."""
        readiness = self._services.readiness
        parts = {part.name: {"ok": part.ok, "detail": part.detail} for part in readiness.parts}
        return _verdict(request, ok=readiness.ready, parts=parts)

    async def scrape(self, _: Request) -> Response:
        """Metrics in the text format of Prometheus."""
        return Response(self._services.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def timeline_file(self, request: Request) -> Response:
        """The files of the timeline."""
        return static(f"timeline/{request.path_params.get('name', 'index.html')}")

    async def docs_file(self, request: Request) -> Response:
        """The files of the API's documentation."""
        return static(f"docs/{request.path_params.get('name', 'index.html')}")

    def _reader(self, request: Request) -> Reader:
        position = query.position(request.headers.get(query.POSITION))
        return _granted(request).reader(self._services.nearest.reader(position))

    async def _counted(self, frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        with self._services.metrics.stream():
            async for frame in frames:
                yield frame


def _granted(request: Request) -> Grant:
    grant: Grant = request.scope[GRANT]
    return grant


async def _written(first: Page, pages: AsyncIterator[Page], media: str) -> AsyncIterator[bytes]:
    yield write_ndjson(first.events) if media == NDJSON else write_csv(first.events, header=True)
    async for page in pages:
        yield write_ndjson(page.events) if media == NDJSON else write_csv(page.events, header=False)


def _series(asked: StatsQuery, counts: list[Count]) -> dict[str, object]:
    buckets = -(-(asked.until - asked.since) // asked.step)
    series: dict[tuple[str, ...], list[int]] = {} if asked.by else {(): [0] * buckets}
    for count in counts:
        series.setdefault(count.labels, [0] * buckets)[count.bucket] += count.events
    return {
        "since": asked.since,
        "until": asked.until,
        "step": asked.step.total_seconds(),
        "series": [
            {**dict(zip(asked.by, labels, strict=True)), "total": sum(line), "counts": line}
            for labels, line in sorted(series.items(), key=lambda item: (-sum(item[1]), item[0]))
        ],
    }


def _verdict(request: Request, *, ok: bool, parts: Mapping[str, object]) -> Response:
    headers = {"Cache-Control": "no-store"}
    if not ok:
        # No cause of a failed request: not raised, so that it is neither counted nor logged as one.
        problem = Unavailable("see parts")
        document = problem.document() | {"parts": parts}
        return Response(_encode(document), status_code=503, headers=problem.header_lines() | headers)
    body = {"status": "ok"} | ({"parts": parts} if "verbose" in request.query_params else {})
    return Response(_encode(body), media_type=JSON, headers=headers)


def _says(*statuses: int) -> dict[int | str, dict[str, object]]:
    return {status: {"description": "Yes." if status == 200 else "No."} for status in statuses}


_SOURCE: openapi.Schema = {
    "type": "object",
    "properties": {
        "source": {"type": "string"},
        "first_seen": {"type": "string", "format": "date-time"},
        "last_seen": {"type": "string", "format": "date-time"},
        "events": {"type": "integer"},
    },
}
_STATS: openapi.Schema = {
    "type": "object",
    "properties": {
        "since": {"type": "string", "format": "date-time"},
        "until": {"type": "string", "format": "date-time"},
        "step": {"type": "number", "description": "Seconds a bucket."},
        "series": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "source": {"type": "string"},
                    "action": {"type": "string"},
                    "total": {"type": "integer"},
                    "counts": {"type": "array", "items": {"type": "integer"}},
                },
            },
        },
    },
}
