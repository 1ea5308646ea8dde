"""A canary under load: the chart's steps before two real versions, aborted halfway, and tried again to its end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.databases import migrate
from tests.drills.front import Front
from tests.drills.probing import Probe
from tests.drills.processes import running
from tests.drills.scenario import Load, Seconds
from tests.kube.rendered import CHART
from tests.process import CollectorProcess
from tests.servers import PostgresServer

PATIENCE = 60.0  # seconds
POLL = 0.1  # seconds
SEEN = 2  # requests that a version has answered before its next step
WEIGHTS: list[int] = yaml.safe_load((CHART / "values.yaml").read_text())["delivery"]["canary"]["weights"]
DRAIN = 1  # seconds that one goes on accepting once it leaves


def shared(stable: int, canary: int, weight: int) -> Sequence[int]:
    """Ports in the order in which connections get them, so that `weight` of 100 are the canary's, evenly."""
    turns = pairwise(place * weight // 100 for place in range(101))
    return [canary if before < after else stable for before, after in turns]


class Delivery:
    """Two versions behind a front, which a controller weighs."""

    def __init__(self, front: Front, database: str, client: httpx.AsyncClient, exits: AsyncExitStack) -> None:
        self._front = front
        self._client = client
        self._env = {"POSTGRES_CONNECTION_STRING": database, "DRAIN_SECONDS": str(DRAIN)}
        self._exits = exits

    async def start(self) -> CollectorProcess:
        """A pod that is ready."""
        process = self._exits.enter_context(CollectorProcess(env=self._env))
        await process.wait_until_ready(timeout=PATIENCE)
        return process

    async def weigh(self, stable: CollectorProcess, canary: CollectorProcess, weight: int) -> None:
        """Give so many of 100 connections to the canary, and wait until it has answered some."""
        self._front.update(shared(stable.port, canary.port, weight))
        before = await self._answered(canary)
        async with asyncio.timeout(PATIENCE):
            while weight and await self._answered(canary) < before + SEEN:  # noqa: ASYNC110
                await asyncio.sleep(POLL)

    async def dismiss(self, process: CollectorProcess) -> None:
        """Let a version leave to which nobody is sent any more."""
        process.terminate()
        assert await process.wait(timeout=PATIENCE) == 0

    async def _answered(self, process: CollectorProcess) -> float:
        """How many requests it has answered with 201."""
        text = (await self._client.get(f"{process.url}/metrics")).text
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        kept = {"status": "201"}
        return sum(
            each.value for each in samples if each.name == "collector_responses_total" and each.labels == kept
        )


@asynccontextmanager
async def delivery() -> AsyncIterator[tuple[Delivery, str]]:
    """With the front's URL."""
    async with AsyncExitStack() as exits:
        server = await exits.enter_async_context(running(PostgresServer(settings={"fsync": "off"})))
        await asyncio.to_thread(migrate, server.url())
        front = await exits.enter_async_context(Front())
        client = await exits.enter_async_context(httpx.AsyncClient(trust_env=False))
        yield Delivery(front, server.url(), client, exits), front.url


def test_every_weight_is_what_it_says() -> None:
    for weight in (0, *WEIGHTS):
        assert shared(1, 2, weight).count(2) == weight
    assert WEIGHTS[-1] == 100


@pytest.mark.timeout(300)
async def test_nothing_acknowledged_is_lost_when_it_is_aborted_nor_when_it_comes_in(tmp_path: Path) -> None:
    async with delivery() as (controller, url):
        stable, canary = await controller.start(), await controller.start()
        await controller.weigh(stable, canary, 0)
        load = Load(rate=60, seconds=Seconds(600), retry=False)
        probe = Probe([url], load, tmp_path, faults=None, seed=1)
        report: dict[str, Any]
        try:
            await probe.start()
            for weight in WEIGHTS[: len(WEIGHTS) // 2 + 1]:
                await controller.weigh(stable, canary, weight)
            await controller.weigh(stable, canary, 0)
            await controller.dismiss(canary)

            again = await controller.start()
            for weight in WEIGHTS:
                await controller.weigh(stable, again, weight)
            await controller.dismiss(stable)
            await probe.end_load()
            report = dict(await probe.verdict())
        finally:
            await probe.close()
    events = report["events"]
    print(f"{events['acknowledged']} acknowledged, {events['lost']} lost, {events['doubled']} doubled; "
          f"{report['requests']['errors_without_retry']} failed of {report['proof']['requests']}")  # fmt: skip
    assert report["verdict"] == "clean", report["reasons"]
    assert report["requests"]["errors_without_retry"] == 0
