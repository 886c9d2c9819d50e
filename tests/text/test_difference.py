"""What another beginning says that a text does not, in a function with `items` and `limit`. (#15)"""

import pytest

from spa_lsp.text.difference import difference, is_known_at, tokens_of
from spa_lsp.text.site import Site

SITE = Site(prefix="def total(items, limit):\n    ", suffix="\n    return amount\n", language="python")


def differs(beginning, text, site=SITE):
    read = [tokens_of(each, site.before, site.language) for each in (beginning, text)]
    return difference(*read, is_known_at(site))


@pytest.mark.parametrize(
    ("beginning", "text"),
    [
        ("amount", "amount = 0"),
        ("am", "amount = 0"),
        ("amount=", "amount = 0"),
        ("amount +", "amount + 1"),
        ("amount = sum( items", "amount = sum(items)"),
        ("amount = sum(\n        items", "amount = sum(items)"),
        ("amount = ['", 'amount = ["a"]'),
        ("amount = '''a", 'amount = """ab"""'),
        ("amount = 0  # none", "amount = 0\n    limit = 1"),
        ("", "amount = 0"),
        (" amount", "amount = 0"),
        ("amount = 0;", "amount = 0"),
        ("amount = 0;", "amount = 0\n    limit = 1"),
    ],
)
def test_spaces_quotes_and_an_earlier_end_are_no_difference(beginning, text):
    assert differs(beginning, text) == "none"


@pytest.mark.parametrize(
    ("beginning", "text"),
    [
        ("n", "count = len(items)"),
        ("amount = [i", "amount = [x for x in items]"),
        ("for item", "for i in items:"),
        ("amount = (", "amount = items + limit"),
        ("amount = max((items", "amount = max(items)"),
        ("if (", "if items:"),
        ("if not(", "if not items:"),
        ("if items", "if (items > limit):"),
        ("total", "sum = 0"),
    ],
)
def test_a_name_of_its_own_or_a_needless_bracket_is_hardly_one(beginning, text):
    assert differs(beginning, text) == "slight"


@pytest.mark.parametrize(
    ("beginning", "text"),
    [
        ("limit", "amount = 0"),  # `return amount` behind it reads this one
        ("amount = limit", "amount = items"),
        ("amount = len", "amount = None"),
        ("amount = x.b", "amount = x.a"),
        ("amount = other", "amount = helper(items)"),
        ("amount = items(", "amount = items"),
        ("amount = items[0](", "amount = items[0]"),
        ("if limit <", "if limit <= 1:"),
        ("amount = limit *", "amount = limit ** 2"),
        ("amount +", "amount += 1"),
        ("amount = 0\n    limit", "amount = 0"),
        ("amount = 0\n        limit", "amount = 0\n    limit = 1"),
        ("amount = ['b", "amount = ['a']"),
        ("count(", "count = len(items)"),
        ("amount = 0; limit", "amount = 0"),
        ("amount = items", "amount = helper(items)"),
        ("return total", "return sum / 2"),
    ],
)
def test_all_else_is(beginning, text):
    assert differs(beginning, text) == "real"


def test_one_letter_in_single_quotes_is_another_kind_in_some_languages():
    site = Site(prefix="int main() { ", language="c")
    assert differs("a = 'b", 'a = "b"', site) == "real"


@pytest.mark.parametrize(("name", "is_known"), [("items", True), ("amount", True), ("item", False)])
def test_known_are_the_words_around_the_cursor(name, is_known):
    assert is_known_at(SITE)(name) == is_known


def test_an_underscore_is_a_name_of_ones_own():
    assert differs("for i", "for _ in items:") == "slight"
