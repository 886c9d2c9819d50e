"""Fixtures of the rooms whose stages are tried here, and one Ray cluster for all tests of a module."""

import importlib.util

import pytest

from tests.trainer.evaluate.conftest import sandbox  # noqa: F401
from tests.trainer.synthesize.conftest import make_repository, project  # noqa: F401


@pytest.fixture(scope="module")
def cluster():
    """What the first run starts on the loopback ends with the module."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs the extra `ray`")
    yield
    import ray  # not before: what the executor sets is read at import

    ray.shutdown()
