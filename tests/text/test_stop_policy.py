"""One line inside a line of code, a block where a block begins."""

import pytest

from spa_lsp.text.site import Site
from spa_lsp.text.stop_policy import stop_policy


def policy(drawn, *, is_asked=False):
    prefix, _, suffix = drawn.partition("‸")
    return stop_policy(Site(prefix=prefix, suffix=suffix), is_asked=is_asked)


@pytest.mark.parametrize(
    "drawn",
    [
        "total = su‸",
        "    return ‸\n\n\ndef other():\n",
        "print(‸)",
        "for word in ‸:\n    pass\n",
        "if done‸: return\n",
        "const x = ‸;\n",
        "def f(‸):\n",  # the bracket is closed behind the cursor: it is no block
    ],
)
def test_one_line_is_asked_for_inside_a_line(drawn):
    assert policy(drawn) == "single"


@pytest.mark.parametrize(
    "drawn",
    [
        "def f(x):\n    ‸\n",
        "def f(x):‸\n",
        "def f(x):\n    y = x\n‸\n",
        "function f() {‸\n}\n",
        "items = [‸",
        "‸",
        "while read line; do‸\n",
        "xs.map(x => ‸",
    ],
)
def test_a_block_is_asked_for_where_one_begins(drawn):
    assert policy(drawn) == "multi"


def test_who_asks_gets_a_block_anywhere():
    assert policy("total = su‸", is_asked=True) == "multi"
