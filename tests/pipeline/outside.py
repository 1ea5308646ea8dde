"""Outside: stands in for what talks to others, such as gh: it answers as told, and remembers what was asked."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.child import clean_environment

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / ".github" / "scripts"
PATIENCE = 60.0  # seconds for what takes a few
RECORDER = """#!{python} -S
import json, sys
with open({record!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
for words, (answer, status) in {answers!r}.items():
    if sys.argv[1 : 1 + len(words.split())] == words.split():
        print(answer, end="")
        sys.exit(status)
"""

Answers = Mapping[str, tuple[str, int]]  # by the first words of what is asked: what is printed, and the exit code


class Outside:
    """A program of this name, in a folder that belongs at the head of PATH."""

    def __init__(self, folder: Path, name: str, answers: Answers | None = None) -> None:
        self.folder = folder
        self._record = folder / f"{name}.jsonl"
        program = folder / name
        program.write_text(
            RECORDER.format(python=sys.executable, record=str(self._record), answers=dict(answers or {}))
        )
        program.chmod(0o755)

    @property
    def asked(self) -> list[list[str]]:
        """The arguments of each call."""
        if not self._record.exists():
            return []
        return [json.loads(line) for line in self._record.read_text().splitlines()]


def ran(script: str, words: Sequence[str | Path], *, outside: Path, cwd: Path, **env: str) -> tuple[int, str]:
    """Run one of our scripts with the programs of `outside` first; its exit code, and all that it said."""
    path = f"{outside}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [SCRIPTS / script, *words],
        cwd=cwd,
        env={**clean_environment(), **env, "PATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
