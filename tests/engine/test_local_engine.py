"""The engine process as it is started for people, with the tiny base."""

import pytest

from spa_lsp.adapters.finding import find_set
from spa_lsp.adapters.row_plan import ONE_MODEL_ROWS
from spa_lsp.adapters.selection import select_set
from spa_lsp.completion import CompletionRequest
from spa_lsp.engine.client import EngineClient, stop_engine
from spa_lsp.engine.supervisor import log_path, socket_path
from spa_lsp.errors import NotFound
from tests.conftest import TINY_ID
from tests.tiny_serving import install_set

REQUEST = CompletionRequest(prefix="def add(a, b):\n    ", max_tokens=4)


@pytest.fixture
def path(homes):
    path = socket_path(TINY_ID, "fp32")
    yield path
    stop_engine(path)


@pytest.fixture
def two_sets(tiny_base, tiny_peft_adapters):
    """The imported sets `one`, of two adapters, and `two`, of three others."""
    folders = list(tiny_peft_adapters.values())
    install_set("one", folders[:2])
    install_set("two", folders[2:5])


def adapters_that_answer(set_name):
    client = EngineClient.connect(TINY_ID, set_name, "fp32")
    result = client.complete(REQUEST)
    client.close()
    return result.adapter_set, [alternative.adapter for alternative in result.alternatives]


def test_one_engine_serves_every_set_by_name(two_sets, path):
    """One test for all: the engine takes seconds to load."""
    assert adapters_that_answer("one") == ("one", ["a1", "a2"])
    assert adapters_that_answer("two") == ("two", ["a3", "a4", "a5"])
    assert adapters_that_answer("") == ("", ["base"] * ONE_MODEL_ROWS)
    assert adapters_that_answer(None) == ("", ["base"] * ONE_MODEL_ROWS)  # an imported set is never chosen by itself
    select_set(find_set("one", TINY_ID))
    assert adapters_that_answer(None) == ("one", ["a1", "a2"])
    with pytest.raises(NotFound, match="no adapter set 'three'; one, two known"):
        adapters_that_answer("three")
    assert log_path(path).read_text().count("ready: ") == 1


# #15
def test_a_set_that_one_client_misspelt_is_in_the_way_of_no_other(two_sets, path):
    with pytest.raises(NotFound, match="no adapter set 'onne'"):
        adapters_that_answer("onne")  # which starts the engine
    assert adapters_that_answer("") == ("", ["base"] * ONE_MODEL_ROWS)
    assert adapters_that_answer("one") == ("one", ["a1", "a2"])
    assert log_path(path).read_text().count("ready: ") == 1


def test_a_base_that_was_never_pulled_is_told_with_the_way_out(tiny_base, path):
    tiny_base.unlink()
    client = EngineClient.connect(TINY_ID, quantization="fp32")
    with pytest.raises(NotFound, match=f"run: spa-lsp models pull {TINY_ID}"):
        client.complete(REQUEST)
    assert client.status()["state"] == "failed"
