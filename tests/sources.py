"""Sources: where tests get their servers: a URL of the environment, else Docker, else binaries of packages.

What cannot be had is told with its reason, in the head of the test report, and by the test that needs it.
"""

import importlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.binaries import SUPPORTED, Install, NotToBeHad, postgres_installs, redis_binary
from tests.servers import PostgresServer, RedisServer

POSTGRES_IMAGE = "postgres:17"
REDIS_IMAGE = "redis:8"
DOCKER_SOCKET = Path("/var/run/docker.sock")
DOCKER_TIMEOUT = 5  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A server for tests: `name` is for their ids; `serve` gives its URL while the context is open."""

    name: str
    detail: str
    serve: Callable[[], AbstractContextManager[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The servers to test on, at least one, which may be one that raises NotToBeHad; and what is missing, why."""

    sources: list[Source]
    missing: list[str]


def find_postgres(environ: Mapping[str, str]) -> Found:
    """Find the oldest and the newest supported PostgreSQL; just one if a URL or Docker gives it."""
    if url := environ.get("TEST_POSTGRES_URL"):
        return _given("PostgreSQL", "TEST_POSTGRES_URL", url)
    missing = []
    try:
        require_image(POSTGRES_IMAGE, environ)
    except NotToBeHad as reason:
        missing.append(f"{POSTGRES_IMAGE} by Docker: {reason}")
    else:
        detail = f"{POSTGRES_IMAGE} by Docker"
        return Found(sources=[Source(name="postgres17", detail=detail, serve=_postgres_container)], missing=[])
    installs = postgres_installs()
    had = {install.major for install in installs}
    ends = (SUPPORTED[0], SUPPORTED[-1])
    missing += [f"PostgreSQL {major}: no installed package brings it" for major in ends if major not in had]
    sources = [_postgres_package(install) for install in dict.fromkeys((*installs[:1], *installs[-1:]))]
    return Found(sources=sources or [_nothing("postgres", missing)], missing=missing)


def find_redis(environ: Mapping[str, str]) -> Found:
    """Find one Redis."""
    if url := environ.get("TEST_REDIS_URL"):
        return _given("Redis", "TEST_REDIS_URL", url)
    missing = []
    try:
        require_image(REDIS_IMAGE, environ)
    except NotToBeHad as reason:
        missing.append(f"{REDIS_IMAGE} by Docker: {reason}")
    else:
        detail = f"{REDIS_IMAGE} by Docker"
        return Found(sources=[Source(name="redis8", detail=detail, serve=_redis_container)], missing=[])
    try:
        path, version = redis_binary()
    except NotToBeHad as reason:
        missing.append(f"Redis: {reason}")
        return Found(sources=[_nothing("redis", missing)], missing=missing)
    return Found(
        sources=[Source(name="redis", detail=f"Redis {version} from {path.parent}", serve=_redis_package)],
        missing=missing,
    )


def require_image(image: str, environ: Mapping[str, str]) -> None:
    """Raise NotToBeHad unless a Docker engine answers and has the image; nothing is pulled."""
    _require_listener(environ.get("DOCKER_HOST", f"unix://{DOCKER_SOCKET}"))
    try:
        docker = importlib.import_module("docker")
    except ImportError as error:
        raise NotToBeHad(str(error)) from error
    client = None
    try:
        client = docker.from_env(timeout=DOCKER_TIMEOUT)
        client.images.get(image)
    except docker.errors.ImageNotFound as error:
        raise NotToBeHad("the engine has no such image") from error
    except (docker.errors.DockerException, OSError) as error:
        raise NotToBeHad(f"the engine does not answer: {error}") from error
    finally:
        if client is not None:
            client.close()


def _require_listener(address: str) -> None:
    """Raise NotToBeHad where nobody listens on this socket of the file system.

    Docker's client would leave its own socket open there, for which a later test would be blamed; and its import
    takes half a second.
    """
    scheme, _, path = address.partition("://")
    if scheme != "unix":
        return
    try:
        with closing(socket.socket(socket.AF_UNIX)) as listener:
            listener.settimeout(DOCKER_TIMEOUT)
            listener.connect(path)
    except OSError as error:
        raise NotToBeHad(f"no engine: {path}: {error.strerror or error}") from error


def _given(kind: str, variable: str, url: str) -> Found:
    @contextmanager
    def serve() -> Iterator[str]:
        yield url

    # The host only: a URL bears a password.
    detail = f"{kind} of {variable} at {urlsplit(url).hostname}"
    return Found(sources=[Source(name=kind.lower(), detail=detail, serve=serve)], missing=[])


def _nothing(name: str, reasons: list[str]) -> Source:
    def serve() -> AbstractContextManager[str]:
        raise NotToBeHad("; ".join(reasons))

    return Source(name=name, detail=f"no {name}: tests that need it fail", serve=serve)


def _postgres_package(install: Install) -> Source:
    @contextmanager
    def serve() -> Iterator[str]:
        with PostgresServer(install) as server:
            yield server.url()

    detail = f"PostgreSQL {install.version} from {install.package}"
    return Source(name=f"postgres{install.major}", detail=detail, serve=serve)


@contextmanager
def _redis_package() -> Iterator[str]:
    with RedisServer() as server:
        yield server.url()


@contextmanager
def _postgres_container() -> Iterator[str]:
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # the reaper is an image that would be pulled
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 - takes two seconds

    with PostgresContainer(POSTGRES_IMAGE, username="postgres", dbname="postgres", driver=None) as container:
        yield container.get_connection_url()


@contextmanager
def _redis_container() -> Iterator[str]:
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # the reaper is an image that would be pulled
    from testcontainers.community.redis import RedisContainer  # noqa: PLC0415 - takes two seconds

    with RedisContainer(REDIS_IMAGE) as container:
        yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(container.port)}/0"
