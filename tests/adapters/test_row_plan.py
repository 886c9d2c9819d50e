"""Which rows a request asks for, and which branch of the lead each of them takes."""

import pytest

from spa_lsp.adapters.row_plan import plan_rows
from spa_lsp.completion import CompletionRequest
from tests.tiny_set import make_adapters, make_set


@pytest.fixture(scope="module")
def adapter_set():
    (tensors,) = list(make_adapters().values())[:1]
    return make_set({f"a{n}": tensors for n in range(5)})


# #15
@pytest.mark.parametrize(
    ("asked", "branches"),
    [
        ({"lead_first": True}, [0, 1, 2, 3]),
        ({"lead_first": True, "k": 3}, [0, 1]),
        ({"behind": "a0", "adapters": ("a3", "a4")}, [2, 3]),  # those that are asked for later begin otherwise
        ({"lead_first": True, "adapters": ("a2", "a0", "a4")}, [0, 3]),
        ({"lead_first": True, "adapters": ("a1", "a1", "a1")}, [0, 1]),
        ({"lead_first": True, "adapters": ("a2", "a0", "a2", "a0", "a3")}, [0, 1, 3, 2]),
        ({"behind": "a1", "adapters": ("a1", "a0")}, [1, 0]),
    ],
    ids=str,
)
def test_every_adapter_has_a_branch_of_its_own(adapter_set, asked, branches):
    assert plan_rows(CompletionRequest(prefix="x", **asked), adapter_set).branches == branches


# #15
def test_more_than_the_set_has_are_all_that_it_has(adapter_set):
    assert plan_rows(CompletionRequest(prefix="x", k=9), adapter_set).n_rows == 5


def test_rows_of_a_base_alone_take_the_likeliest_branches():
    assert plan_rows(CompletionRequest(prefix="x", lead_first=True, k=4), None).branches == [0, 1, 2]
