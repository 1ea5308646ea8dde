"""`make check-deploy`: makes the tools and schemas that are missing, then runs tests/kube and tests/argocd."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.argocd import go_engine
from tests.kube import analysis, schemas
from tests.kube.tools import TOOLS, NotHere, NotInstalled, go, install, tool


def main(arguments: list[str]) -> int:
    """Give pytest's status, or 1 where Go is here and could not make something."""
    missing = [reason for what, make in _unmade() if (reason := _made(what, make))]
    if missing and go() is not None:
        return 1
    if not missing:
        os.environ["NEED_TOOLS"] = "1"  # what is here has to run: nothing is skipped
    return int(pytest.main(["-q", "tests/kube", "tests/argocd", *arguments]))


def _unmade() -> Iterator[tuple[str, Callable[[], object]]]:
    for name in TOOLS:
        try:
            tool(name)
        except NotHere:
            yield f"{name} {TOOLS[name].version}", partial(install, name)
    if not analysis.is_built():
        yield "the program that evaluates conditions", analysis.build
    for module in schemas.MODULES:
        if not module.folder.is_dir():
            yield f"schemas of {module.path} {module.version}", partial(schemas.make, module)
    if not go_engine.is_built():
        yield "the program with Argo CD's templates and notifications", go_engine.build


def _made(what: str, make: Callable[[], object]) -> str | None:
    started = time.monotonic()
    try:
        make()
    except (NotHere, NotInstalled) as reason:
        print(f"check-deploy: {reason}", file=sys.stderr, flush=True)
        return str(reason)
    print(f"check-deploy: made {what} in {time.monotonic() - started:.0f} s", flush=True)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
