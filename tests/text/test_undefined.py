import sys

import pytest

from spa_lsp.text.undefined import undefined_names

PREFIX = "import math\n\n\ndef area(r):\n    "


# #15
@pytest.mark.parametrize(
    ("completion", "names"),
    [
        ("return math.pi * r ** 2", set()),
        ("return math.pi * radius ** 2", {"radius"}),
        ("radius = r\n    return pi * radius", {"pi"}),
        ("from math import pi as p\n    return p * r", set()),
        ("def half(x): return x / 2\n    return half(r)", set()),
        ("return sum(x for x in range(r))", set()),
        ("return r.radius(unit=1)", set()),
        ("try:\n        return r\n    except ValueError as error:\n        raise error", set()),
        ("return (nothing", set()),  # it does not parse
        ("match r:\n        case {'r': _, **rest}:\n            return rest", set()),
        ("return __file__", set()),
    ],
)
def test_names_that_nothing_defines(completion, names):
    assert undefined_names(PREFIX, completion, "\n", "python") == names


def test_where_a_star_is_imported_any_name_may_be_defined():
    assert undefined_names(f"from math import *\n{PREFIX}", "return sqrt(r)", "\n", "python") == set()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="has no syntax for it")
def test_a_type_parameter_is_defined():
    assert undefined_names("", "def first[T](xs: list[T]) -> T:\n    return xs[0]", "\n", "python") == set()


def test_a_name_anywhere_else_in_the_text_is_known():
    assert undefined_names(PREFIX, "return helper(r)", "\n\n\ndef helper(r):\n    return r\n", "python") == set()


def test_of_other_languages_nothing_is_said():
    assert undefined_names("function f() {", "return missing", "}", "javascript") == set()
