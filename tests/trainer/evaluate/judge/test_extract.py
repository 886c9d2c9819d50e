"""A golden set of answers as chat models write them; tasks and answers are our own."""

import textwrap

import pytest

from trainer.evaluate.judge.extract import extract_code

STUB = '''import math
from typing import List


def helper(x: float) -> int:
    return math.floor(x)


def total(numbers: List[int]) -> int:
    """Sum of the numbers.
    >>> total([1, 2])
    3
    """
'''
RIGHT = "def total(numbers):\n    return sum(numbers)\n"

# each answer gives a module in which total([1, 2]) is 3
GOLDEN = {
    "one block": f"```python\n{RIGHT}```",
    "prose around a block": f"Sure, here it is:\n\n```python\n{RIGHT}```\n\nIt adds them up. Does this help?",
    "no language": f"```\n{RIGHT}```",
    "another name of the language": f"```py3\n{RIGHT}```",
    "tildes": f"~~~python\n{RIGHT}~~~",
    "fence within a list": "1. Write it:\n" + textwrap.indent(f"```python\n{RIGHT}```\n", "   ") + "2. Use it.",
    "carriage returns": f"```python\n{RIGHT}```".replace("\n", "\r\n"),
    "no fence": RIGHT,
    "no fence, prose before": f"Here is the function:\n\n{RIGHT}",
    "no fence, prose before and after": f"The function:\n{RIGHT}\nThis uses Python's own sum, so it's fast.",
    "no fence, a word of prose that opens code": f"import is not needed here.\n{RIGHT}",
    "indented without a fence": "The function:\n\n" + textwrap.indent(RIGHT, "    "),
    "block that was cut off after the function": f"```python\n{RIGHT}\nprint(total([1, 2",
    "block that was cut off within a second function": f"```python\n{RIGHT}\ndef test_total():\n    assert total([",
    "fence that was never closed": f"Sure!\n```python\n{RIGHT}",
    "example in a second block": f"```python\n{RIGHT}```\nUse it:\n```python\nprint(total([1, 2]))\n```",
    "shell in a first block": f"```sh\npip install nothing\n```\n```python\n{RIGHT}```",
    "example before the function": f"```python\n>>> total([1])\n1\n```\n```python\n{RIGHT}```",
    "a first block without the function": f"```python\nx = 1\n```\n```python\n{RIGHT}```",
    "two versions, the first counts": f"```python\n{RIGHT}```\nOr:\n```python\ndef total(numbers):\n    return 0\n```",
    "helper in another block": "```python\ndef add(a, b):\n    return a + b\n```\n```python\ndef total(numbers):\n"
    "    result = 0\n    for n in numbers:\n        result = add(result, n)\n    return result\n```",
    "helper below": "```python\ndef total(numbers):\n    return add(*numbers)\n\ndef add(a, b):\n    return a + b\n```",
    "helper that is a constant": "```python\nSTART = 0\n\ndef total(numbers):\n    return sum(numbers, START)\n```",
    "signature with types and no import": "```\ndef total(numbers: List[int]) -> int:\n    return sum(numbers)\n```",
    "helper of the question": "```python\ndef total(numbers):\n    return helper(math.fsum(numbers))\n```",
    "question repeated": f"```python\n{STUB}    return sum(numbers)\n```",
    "body alone": "```python\n    return sum(numbers)\n```",
    "body alone, not indented": "```python\nresult = sum(numbers)\nreturn result\n```",
    "body alone, no fence": "    return sum(numbers)",
    "body alone that needs a helper": "    return helper(sum(numbers))\n",
    "example that reads input": f"```python\n{RIGHT}\nvalues = input().split()\nprint(total(values))\n```",
    "example whose name is a local": "```python\ndef total(numbers):\n    result = sum(numbers)\n    return result\n\n"
    "result = input()\n```",
    "main guard": f'```python\n{RIGHT}\nif __name__ == "__main__":\n    raise SystemExit\n```',
    "test that fails": f"```python\n{RIGHT}\nassert total([]) == 1\n```",
    "test that needs a package": f"```python\n{RIGHT}```\n```python\nimport no_such_package\n```",
    "decorator": "```python\nimport functools\n\n@functools.cache\ndef add(a, b):\n    return a + b\n\n"
    "def total(numbers):\n    return functools.reduce(add, numbers)\n```",
    "import of the future": "```python\nfrom __future__ import annotations\n\ndef total(numbers: Nothing):\n"
    "    return sum(numbers)\n```",
    "guarded import": "```python\ntry:\n    import no_such_package as m\nexcept ImportError:\n    import math as m\n\n"
    "def total(numbers):\n    return int(m.fsum(numbers))\n```",
    "class": "```python\nclass Adder:\n    def add(self, numbers):\n        return sum(numbers)\n\n"
    "def total(numbers):\n    return Adder().add(numbers)\n```",
    "lambda": "```python\nadd = lambda a, b: a + b\n\ndef total(numbers):\n    return add(*numbers)\n```",
    "statements in one line": "```python\na = 1; b = 2\ndef total(numbers):\n    return a + b\n```",
    "backslash in a string": '```python\ndef total(numbers):\n    "\\d"\n    return sum(numbers)\n```',
    "other letters": "```python\n# Größe ✓\ndef total(numbers):\n    '''Größe ✓'''\n    return sum(numbers)\n```",
    # issue 13: whatever kind of statement the function needs, in order
    "an item of a table": "```python\nmemo = {}\nmemo[0] = 0\n\ndef total(numbers):\n"
    "    return sum(numbers, memo[0])\n```",
    "a sieve in a loop": "```python\nsieve = []\nfor n in range(3):\n    sieve.append(n)\n\ndef total(numbers):\n"
    "    return sum(sieve)\n```",
    "a table that a function fills": "```python\ntable = []\n\ndef fill(t):\n    t.append(3)\n\nfill(table)\n\n"
    "def total(numbers):\n    return table[0]\n```",
    "a limit of the interpreter": "```python\nimport sys\nold = sys.getrecursionlimit()\n"
    "sys.setrecursionlimit(old + 7)\n\n"
    "def total(numbers):\n    import sys\n    return sys.getrecursionlimit() - old - 4\n```",
    "a setting of a class": "```python\nclass A:\n    x = 1\nA.x = 3\n\ndef total(numbers):\n    return A.x\n```",
    "a block that tries": "```python\nmemo = {}\ntry:\n    memo['a'] = 3\nexcept KeyError:\n    pass\n\n"
    "def total(numbers):\n    return memo['a']\n```",
    "a table changed by an example": "```python\nmemo = {}\n\ndef total(numbers):\n    memo[1] = 1\n"
    "    return sum(numbers)\n\n"
    "memo[1] = total(input())\n```",
    "a module that runs tests": f"```python\nimport unittest\n{RIGHT}\nunittest.main()\n```",
    # issue 13: fences
    "four backticks around three": f'````python\n"""\n```\nx\n```\n"""\n{RIGHT}````',
    "a fence in a docstring": "```python\ndef total(numbers):\n"
    '    """Adds.\n\n    ```\n    total([1])\n    ```\n    """\n'
    "    return sum(numbers)\n```",
    "line separators in a string": "```python\nX = 'a\u2028b\x0c'\ndef total(numbers):\n    return len(X) - 1\n```",
}


