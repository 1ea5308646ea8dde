"""A repository to propose in."""

from pathlib import Path

import pytest

from tests.pipeline import remote


@pytest.fixture
def site(tmp_path: Path) -> remote.Site:
    return remote.made(tmp_path)
