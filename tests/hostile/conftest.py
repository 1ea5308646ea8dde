"""Fixtures: a collector with a webhook of every kind, on either database, for the whole corpus."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.hostile.ways import HOOKS
from tests.http.conftest import Settings, backend, migrated, new_postgres, new_settings
from tests.http.serving import client_of, running
from tests.process import CollectorProcess

__all__ = ["backend", "migrated", "new_postgres", "new_settings"]


@pytest.fixture(scope="session")
def collector(new_settings: Callable[[], Settings]) -> Iterator[CollectorProcess]:
    with running(new_settings() | {"HOOKS": json.dumps(HOOKS)}) as process:
        yield process


@pytest.fixture(scope="session")
def client(collector: CollectorProcess) -> Iterator[httpx.Client]:
    with client_of(collector) as client:
        yield client
