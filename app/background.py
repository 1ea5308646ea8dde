"""`collector worker`: what has to be done once, beside however many processes serve.

It drains the spool, where it is the leader, and keeps the log in shape; its own listener answers probes.
"""

import asyncio
import secrets

from app.api import Services
from app.auth import OpenAccess
from app.body import Bodies
from app.drain import Drain
from app.edge import App, Edge, RequestIds
from app.feed import Feed
from app.health import Loops, Part, Readiness
from app.logs import Refusals
from app.main import open_spool, run
from app.metrics import Metrics
from app.near import Alone
from app.replicas import open_replicas
from app.rest import probes_app
from app.settings import Settings
from app.shortcuts import Shortcuts
from app.store.choice import open_store
from app.urls import place
from app.worker import count_letters, lead, roll_up, tell, upkeep

CLOSE_SECONDS = 5.0


class Worker:
    """One process's worker. `app` answers its probes; `start` and `stop` bracket it."""

    def __init__(self, settings: Settings) -> None:
        self.metrics = Metrics(settings.metric_sources)
        self.store = open_store(settings, self.metrics.unreplicated.inc)
        self.spool = open_spool(settings, self.metrics)
        spool = settings.spool_url or settings.redis_url
        self.leader = self.store.leader("" if spool is None else place(spool.get_secret_value()))
        self.readiness = Readiness(self.store, self.metrics, self.spool, stands_in=False, notes=self._notes)
        self.loops = Loops(self.metrics)
        self.bodies = Bodies()
        self.refusals = Refusals()
        self.replicas = open_replicas(settings, self.store, self.metrics)
        self._settings = settings
        self._letters = "not counted yet"
        access = OpenAccess()  # to probes and metrics, which need no token
        app: App = probes_app(
            Services(
                access=access,
                nearest=Alone(self.store),
                feed=Feed(),
                loops=self.loops,
                readiness=self.readiness,
                metrics=self.metrics,
                max_streams=0,
                stream_lag=0,
            )
        )
        ids = RequestIds(secrets.token_hex(4))
        self.shortcuts = Shortcuts(
            {}, ids=ids, readiness=self.readiness, metrics=self.metrics, refusals=self.refusals
        )
        self.app: App = Edge(
            lanes={},
            app=app,
            access=access,
            readiness=self.readiness,
            metrics=self.metrics,
            refusals=self.refusals,
            ids=ids,
            verbose=settings.log_level == "debug",
        )

    def start(self) -> None:
        """Start every loop."""
        days = self._settings.retention_days
        self.loops.start("check", self.readiness.run, deadline=15)
        self.loops.start("upkeep", lambda beat: upkeep(self.store, self.metrics, days, beat), deadline=900)
        self.loops.start("rollup", lambda beat: roll_up(self.store, beat), deadline=60)
        self.loops.start("letters", lambda beat: count_letters(self.store, self._counted, beat), deadline=60)
        self.loops.start("refusals", lambda beat: tell(self.refusals, beat), deadline=15)
        if self.spool is not None:
            drain = Drain(
                self.spool, self.store, self.metrics, may=self._may_drain, on_kept=self.replicas.news.announce
            )
            self.loops.start("leader", lambda beat: lead(self.leader, self.metrics, beat), deadline=30)
            self.loops.start("drain", drain.run, deadline=60)
        if self.replicas.run is not None:
            self.loops.start("redis", self.replicas.run, deadline=30)
        self.loops.watch()

    def leave(self) -> None:
        """Say so."""
        self.readiness.draining = True

    async def stop(self) -> bool:
        """End the loops, the drain first, and let another one lead; False: out of time."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.loops.stop("drain")
                await self.loops.stop_all()
                await self.leader.close()
                await self.replicas.close()
                await self.store.close()
                if self.spool is not None:
                    await self.spool.close()
        except TimeoutError:
            return False
        finally:
            self.refusals.flush()
        return True

    def _may_drain(self) -> bool:
        return self.leader.holds and not self.readiness.database_away

    def _notes(self) -> tuple[Part, ...]:
        leads = Part("leader", ok=True, detail="yes" if self.leader.holds else "no")
        return (leads, Part("dead letters", ok=True, detail=self._letters))

    def _counted(self, letters: int) -> None:
        self._letters = str(letters)
        self.metrics.dead_letters.set(letters)


def work(settings: Settings) -> int:
    """Work until told to leave. Returns the exit code: 0 after a clean leave, 1 where a loop has died."""
    return run(settings, settings.worker_port, Worker)