def run(source):
    scope = {"__name__": "candidate"}
    exec(compile(source, "<answer>", "exec", dont_inherit=True), scope)
    return scope["total"]([1, 2])


@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", GOLDEN)
def test_the_answer_gives_the_function(name):
    assert run(extract_code(GOLDEN[name], "total", stub=STUB)) == 3


WITHOUT_FUNCTION = {
    "nothing": "",
    "prose": "I cannot write this function.",
    "another function": "```python\ndef add(a, b):\n    return a + b\n```",
    "cut off within the signature": "```python\ndef total(numb",
    "cut off within the docstring": '```python\ndef total(numbers):\n    """Sum of',
    "null bytes": "```python\ndef total(numbers):\n    return '\0'\n```",
    "nested too deep": "```python\ndef total(numbers):\n    return " + "(" * 500 + ")" * 500 + "\n```",
    "method of a class": "```python\nclass Solution:\n    def total(self, numbers):\n        return sum(numbers)\n```",
}


@pytest.mark.parametrize("name", WITHOUT_FUNCTION)
def test_an_answer_without_the_function_gives_none(name):
    with pytest.raises((SyntaxError, ValueError, KeyError, TypeError, RecursionError, MemoryError)):
        run(extract_code(WITHOUT_FUNCTION[name], "total"))


def test_a_question_without_code_needs_no_stub():
    assert run(extract_code(GOLDEN["prose around a block"], "total")) == 3


def test_what_is_kept_is_kept_word_for_word():
    code = "import re  # unused\n\ndef total(numbers):\n    # adds\n    return sum( numbers )\n"
    assert extract_code(f"```python\n{code}```", "total", stub="def total(numbers):\n").replace("\n\n", "\n") == (
        code.replace("\n\n", "\n")
    )


def test_examples_are_dropped():
    assert "print" not in extract_code(GOLDEN["example that reads input"], "total", stub=STUB)


def test_imports_of_the_question_that_nothing_needs_stay_away():
    assert "helper" not in extract_code(GOLDEN["one block"], "total", stub=STUB)


def test_a_long_answer_without_end_is_read():
    answer = "```python\n" + RIGHT + "x = [\n" + "    'one more line',\n" * 100
    assert run(extract_code(answer, "total")) == 3
