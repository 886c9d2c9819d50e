"""Where a completion is cut. The cursor is drawn as ‸; the text is what the model has written so far."""

import pytest

from spa_lsp.text.site import Site
from spa_lsp.text.stopping import make_cut


def cut(file, text, *, policy="multi"):
    prefix, suffix = file.split("‸")
    return make_cut(policy, "infill", Site(prefix=prefix, suffix=suffix))(text)


def test_a_completion_goes_on_while_its_last_line_is_open():
    assert cut("def f(x):\n    ‸\n    return y\n", "y = x\n    return y") is None


def test_it_is_cut_before_the_suffix_next_line():
    assert cut("def f(x):\n    ‸\n    return y\n", "y = x\n    return y\n") == "y = x"


def test_whole_lines_before_a_line_keep_their_last_newline():
    assert cut("def f(x):\n‸    return y\n", "    y = x\n    return y\n") == "    y = x\n"


def test_it_is_cut_where_it_leaves_the_block():
    assert cut("def f(x):\n    ‸", "return x\n\ndef g():\n") == "return x\n"


def test_at_the_left_border_nothing_is_a_way_out_of_the_block():
    assert cut("‸", "import os\n\ndef g():\n") is None


def test_a_line_that_stands_twice_in_honest_code_does_not_end_it():
    file = "def f(x):\n    ‸\n    total = compute(x)\n    return\n"
    assert cut(file, "if not x:\n        pass\n    return\n") is None


def test_a_telling_line_further_down_the_suffix_ends_it():
    file = "def f(x):\n    ‸\n    a = 1\n    total = compute_everything(x)\n"
    assert cut(file, "b = 2\n    total = compute_everything(x)\n") == "b = 2"


def test_inside_a_line_the_rest_of_it_ends_the_completion():
    assert cut("print(‸)\nx = 1\n", "1\n)\n") == "1"


def test_blank_lines_never_end_it():
    assert cut("def f():\n    ‸\n\n    return 1\n", "x = 1\n\n\n") is None


@pytest.mark.parametrize(
    ("text", "expected"), [("x = 1\ny", "x = 1"), ("\n  x\n", "\n  x"), ("x", None), ("\n\n", None)]
)
def test_single_ends_with_the_first_line_that_holds_something(text, expected):
    assert cut("a\n  ‸\n", text, policy="single") == expected


def test_none_never_cuts():
    assert cut("def f():\n    ‸", "x\n\ny\n", policy="none") is None


def test_an_instruct_answer_is_never_cut():
    assert make_cut("multi", "instruct", Site())("def f():\n    x\ny\n") is None


ANSWER = "Here it is:\n```python\ndef f(x):\n    return x\n```\n"


@pytest.mark.parametrize("behind", ["", "It returns x.\n", "```python\ndef g(): ...\n```\n"])
def test_an_answer_is_cut_behind_its_first_code(behind):
    assert make_cut("multi", "instruct", Site())(ANSWER + behind) == ANSWER


@pytest.mark.parametrize(
    "text",
    [
        ANSWER.rstrip("\n"),  # the fence may become longer, or be a line of text
        "```sh\npip install x\n```\n",
        "```sh\npip install x\n```\nThen def f.\n```python\ndef f(x):\n",
        "Write def f(x) without a block.\n\nThat is all.\n",
        "````\n```\ndef f(): ...\n```\n",  # the inner fence is text
        "",
    ],
)
def test_an_answer_without_whole_code_goes_on(text):
    assert make_cut("multi", "instruct", Site())(text) is None


@pytest.mark.parametrize("at", [len("Here it is:\n```python\n"), len("Here it"), ANSWER.index("return")])
def test_an_answer_whose_beginning_is_given_ends_with_the_same_code(at):
    assert make_cut("multi", "instruct", Site(begun=ANSWER[:at]))(ANSWER[at:] + "More.\n") == ANSWER[at:]


@pytest.mark.parametrize("example", ["print(f(1))\n", "print(", "if __name__ == '__main__':\n", "def main():\n"])
def test_an_answer_ends_before_the_examples_behind_its_code(example):
    code = ANSWER.removesuffix("```\n")
    assert make_cut("multi", "instruct", Site())(code + example) == code


@pytest.mark.parametrize("line", ["    print(x)", "pri", "def mainly():", "# print(f(1))"])
def test_an_answer_goes_on_where_something_only_looks_like_an_example(line):
    code = ANSWER.removesuffix("```\n")
    assert make_cut("multi", "instruct", Site())(code + line) is None


def test_prose_is_no_example():
    text = "Use it so:\nprint(f(1))\n"
    assert make_cut("multi", "instruct", Site())(text + ANSWER) == text + ANSWER


def test_an_example_in_the_given_beginning_leaves_nothing_to_say():
    begun = ANSWER.replace("```\n", "print(f(1))\n")
    assert make_cut("multi", "instruct", Site(begun=begun))("more") == ""


def test_an_answer_that_is_wanted_whole_is_not_cut():
    assert make_cut("none", "instruct", Site())(ANSWER + "More.\n") is None


def test_a_block_of_commands_does_not_end_an_answer():
    shell = "First:\n```sh\npip install x\n```\n"
    assert make_cut("multi", "instruct", Site())(f"{shell}{ANSWER}Done.\n") == shell + ANSWER


# issue 13
@pytest.mark.parametrize("fence", ["~~~~", "````"])
def test_an_instruct_answer_ends_with_its_own_fence(fence):
    text = f'def f():\n    """F.\n\n    {fence}\n    x\n    """\n~~~\n```\n    return 1\n'
    code = f"{fence}python\n{text}{fence}\n"
    assert make_cut("multi", "instruct", Site())(code + "More.\n") == code
