"""Which rows a request asks for, and which branch of the lead each of them takes."""

from dataclasses import replace

import pytest

from spa_lsp.adapters.row_plan import plan_rows
from spa_lsp.completion import CompletionRequest
from tests.tiny_set import make_adapters, make_set


@pytest.fixture(scope="module")
def tensors():
    return next(iter(make_adapters().values()))


@pytest.fixture(scope="module")
def adapter_set(tensors):
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


# #15
@pytest.mark.parametrize(
    ("asked", "n_rows"),
    [
        ({"lead_first": True}, 8),
        ({"lead_first": True, "k": 3}, 3),
        ({"temperature": 0.8}, 8),
        ({"temperature": 0.0}, 1),  # greedily they would all be the same
        ({"lead_first": True, "adapters": ("only",)}, 1),
    ],
    ids=str,
)
def test_the_only_adapter_of_a_set_gives_several_rows(tensors, asked, n_rows):
    plan = plan_rows(CompletionRequest(prefix="x", **asked), make_set({"only": tensors}))
    assert plan.adapters == (0,) * n_rows
    assert len(set(plan.streams)) == n_rows
    assert plan.branches == list(range(n_rows - plan.has_lead))


# #15
@pytest.mark.parametrize(
    ("adapters", "activation", "is_shared", "reader"),
    [
        (("a1", "a2"), "completion", True, None),
        (("a1", "a1"), "completion", True, None),
        (("a1", "a1"), "all", True, 1),
        (("a1", "a2"), "all", False, None),
    ],
)
def test_rows_of_one_adapter_read_the_prompt_once(adapter_set, adapters, activation, is_shared, reader):
    plan = plan_rows(CompletionRequest(prefix="x", adapters=adapters), replace(adapter_set, activation=activation))
    assert (plan.is_shared, plan.reader) == (is_shared, reader)
