"""`make check-terraform`: gets the tools and providers that are missing, then runs the tests of this folder."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.kube.tools import NotHere, NotInstalled
from tests.terraform import STARTED, providers, tools


def main(arguments: list[str]) -> int:
    """Give pytest's status, or 1 where something that could be built was not."""
    got = [_got(what, get) for what, get in _missing()]
    if not all(got):
        return 1
    os.environ[STARTED] = "1"
    return int(pytest.main(["-q", "tests/terraform", *arguments]))


def _missing() -> Iterator[tuple[str, Callable[[], object]]]:
    for what, look, get in (
        ("terraform", tools.terraform, tools.terraform),
        (f"tflint {tools.TFLINT.version}", tools.tflint, tools.build_tflint),
        ("the client of Hetzner's API", tools.hcloud_client, tools.build_hcloud_client),
        (tools.VENVS["checkov"], tools.checkov, partial(tools.install, "checkov")),
        (tools.VENVS["moto"], partial(tools.python_of, "moto"), partial(tools.install, "moto")),
    ):
        try:
            look()
        except NotHere:
            yield what, get
    for provider in providers.pinned():
        if not providers.is_real(provider):
            yield f"{provider.source} {provider.version}", partial(providers.fetch, provider)
    for provider in providers.with_schemas():
        if not providers.stands_in(provider):
            yield f"what stands in for {provider.source}", partial(providers.stand_in, provider)


def _got(what: str, get: Callable[[], object]) -> bool:
    """Whether it is here now, or cannot be on this machine: its tests are skipped then, with the reason."""
    started = time.monotonic()
    try:
        whence = get()
    except NotHere as reason:
        print(f"check-terraform: {reason}", file=sys.stderr, flush=True)
        return True
    except NotInstalled as reason:
        print(f"check-terraform: {reason}", file=sys.stderr, flush=True)
        return False
    aside = f" ({whence})" if whence else ""
    print(f"check-terraform: got {what} in {time.monotonic() - started:.0f} s{aside}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
