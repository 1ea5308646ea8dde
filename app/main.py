"""The composition root: what a collector is made of, in which order it starts, and the reverse."""

import asyncio
import gc
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import uvloop

from app.about import VERSION
from app.api import Services
from app.auth import Access
from app.body import Bodies
from app.cache import Pages
from app.connection import Stall
from app.crowd import Crowd
from app.deadlines import Deadlines
from app.edge import App, Edge, RequestIds
from app.erasure import Erasure
from app.errors import Invalid, Unavailable
from app.events import Event
from app.feed import Feed
from app.files import room
from app.health import Loops, Readiness
from app.hooks.declared import declared
from app.hooks.lane import HookLane
from app.ingest import Ingest
from app.keyring import Follow, open_access
from app.logs import Refusals, configure, log
from app.metrics import Metrics
from app.near import Alone, Near, Nearest
from app.notify import notify
from app.pages import PageLane
from app.replicas import open_replicas
from app.rest import rest_app
from app.server import Server, listen
from app.settings import Settings, near_misses, supervisor
from app.shortcuts import Shortcuts
from app.store import Kept, Store
from app.store.choice import open_replica, open_store
from app.worker import count_letters, roll_up, tell, upkeep
from app.worker import listen as listen_for_news
from app.writer import Commit, GroupCommit

if TYPE_CHECKING:
    from app.spool import Spool

GARBAGE = 100_000  # containers made until garbage is looked for: one event may hold as many, none of them garbage
SPOOL_ITEMS = 1000  # events in one entry of the spool
SPOOL_BYTES = 4 * 2**20  # bytes of requests in one entry of the spool, unless one request has more
SWITCH_SECONDS = 0.001  # that a thread which parses a large body may keep the event loop waiting at a time
BESIDE_FROM = 500  # events that wait, for a second commit beside the first: batches, hardly ever single events
CLOSE_SECONDS = 5.0  # for the last groups, and for letting go of the database
HURRY_SECONDS = 0.3  # for the same, once the process was told to stop at once


