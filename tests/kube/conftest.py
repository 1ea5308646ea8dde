"""A test whose tools are not here is skipped with the reason; where NEED_TOOLS says so, it fails."""

import os
from collections.abc import Generator

import pytest

from tests.kube.tools import NotHere


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    """Fixtures render too."""
    yield from _with_tools()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    """The test itself."""
    yield from _with_tools()


def _with_tools() -> Generator[None]:
    try:
        yield
    except NotHere as reason:
        if os.environ.get("NEED_TOOLS"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
