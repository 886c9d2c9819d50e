"""Fixtures of the rooms whose stages are tried here, one Ray cluster for all tests of a module, and a bound in time."""

import importlib.util
import signal

import pytest

from tests.trainer.synthesize.conftest import make_repository, project  # noqa: F401
from trainer.executor.on_ray import _ENVIRONMENT, _LOOPBACK_ONLY

MOST_S = 600  # twenty times what a test takes on a quiet machine
NOT_NICE = {"RAY_worker_niceness": "0"}  # at Ray's 15 workers get next to nothing where something else runs


@pytest.fixture(scope="session")
def has_ray():
    """Ray is here and has not been imported yet, or on the loopback only."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs the extra `ray`")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (_ENVIRONMENT | _LOOPBACK_ONLY | NOT_NICE).items():  # read at import
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def cluster(has_ray):
    """What the first run starts on the loopback ends with the module."""
    yield
    import ray

    ray.shutdown()


@pytest.fixture(autouse=True)
def bounded(request):
    """A test on a cluster that gets nowhere fails."""

    def fail(*_):
        pytest.fail(f"not done after {MOST_S} s")

    if request.node.get_closest_marker("ray") is None:
        yield
        return
    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(MOST_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Ray makes an exception of it, behind which pytest would go on
