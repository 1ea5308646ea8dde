"""Readme: the commands that README.md shows, and who runs each of them in continuous integration."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"

# Each command has exactly one row. A test takes its commands from `commands_for(__file__)`, so that it runs what
# the README says.
RUN_BY = {
    r"make run|curl .*|collector .*|\. \.venv/bin/activate": "tests/e2e/test_readme.py",
    r"sudo systemctl .*": "tests/systemd/test_live.py",
    r"docker run .*": "tests/image/test_docker_run.py",
    r"make up": "tests/compose/test_stack.py",
    r"make k3d": "tests/kube/test_k3d.py",
    r"kubectl .*|helm .*": "tests/kube/test_readme.py",
    r"argocd/promote .*": "tests/argocd/test_promote.py",
    r"terraform .*": "tests/terraform/test_readme.py",
    r"make (drills|drills-compose|rollouts) .*": ".ci/run",
    r"make bench .*": "tests/bench/test_bench.py",
}


def commands(page: str | None = None) -> list[str]:
    """What a page shows after a `$`, a line each, without comments; the README's if no other is given."""
    blocks = re.findall(
        r"^```console\n(.*?)^```", README.read_text() if page is None else page, re.DOTALL | re.MULTILINE
    )
    shown = [
        re.sub(r"\s*\\\n\s*", " ", found)
        for block in blocks
        for found in re.findall(r"^\$ ((?:.*\\\n)*.*)$", block, re.MULTILINE)
    ]
    return [re.sub(r"\s+# .*$", "", one) for one in shown]


def mentioned(page: str) -> list[str]:
    """The commands of `make` that a page's sentences and tables name."""
    return re.findall(r"(?<!`)`(make [^`\n]+)`(?!`)", page)


def runners(command: str) -> list[str]:
    """The files that run it; there should be one."""
    return [file for pattern, file in RUN_BY.items() if re.fullmatch(pattern, command)]


def commands_for(file: str | Path) -> list[str]:
    """What this file has to run: the README's own words."""
    name = str(Path(file).resolve().relative_to(ROOT))
    return [command for command in commands() if name in runners(command)]


def make_words(command: str) -> tuple[str, list[str]]:
    """The target of a `make`, and what ARGS hands to the command behind it."""
    _, target, *rest = shlex.split(command)
    args = [word.removeprefix("ARGS=") for word in rest if word.startswith("ARGS=")]
    return target, shlex.split(" ".join(args))
