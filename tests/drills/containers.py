"""Containers: the rig of Docker Compose: deploy/compose as it is, under a name of its own."""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.compose.stack import FILES, Stack
from tests.drills.containerlogs import ContainerLogs
from tests.drills.injectors import containers
from tests.drills.injectors.drains import of_worker
from tests.drills.injectors.rollouts import BAD, Rollouts
from tests.drills.rig import Assembled, NotHere, Targets, Verb
from tests.drills.scenario import Containers
from tests.engine import EngineError, built, missing

SOLE = ("collector",)
THREE = ("collector", "collector-2", "collector-3")
ROLLS = frozenset({"roll-out", "roll-back", "rotate-password", *BAD})

Override = dict[str, Any]


def collectors(plan: Containers) -> tuple[str, ...]:
    """The services that serve."""
    return THREE if plan.scaled else SOLE


def offers(plan: Containers) -> dict[str, frozenset[str]]:
    """The targets that such a rig has, and their verbs; known without starting it."""
    found = {name: frozenset({"kill"}) for name in collectors(plan)}
    found |= {"worker": frozenset({"kill", "kill-draining"}), "host": frozenset({"reboot"})}
    found |= {name: frozenset({"kill", "stop"}) for name in ("postgres", "redis")}
    found |= {"collectors": ROLLS} if plan.scaled else {}
    return found | ({"disk": frozenset({"fill"})} if plan.disk_mib is not None else {})


class ContainerRig(Assembled):
    """A rig of containers, as `plan` says, with files of Compose `on_top`: those that spoil it, where one does."""

    def __init__(self, plan: Containers, folder: Path, on_top: Sequence[Path] = ()) -> None:
        super().__init__()
        self._plan = plan
        self._folder = folder
        self._on_top = on_top
        self._targets: dict[str, Mapping[str, Verb]] = {}

    @property
    def urls(self) -> Sequence[str]:
        """One: that of nginx, or of the sole collector."""
        return [self._stack.url]

    @property
    def targets(self) -> Targets:
        """As `offers` says."""
        return self._targets

    @property
    def restarts(self) -> Mapping[str, Sequence[str]]:
        """Of the containers of our image that are there: what the engine has started again."""
        names = (*collectors(self._plan), "worker")
        return {name: ["its restart policy"] * self._stack.container(name).restarts for name in names}

    @property
    def logs(self) -> Mapping[str, str]:
        """What the services of our image have written, also in containers that are gone."""
        return self._logs.of((*collectors(self._plan), "candidate", "worker", "migrate"))

    async def stored(self, source: str) -> Counter[str]:
        """How often each id of this source is in the table."""
        assert "'" not in source
        select = f"SELECT id FROM events WHERE source = '{source}'"
        return Counter((await asyncio.to_thread(containers.psql, self._stack, select)).split())

    async def _start(self) -> None:
        if reason := missing():
            if os.environ.get("NEED_ENGINE"):
                raise EngineError(reason)
            raise NotHere(reason)
        override = self._folder / "on-top.json"
        override.write_text(json.dumps(_override(self._plan)))
        files = [*(FILES[:2] if self._plan.scaled else FILES[:1]), *map(str, (override, *self._on_top))]
        image = await asyncio.to_thread(built)
        self._stack = stack = Stack(image, self._folder / "env", files)
        self._logs = await self._exits.enter_async_context(ContainerLogs(stack.name, self._folder))
        rollouts = Rollouts(stack, (*THREE, "worker"))
        self._exits.push_async_callback(asyncio.to_thread, rollouts.close)
        self._exits.push_async_callback(asyncio.to_thread, stack.down)
        await asyncio.to_thread(containers.up, stack)
        self._targets |= containers.of_stack(stack, collectors(self._plan))
        self._targets["worker"] = of_worker(stack)
        if self._plan.scaled:
            self._targets["collectors"] = rollouts.verbs
        if self._plan.disk_mib is not None:
            self._targets["disk"] = containers.of_disk(stack)
        assert offers(self._plan) == {name: frozenset(verbs) for name, verbs in self._targets.items()}


def _override(plan: Containers) -> Override:
    """What such a rig has on top of the files, for Compose to read."""
    services: Override = {name: {"environment": plan.settings} for name in collectors(plan)}
    slow = ["-c", f"commit_delay={plan.commit_ms * 1000}", "-c", "commit_siblings=0"]
    services["postgres"] = {"command": ["postgres", *slow]}
    if plan.disk_mib is None:
        return {"services": services}
    # A file system in memory is gone once no container has it, as when PostgreSQL ends: this one has it.
    services["disk"] = {"image": "postgres:17", "entrypoint": ["sleep", "infinity"], "init": True}
    services["disk"]["volumes"] = [f"postgres:{containers.DISK}"]
    services["postgres"]["depends_on"] = {"disk": {"condition": "service_started"}}
    small = {"type": "tmpfs", "device": "tmpfs", "o": f"size={plan.disk_mib}m"}
    return {"services": services, "volumes": {"postgres": {"driver_opts": small}}}
