"""The Go program beside this file: Argo CD's own templates, notifications and Lua, built by Go into .tools."""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.kube.tools import FOLDER, NotHere, build_program, program, run

SOURCE = Path(__file__).with_name("engine")


class EngineError(Exception):
    """It refused; the message is what it said."""


def is_built() -> bool:
    """Whether it is there."""
    return program(SOURCE).is_file()


def build() -> None:
    """Build it. Raises NotHere, NotInstalled."""
    folder = FOLDER / "build" / program(SOURCE).parent.name
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True)
    # Go writes beside the source what it has taken, each held to the database of all sums: so not in the checkout.
    build_program(folder, "-mod=mod", called=SOURCE)
    shutil.rmtree(folder)


def engine(command: str, question: Any) -> Any:
    """Let it do `template`, `notify` or `health`. Raises NotHere, EngineError."""
    if not is_built():
        raise NotHere("tests/argocd/engine is not built: `make check-deploy` does that, by Go")
    done = run([program(SOURCE), command], stdin=json.dumps(question))
    if done.returncode:
        raise EngineError(done.stderr.strip())
    return json.loads(done.stdout)
