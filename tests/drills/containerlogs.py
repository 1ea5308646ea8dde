"""Container logs: everything that the containers of a project write, also those that are removed meanwhile."""

import asyncio
import contextlib
import json
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SERVICE = "com.docker.compose.service"
PROJECT = "com.docker.compose.project"
ENGINES = "Error response from daemon:"  # such as that the container is being removed


class ContainerLogs:
    """Follows each container of a Compose project from its start, into `<service>.log` of this folder.

    `docker compose logs --follow` would do, if it did not end with the first container that is removed.
    """

    def __init__(self, project: str, folder: Path) -> None:
        self._project = project
        self._folder = folder
        self._running: list[Process] = []

    async def __aenter__(self) -> Self:
        filters = ("type=container", "event=start", f"label={PROJECT}={self._project}")
        words = [f"--filter={one}" for one in filters]
        events = await self._run("events", "--format={{json .}}", *words, stdout=PIPE)
        self._task = asyncio.create_task(self._follow(events))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    def of(self, services: Iterable[str]) -> Mapping[str, str]:
        """What these services have written so far."""
        assert not self._task.done(), "nobody follows the containers any more"
        files = {name: self._folder / f"{name}.log" for name in services}
        return {name: _own(file.read_text(errors="replace")) for name, file in files.items() if file.is_file()}

    async def _follow(self, events: Process) -> None:
        assert events.stdout is not None
        async for line in events.stdout:
            event = json.loads(line)
            actor = event["Actor"]
            with (self._folder / f"{actor['Attributes'][SERVICE]}.log").open("ab") as file:
                # A container that is started again has written before.
                await self._run("logs", "--follow", f"--since={event['time']}", actor["ID"], stdout=file)

    async def _run(self, *words: str, stdout: Any) -> Process:
        process = await asyncio.create_subprocess_exec("docker", *words, stdout=stdout, stderr=STDOUT)
        self._running.append(process)
        return process


def _own(text: str) -> str:
    """Without what the engine says in between."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(ENGINES))
