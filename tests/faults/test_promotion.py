"""Promotion: the steps of docs/regions.md, on two servers, while the probe sends; and what of it was promised."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.databases import migrate
from tests.drills.probing import Probe
from tests.drills.scenario import Load, Seconds
from tests.faults.conftest import StartCollector
from tests.http.serving import DEADLINE, async_client_of, eventually
from tests.ports import LOOPBACK
from tests.process import CollectorProcess
from tests.proxy import Proxy
from tests.servers import PostgresServer
from tests.standby import FOLLOWED, StandbyServer, copy, tell, until

LOAD = Load(rate=40, seconds=Seconds(7200), workers=4)  # until it is told to end
SOME = 60  # events
EVENTS = "SELECT count(*) FROM events"
STREAMS = "SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'"
Report = dict[str, Any]


class Regions:
    """The log's server, and one that follows it over a link; the collectors know of both."""

    def __init__(self, first: PostgresServer, second: StandbyServer, link: Proxy, start: StartCollector) -> None:
        self.first = first
        self.second = second
        self.link = link
        both = f"postgresql://postgres@{LOOPBACK}:{first.port},{LOOPBACK}:{second.port}/postgres"
        self.env = {"POSTGRES_CONNECTION_STRING": both, "POSTGRES_REPLICA_CONNECTION_STRING": second.url()}
        self.start = start

    async def collector(self) -> CollectorProcess:
        process = self.start(self.env)
        await process.wait_until_ready(DEADLINE)
        await process.wait_for_log(lambda entry: entry["event"] == "the replica serves reads", DEADLINE)
        return process

    async def promote(self) -> tuple[int, int]:
        """Fence the first, promote the second: the last number that the first gave, and that the second has."""
        given = int(await tell(self.first, "SELECT last_value FROM event_seq"))
        await asyncio.to_thread(self.first.stop, "immediate")
        assert await tell(self.second, "SELECT pg_promote()")
        return given, int(await tell(self.second, "SELECT max(seq) FROM events"))


@asynccontextmanager
async def regions(start: StartCollector, *, confirmed: bool) -> AsyncIterator[Regions]:
    """Two servers. `confirmed`: a commit waits until the second has it too."""
    first = PostgresServer(settings=FOLLOWED)
    await asyncio.to_thread(first.start)
    await asyncio.to_thread(migrate, first.url())
    async with Proxy(LOOPBACK, first.port) as link:
        second = await asyncio.to_thread(StandbyServer, first, port=link.port)
        await asyncio.to_thread(second.start)
        await until(first, STREAMS)
        if confirmed:
            await tell(first, "ALTER SYSTEM SET synchronous_standby_names = 'near'")
            await tell(first, "SELECT pg_reload_conf()")
            await until(first, "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'")
        yield Regions(first, second, link, start)
        await asyncio.to_thread(second.close)
    await asyncio.to_thread(first.close)


@asynccontextmanager
async def probing(process: CollectorProcess, folder: Path) -> AsyncIterator[Probe]:
    """A probe whose load is under way."""
    probe = Probe([process.url], LOAD, folder, faults=None, seed=1)
    try:
        await probe.start()
        yield probe
    finally:
        await probe.close()


async def more(server: PostgresServer, than: int = 0) -> int:
    """Wait for some events; how many there are."""
    await until(server, f"SELECT count(*) >= {than + SOME} FROM events")
    return int(await tell(server, EVENTS))


def told(report: Report) -> None:
    acknowledged, lost = report["events"]["acknowledged"], report["events"]["lost"]
    print(f"acknowledged {acknowledged}, lost {lost}, of the rest {report['events']}, {report['availability']}")


async def test_what_the_standby_had_confirmed_is_there_after_its_promotion(
    start: StartCollector, tmp_path: Path
) -> None:
    async with regions(start, confirmed=True) as two:
        process = await two.collector()
        async with probing(process, tmp_path) as probe:
            kept = await more(two.first)
            given, _ = await two.promote()
            found = await more(two.second, kept)
            print(f"{kept} events before it, {found} after it")
            await probe.end_load()
            report = await probe.verdict()
        told(report)
        assert report["events"]["lost"] == 0
        assert report["verdict"] == "clean", report["reasons"]
        assert report["events"]["acknowledged"] > 2 * SOME
        # Numbers never come again: the first that the second has given is above all of the first's.
        assert await tell(two.second, f"SELECT count(*) FROM events WHERE seq > {given}") >= SOME
        await left_alone(process)
        await come_back(two)


async def left_alone(process: CollectorProcess) -> None:
    """What was its replica is not any more."""
    left = await process.wait_for_log(lambda entry: entry["event"] == "the replica is left alone", DEADLINE)
    assert left["reason"] in ("it follows no other server: was it promoted?", "the replica is not what it was")


async def come_back(two: Regions) -> None:
    """The first follows the second, with all that this has, and is read from."""
    await asyncio.to_thread(copy, two.second, two.first)
    await asyncio.to_thread(two.first.start)
    await until(two.second, STREAMS)
    kept = await tell(two.second, EVENTS)
    await until(two.first, f"SELECT count(*) = {kept} FROM events")
    reading = two.start({**two.env, "POSTGRES_REPLICA_CONNECTION_STRING": two.first.url()})
    await reading.wait_until_ready(DEADLINE)
    await reading.wait_for_log(lambda entry: entry["event"] == "the replica serves reads", DEADLINE)
    async with async_client_of(reading) as client:
        answer = await client.post("/events", json={"source": "after", "action": "promoted"})
        shown = {"Collector-Position": answer.headers["collector-position"]}
        await eventually(
            lambda: client.get("/events?source=after", headers=shown), lambda page: len(page.json()) == 1
        )


async def test_what_the_standby_had_not_is_lost_where_no_commit_waits_for_it(
    start: StartCollector, tmp_path: Path
) -> None:
    async with regions(start, confirmed=False) as two:
        process = await two.collector()
        async with probing(process, tmp_path) as probe:
            before = await more(two.first)
            two.link.mode = "stall"  # nothing comes to the second any more
            kept = await more(two.first, before)
            had = await tell(two.second, EVENTS)
            given, reached = await two.promote()
            await until(two.second, f"SELECT count(*) >= {SOME} FROM events WHERE seq > {given}")
            await probe.end_load()
            report = await probe.verdict()
        told(report)
        print(f"the first had {kept} events, the second {had}")
        assert report["events"]["lost"] > 0
        assert report["verdict"] == "broken"
        # What it had not, and nothing else is wrong: nothing is there twice, or changed.
        assert report["events"]["lost"] >= kept - had - LOAD.workers
        wrong = ("phantom", "refused_but_stored", "doubled", "corrupted")
        assert {name: report["events"][name] for name in wrong if report["events"].get(name)} == {}
        # Nor are the numbers of what was lost given again.
        assert (
            await tell(two.second, f"SELECT count(*) FROM events WHERE seq BETWEEN {reached} + 1 AND {given}") == 0
        )
        await left_alone(process)
