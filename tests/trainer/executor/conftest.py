"""Fixtures of the rooms whose stages are tried here, and one Ray cluster for all tests of a module."""

import pytest

from tests.trainer.evaluate.conftest import sandbox  # noqa: F401


@pytest.fixture(scope="module")
def cluster():
    """What the first run starts on the loopback ends with the module."""
    ray = pytest.importorskip("ray", reason="needs the extra `ray`")
    yield
    ray.shutdown()
