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
    ],
)
def test_names_that_nothing_defines(completion, names):
    assert undefined_names(PREFIX, completion, "\n", "python") == names


def test_a_name_anywhere_else_in_the_text_is_known():
    assert undefined_names(PREFIX, "return helper(r)", "\n\n\ndef helper(r):\n    return r\n", "python") == set()


def test_of_other_languages_nothing_is_said():
    assert undefined_names("function f() {", "return missing", "}", "javascript") == set()
