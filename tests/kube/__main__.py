"""`make check-deploy`: installs the tools that are missing, then runs the tests of this folder."""

import os
import sys
import time

import pytest

from tests.kube.tools import TOOLS, NotHere, NotInstalled, go, install, tool


def main(arguments: list[str]) -> int:
    """Give pytest's status, or 1 where Go is here and could not build a tool."""
    missing = [line for name in TOOLS if (line := _made_sure_of(name))]
    print(*missing, sep="\n", file=sys.stderr)
    if go() is not None:
        if missing:
            return 1
        os.environ["NEED_TOOLS"] = "1"
    return int(pytest.main(["-q", "tests/kube", *arguments]))


def _made_sure_of(name: str) -> str | None:
    # One line: what is there, or why it is not.
    started = time.monotonic()
    try:
        try:
            path = tool(name)
        except NotHere:
            path = install(name)
    except (NotHere, NotInstalled) as reason:
        return str(reason)
    print(f"{name} {TOOLS[name].version}: {path} ({time.monotonic() - started:.1f} s)", flush=True)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
