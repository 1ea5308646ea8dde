"""What a test needs and is not here skips it with the reason, or fails it, as in tests/kube."""

from tests.kube.conftest import pytest_runtest_call, pytest_runtest_setup

__all__ = ["pytest_runtest_call", "pytest_runtest_setup"]
