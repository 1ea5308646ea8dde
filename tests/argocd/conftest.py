"""What a test needs and is not here skips it with the reason, or fails it, as in tests/kube."""

import shutil
from pathlib import Path

import pytest

from tests.argocd.applications import Checkout
from tests.kube.conftest import pytest_runtest_call, pytest_runtest_setup
from tests.kube.tools import ROOT

__all__ = ["pytest_runtest_call", "pytest_runtest_setup"]


@pytest.fixture
def copy(tmp_path: Path) -> Checkout:
    """A checkout to change."""
    shutil.copytree(ROOT / "argocd", tmp_path / "argocd")
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", symlinks=True)
    return Checkout(tmp_path)
