"""Fault log: what was done, when, and what was seen of it, for the probe to judge by. One JSON object a line."""

import json
import time
from pathlib import Path


class FaultLog:
    """Appends to a file, which the probe reads when it judges."""

    def __init__(self, path: Path, *, scenario: str, seed: int) -> None:
        self.path = path
        self._count = 0
        self._write(event="plan", scenario=scenario, seed=seed)

    def begin(self, *, kind: str, target: str) -> int:
        """A fault begins now; its number."""
        self._count += 1
        self._write(event="begin", fault=self._count, kind=kind, target=target, at=time.time())
        return self._count

    def end(self, fault: int, effect: str | None) -> None:
        """It is over; what was seen of it."""
        self._write(event="end", fault=fault, at=time.time(), effect=effect)

    def _write(self, **entry: object) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
