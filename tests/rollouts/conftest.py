"""Who renders manifests needs the tools: without them a test is skipped, with the reason."""

from tests.kube.conftest import pytest_runtest_call, pytest_runtest_setup

__all__ = ["pytest_runtest_call", "pytest_runtest_setup"]
