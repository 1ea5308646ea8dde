"""The Go program beside this file: Argo CD's own templates and notifications, built by Go into .tools."""

import json
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

from tests.kube.tools import BUILD_PATIENCE, FOLDER, NotHere, NotInstalled, go, run

SOURCE = Path(__file__).parent / "engine"


class EngineError(Exception):
    """It refused; the message is what it said."""


def binary() -> Path:
    """Give where it is, once it is built: another source is another file."""
    files = sorted(SOURCE.iterdir())
    return FOLDER / "bin" / f"argocd-engine-{zlib.crc32(b''.join(file.read_bytes() for file in files)):08x}"


def build() -> Path:
    """Build it. Raises NotHere without Go, NotInstalled where that failed."""
    if go() is None:
        raise NotHere("no Go to build tests/argocd/engine with")
    folder = FOLDER / "build" / binary().name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SOURCE, folder)
    # Go writes beside the source which versions it has taken, each checked against the database of all sums.
    command = ["go", "build", "-C", str(folder), "-mod=mod", "-o", str(folder / "engine")]
    done = run(command, env={"CGO_ENABLED": "0"}, timeout=BUILD_PATIENCE)
    if done.returncode:
        raise NotInstalled(f"tests/argocd/engine: {done.stderr.strip().splitlines()[-1]}")
    binary().parent.mkdir(parents=True, exist_ok=True)
    (folder / "engine").rename(binary())
    shutil.rmtree(folder)
    return binary()


def engine(command: str, question: Any) -> Any:
    """Let it do `template` or `notify`. Raises NotHere, EngineError."""
    if not os.access(binary(), os.X_OK):
        raise NotHere("tests/argocd/engine is not built: `make check-deploy` does that, by Go")
    done = run([binary(), command], stdin=json.dumps(question))
    if done.returncode:
        raise EngineError(done.stderr.strip())
    return json.loads(done.stdout)