class Collector:
    """One process's collector. `app` serves requests; `start` and `stop` bracket it."""

    def __init__(self, settings: Settings) -> None:
        self.metrics = Metrics(settings.metric_sources)
        self.access, self._follow_tokens = _open_access(settings, self.metrics)
        self.store = open_store(settings, self.metrics.unreplicated.inc)
        self.spool = open_spool(settings, self.metrics)
        self.near = open_near(settings, self.store, self.metrics)
        self.nearest: Nearest = self.near or Alone(self.store)
        self.readiness = Readiness(self.store, self.metrics, self.spool)
        self.loops = Loops(self.metrics)
        self.replicas = open_replicas(settings, self.store, self.metrics)
        self.feed = Feed(self.replicas.news.announce)
        self.bodies = Bodies(settings.max_waiting_mib * 2**20)
        self.refusals = Refusals()
        self._settings = settings
        self.writer = self._grouped(self._commit, beside_from=BESIDE_FROM)
        self.metrics.waiting.set_function(lambda: self.writer.waiting)
        self.spooler = (
            self._grouped(self.spool.append, max_items=SPOOL_ITEMS, max_bytes=SPOOL_BYTES) if self.spool else None
        )
        self.erasure = self._erasure()
        services = self._services()
        rest: App = rest_app(services, self.erasure)
        ingest, pages = self._ingest(), self._page_lane(services, rest)
        ids = RequestIds(secrets.token_hex(4))
        verbose = settings.log_level == "debug"
        self.app: App = Edge(
            lanes={("POST", "/events"): ingest, ("GET", "/events"): pages, **self._hooks(ingest)},
            app=rest,
            access=self.access,
            readiness=self.readiness,
            metrics=self.metrics,
            refusals=self.refusals,
            ids=ids,
            verbose=verbose,
        )
        # Every request has its line where all are to be logged: then all of them go by the edge.
        table = {} if verbose else {(b"POST", b"/events"): ingest.begin, (b"GET", b"/events"): pages.begin}
        self.shortcuts = Shortcuts(
            table, ids=ids, readiness=self.readiness, metrics=self.metrics, refusals=self.refusals
        )

    def start(self) -> None:
        """Start every loop; what the database needs is waited for behind the listener."""
        days = self._settings.retention_days
        self.loops.start("writer", self.writer.run, deadline=30)
        if self.spooler:
            self.loops.start("spooler", self.spooler.run, deadline=30)
        self.loops.start("check", self.readiness.run, deadline=15)
        self.loops.start("upkeep", lambda beat: upkeep(self.store, self.metrics, days, beat), deadline=900)
        self.loops.start("rollup", lambda beat: roll_up(self.store, beat), deadline=60)
        self.loops.start(
            "news", lambda beat: listen_for_news(self.store, self.feed, self.replicas.news, beat), deadline=30
        )
        if self.replicas.run is not None:
            self.loops.start("redis", self.replicas.run, deadline=30)
        if self.near is not None:
            self.loops.start("replica", self.near.run, deadline=30)
        if self._follow_tokens is not None:
            self.loops.start("tokens", self._follow_tokens, deadline=60)
        self.loops.start("refusals", lambda beat: tell(self.refusals, beat), deadline=15)
        if self.spool and self._settings.postgres_connection_string is None:
            self._start_drain(self.spool)
        self.loops.watch()

    def leave(self) -> None:
        """Say so: not ready, streams end, connections close after their answer."""
        self.readiness.draining = True
        self.erasure.leave()
        self.feed.close()

    async def stop(self) -> bool:
        """Flush what waits, then let go of the database; False: out of time. Called when no request is left."""
        self.feed.close()
        await self.erasure.stop()
        self.writer.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.loops.finish("writer")
                if self.spooler:
                    self.spooler.close()
                    await self.loops.finish("spooler")
                await self.loops.stop_all()
                await self.replicas.close()
                if self.near is not None:
                    await self.near.close()
                await self.store.close()
                if self.spool:
                    await self.spool.close()
        except TimeoutError:
            return False
        finally:
            self.refusals.flush()
        return True

    async def _commit(self, events: Sequence[Event], alone: bool) -> Sequence[Kept]:  # noqa: FBT001
        if self.spool is not None and self.readiness.database_away:
            # Nobody waits to find out again what the check is finding out.
            raise Unavailable("the database is away", outcome="not_kept")
        start = time.perf_counter()
        try:
            with self.readiness.commit():
                kept = await self.store.keep(events, alone)
            # After the commit: a lost announcement delays a reader and never hides an event from it.
            self.feed.publish(max((one.seq for one in kept), default=0))
            return kept
        finally:
            self.metrics.commit_seconds.observe(time.perf_counter() - start)
            self.metrics.commit_events.observe(len(events))

    def _start_drain(self, spool: "Spool") -> None:
        """An embedded database has no worker beside it."""
        from app.drain import Drain  # noqa: PLC0415 - redis is for those who have one

        drain = Drain(
            spool,
            self.store,
            self.metrics,
            may=lambda: not self.readiness.database_away,
            on_kept=self.feed.publish,
        )
        self.metrics.leader.set(1)
        self.loops.start("drain", drain.run, deadline=60)
        count = self.metrics.dead_letters.set
        self.loops.start("letters", lambda beat: count_letters(self.store, count, beat), deadline=60)

    def _grouped(self, commit: Commit[Event, Kept], **bounds: int) -> GroupCommit[Event, Kept]:
        return GroupCommit[Event, Kept](
            commit,
            **bounds,
            max_waiting=self._settings.max_waiting_events,
            max_waiting_bytes=self._settings.max_waiting_mib * 2**20,
        )

    def _ingest(self) -> Ingest:
        return Ingest(
            access=self.access,
            writer=self.writer,
            reader=self.store.reader,
            metrics=self.metrics,
            bodies=self.bodies,
            max_events=self._settings.max_batch_size,
            spool=self.spooler,
        )

    def _hooks(self, ingest: Ingest) -> dict[tuple[str, str], App]:
        if self._settings.hooks is None:
            return {}
        return {
            ("POST", f"/hooks/{hook.name}"): HookLane(hook, ingest=ingest, bodies=self.bodies)
            for hook in declared(self._settings.hooks.get_secret_value())
        }

    def _erasure(self) -> Erasure:
        spool = self.spool
        return Erasure(
            self.store,
            access=self.access,
            post=self._post,
            metrics=self.metrics,
            spooled=lambda: None if spool is None or spool.waiting is None else spool.waiting.events,
        )

    async def _post(self, event: Event) -> None:
        """Keep an event of our own. Raises Unavailable."""
        (kept,) = await self.writer.submit([event], size=len(event.data or ""))
        if kept.state != "new":
            raise Invalid(kept.reason or "the log does not take the event that says so")
        self.metrics.kept(event.source)

    def _page_lane(self, services: Services, exports: App) -> PageLane:
        return PageLane(
            access=self.access,
            nearest=self.nearest,
            pages=Pages(self.nearest.version),
            shelf=self.replicas.shelf,
            exports=exports,
            now=services.now,
        )

    def _services(self) -> Services:
        return Services(
            access=self.access,
            nearest=self.nearest,
            feed=self.feed,
            loops=self.loops,
            readiness=self.readiness,
            metrics=self.metrics,
            max_streams=self._settings.max_streams,
            stream_lag=self._settings.stream_lag_seconds,
        )


