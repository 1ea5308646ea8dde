"""Fixtures: the whole of deploy/compose, running, for all tests of this folder; each leaves it well."""

from collections.abc import Iterator

import pytest

from tests.compose.stack import Stack
from tests.conftest import POSTGRES
from tests.engine import built, need_engine


@pytest.fixture(scope="session")
def engine() -> None:
    """Skip, or fail, where there is no engine."""
    need_engine()


@pytest.fixture(scope="session")
def stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """nginx, three collectors, worker, PostgreSQL, Redis, Prometheus and Alertmanager, from nothing."""
    stack = Stack(built(), tmp_path_factory.mktemp("compose") / "env")
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """One PostgreSQL only: it holds what is copied, whatever its version."""
    with POSTGRES.sources[-1].serve() as url:
        yield url
