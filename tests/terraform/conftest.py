"""For `make check-terraform`: a test whose tool or provider is not here is skipped with the reason."""

import os
from collections.abc import Generator

import pytest

from tests.kube.tools import NotHere
from tests.terraform import STARTED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    """Fixtures run Terraform too."""
    if STARTED not in os.environ:
        pytest.skip("`make check-terraform` runs it")
    yield from _with_tools()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    """The test itself."""
    yield from _with_tools()


def _with_tools() -> Generator[None]:
    try:
        yield
    except NotHere as reason:
        pytest.skip(str(reason))