def _open_access(settings: Settings, metrics: Metrics) -> tuple[Access, Follow | None]:
    tokens = None if settings.tokens is None else settings.tokens.get_secret_value()
    return open_access(tokens, settings.tokens_file, metrics)


def open_spool(settings: Settings, metrics: Metrics) -> "Spool | None":
    """The spool that the settings name, not yet connected."""
    url = settings.spool_url or settings.redis_url
    if url is None:
        return None
    from app.spool import Spool  # noqa: PLC0415 - redis is for those who have one

    max_events, max_bytes = settings.spool_max_events, settings.spool_max_mib * 2**20
    metrics.spool_max_events.set(max_events)
    metrics.spool_max_bytes.set(max_bytes)
    return Spool(
        url.get_secret_value(), max_events=max_events, max_bytes=max_bytes, on_lost=metrics.spool_lost.inc
    )


def open_near(settings: Settings, store: Store, metrics: Metrics) -> Near | None:
    """The replica that the settings name, not yet connected."""
    replica = open_replica(settings)
    return None if replica is None else Near(store, replica, metrics, lag_seconds=settings.replica_lag_seconds)


def create_app(settings: Settings) -> Collector:
    """A collector for these settings; nothing runs yet."""
    return Collector(settings)


class Role(Protocol):
    """What a process does: a collector or a worker. `app` serves requests; `start` and `stop` bracket it."""

    app: App
    shortcuts: Shortcuts
    metrics: Metrics
    store: Store
    loops: Loops
    bodies: Bodies
    refusals: Refusals

    def start(self) -> None:
        """Start every loop."""
        ...

    def leave(self) -> None:
        """Say that it is leaving."""
        ...

    async def stop(self) -> bool:
        """End; False: out of time."""
        ...


def serve(settings: Settings) -> int:
    """Serve until told to leave. Returns the exit code: 0 after a clean leave, 1 where a loop has died."""
    return run(settings, settings.port, create_app)


def run(settings: Settings, port: int, make: Callable[[Settings], Role]) -> int:
    """Run a role behind a listener on this port until told to leave. Returns the exit code."""
    configure(settings.log_level, settings.log_format)
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(GARBAGE, 20, 100)
    try:
        listener = listen(settings.host, port)
    except OSError as error:
        log.critical("cannot listen", host=settings.host, port=port, reason=error.strerror)
        return 1
    return uvloop.run(_run(settings, listener, make))


async def _run(settings: Settings, listener: socket.socket, make: Callable[[Settings], Role]) -> int:
    instance = f"{socket.gethostname()[:40]}-{secrets.token_hex(3)}"
    role = make(settings)
    tell_leaving = notify(supervisor(), role.loops)

    def leave() -> None:
        role.leave()
        tell_leaving()

    crowd = Crowd(
        room(settings.max_connections),
        Deadlines(head=settings.head_seconds, body=settings.body_seconds),
        role.metrics.cut,
    )
    role.metrics.count_connections(lambda: crowd.size, crowd.limit)
    server = Server(
        role.app,
        shortcuts=role.shortcuts,
        stall=Stall(settings.stall_seconds, role.metrics.stalled.inc),
        crowd=crowd,
        instance=instance,
        drain_seconds=settings.drain_seconds,
        graceful_seconds=settings.graceful_seconds,
        on_leave=leave,
        on_closed=role.bodies.cut,
    )
    host, port = listener.getsockname()[:2]
    log.info(
        "listening",
        url=f"http://{f'[{host}]' if ':' in host else host}:{port}",
        version=VERSION,
        instance=instance,
        database=role.store.name,
        connections=crowd.limit,
        settings=settings.public(),
    )
    for variable, meant in near_misses().items():
        log.warning("a variable looks like a misspelt setting and is ignored", variable=variable, meant=meant)
    role.start()
    await server.serve(sockets=[listener])
    clean = await _stopped(role, server.hurried)
    log.info("left", failed=role.loops.failed, clean=clean)
    code = 1 if role.loops.failed else 0
    if server.hurried.is_set() or not clean:
        role.refusals.flush()
        # What hangs, such as a thread of SQLite's, would hold the interpreter too.
        os._exit(code)
    return code


async def _stopped(role: Role, hurried: asyncio.Event) -> bool:
    """Stop it, quickly once hurried; whether there was time for all of it."""
    stopping, hurry = asyncio.create_task(role.stop()), asyncio.create_task(hurried.wait())
    await asyncio.wait((stopping, hurry), return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    await asyncio.wait((stopping,), timeout=HURRY_SECONDS)
    return stopping.done() and stopping.result()
