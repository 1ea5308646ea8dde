"""Fixtures: the image of this tree, containers of it, and volumes that go with the test."""

from collections.abc import Callable, Iterator

import pytest

from tests.conftest import POSTGRES
from tests.engine import HARDENED, Container, built, docker, need_engine, new_name

Serve = Callable[..., Container]
OPEN = {"ALLOW_ANONYMOUS": "true"}  # it is published on loopback alone


@pytest.fixture
def image() -> str:
    """The image, built once."""
    need_engine()
    return built()


@pytest.fixture
def volume(image: str) -> Iterator[str]:
    """The name of a volume that is not there yet."""
    name = new_name()
    yield name
    docker("volume", "rm", "--force", name)


@pytest.fixture
def serve(image: str, volume: str) -> Iterator[Serve]:
    """Start a collector in a hardened container, published on loopback, without waiting for it.

    All of a test's have one volume.
    """
    started: list[Container] = []
    ours = (*HARDENED, f"--volume={volume}:/data")

    def _serve(*options: str, **env: str) -> Container:
        container = Container(image, options=(*ours, *options), env={**OPEN, **env}, publish=8080)
        started.append(container)
        container.start()
        return container

    yield _serve
    for container in started:
        container.remove()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """One PostgreSQL only, the newest: what is tested here is the image, not the dialect."""
    with POSTGRES.sources[-1].serve() as url:
        yield url
