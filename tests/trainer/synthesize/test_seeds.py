"""Which functions and snippets of a file become seeds, and what a function brings along."""

import pytest

from trainer.synthesize.seeds import SNIPPET_LINES, find_seeds
from trainer.synthesize.sources import SourceFile

DOC = '    """Says something about itself."""\n'


def seeds_of(text, kind="function"):
    file = SourceFile(repository="r", path="a.py", commit="c", licence="MIT", text=text)
    return [seed for seed in find_seeds(file, seed=0) if seed.kind == kind]


def test_a_documented_function_is_a_seed_and_knows_its_lines():
    (seed,) = seeds_of(f"x = 1\n\ndef double(n):\n{DOC}    return 2 * n\n")
    assert (seed.entry_point, seed.first_line, seed.last_line) == ("double", 3, 5)


def test_a_function_brings_what_it_needs_and_nothing_else():
    before = "import math\nimport re\n\nTAU = 2 * math.pi\n\ndef helper(r):\n    return r * TAU\n\n"
    text = f"{before}def turn(r):\n{DOC}    return helper(r)\n"
    (seed,) = seeds_of(text)
    assert (
        "import math" in seed.text and "TAU" in seed.text and "def helper" in seed.text and "import re" not in seed.text
    )


@pytest.mark.parametrize(
    "function",
    [
        "def f(n):\n    return n\n",  # not documented
        f"def f():\n{DOC}    return 1\n",  # nothing to give it
        f"def f(*n):\n{DOC}    return n\n",
        f"async def f(n):\n{DOC}    return n\n",
        f"def f(n):\n{DOC}    yield n\n",
        f"def f(n):\n{DOC}    n.x = 1\n",  # returns nothing
        f"@wraps\ndef f(n):\n{DOC}    return n\n",
        f"def f(n):\n{DOC}    return open(n)\n",
        f"def f(n):\n{DOC}    return unknown(n)\n",
        f"import os\ndef f(n):\n{DOC}    return os.getenv(n)\n",
        f"from x import *\ndef f(n):\n{DOC}    return g(n)\n",
        f"import datetime\ndef f(n):\n{DOC}    return datetime.datetime.now()\n",
        f"if x:\n    g = 1\ndef f(n):\n{DOC}    return g\n",
        f"def f(n):\n{DOC}    global x\n    return x\n",
    ],
)
def test_a_function_that_does_more_than_compute_is_none(function):
    assert seeds_of(function) == []


def test_the_same_code_has_the_same_id_wherever_it_stands():
    one = seeds_of(f"def f(n):\n{DOC}    return 2 * n\n")
    other = seeds_of(f"y = 2\n\ndef f(n):\n    # doubled\n{DOC}    return 2 * n\n")
    assert [seed.id for seed in one] == [seed.id for seed in other]


def test_snippets_have_one_to_fifteen_lines_of_the_file():
    text = "\n".join(f"value_{n} = compute_something({n}, {n} + 1, {n} * 2)" for n in range(300))
    seeds = seeds_of(text, "snippet")
    assert seeds and all(seed.text in text for seed in seeds)
    assert all(SNIPPET_LINES[0] <= seed.text.count("\n") + 1 <= SNIPPET_LINES[1] for seed in seeds)


def test_seeds_are_the_same_each_time():
    text = "\n".join(f"value_{n} = compute_something({n}, {n} + 1)" for n in range(300))
    assert seeds_of(text, "snippet") == seeds_of(text, "snippet")


def test_another_pythons_syntax_has_no_seeds():
    file = SourceFile(repository="r", path="a.py", commit="c", licence="MIT", text="print 'hello'\n")
    assert find_seeds(file, seed=0) is None


# #14
@pytest.mark.parametrize("body", ["n" + "+1" * 310, "-" * 310 + "n", "n" + ".a" * 310])
def test_a_function_that_python_may_give_up_on_is_no_seed(body):
    assert seeds_of(f"def f(n):\n{DOC}    return {body}\n") == []
