"""What a request says of the cursor."""

import pytest

from spa_lsp.completion import CompletionRequest
from spa_lsp.text.site import Site, on_empty_line, site_of

ASKED = CompletionRequest(prefix="a\n", begun="b", suffix="\nc", language="rust")


def test_the_site_of_a_request_has_all_of_its_text():
    assert site_of(ASKED) == Site(prefix="a\n", begun="b", suffix="\nc", language="rust")


# #15
def test_an_instruction_is_no_text_before_the_answer():
    """A quote in it opens no string in the code."""
    asked = CompletionRequest(prefix='Don"t ask', layout="instruct", begun="def f():\n")
    assert site_of(asked).before == "def f():\n"


# #15
@pytest.mark.parametrize(
    ("before", "suffix", "expected"),
    [
        ("def f():\n", "    return 1\n", "\n    return 1\n"),  # lines are missing in front of this one
        ("def f():\n", "\n    return 1\n", "\n    return 1\n"),
        ("def f():\n    ", "return 1\n", "return 1\n"),
        ("def f():\n", "", ""),
    ],
)
def test_whole_lines_are_missing_on_a_line_of_their_own(before, suffix, expected):
    assert on_empty_line(Site(prefix=before, suffix=suffix)).suffix == expected
