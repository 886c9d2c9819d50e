"""Some editors at one real llama-server; `python -m tests.remote.load` has many, for as long as one likes."""

import pytest

from tests.remote.load import measure
from tests.remote.real_server import why_not

pytestmark = [pytest.mark.remote, pytest.mark.model, pytest.mark.slow]


def test_every_request_is_answered_once_and_the_server_ends_idle():
    if reason := why_not():
        pytest.skip(reason)
    found = measure(n_editors=3, minutes=0.2, n_rows=4, n_threads=1)
    requests = found["requests"]
    assert requests["asked"] == requests["answered"] > 0
    assert requests["answered_more_than_once"] == 0
    assert found["server"]["idle_s_after_the_last_key"] is not None
