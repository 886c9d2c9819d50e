"""What the base is told, and how its answers are read. Pure.

It is small: the answer is begun for it.
"""

import ast
import re
import zlib
from collections.abc import Sequence
from typing import Any

from spa_lsp.text.python_source import parse_python
from trainer.data.fences import fenced
from trainer.evaluate.sameness.normalize import entry_function
from trainer.synthesize.cases import MAX_RESULT, Case, called
from trainer.synthesize.generation import Question

PROBLEM_TOKENS, CODE_TOKENS, TESTS_TOKENS, CONCEPT_TOKENS = 120, 224, 200, 40
PROBLEM_BEGUN = "Write a Python function `"
SHOWN_CASES = 3
_SHOWN_LENGTH = 160  # characters of one example
_MAX_CASE = 2 * MAX_RESULT
# Told to some of the rows, so that not all answer alike.
APPROACHES = (
    "Use an explicit loop.",
    "Use a comprehension or a generator expression.",
    "Use the standard library or built-in functions where they help.",
    "Use recursion or a helper function if that makes it clearer.",
)

_CONCEPTS = """List the programming concepts that this code shows, at most five, separated by commas.

```python
{code}
```"""

_RULES = """It asks for one function that takes simple values (numbers, strings, lists or dictionaries) and returns a \
value. It does not read files or input, and it is clear without other text. Its first sentence says what the function \
is called, what it takes and what it returns; one or two more say what happens in special cases.

The exercise:"""

# No example of an exercise: of 16 seeds the 1.5B base turned 13 into the one that stood here, whatever they were
# about, and 11 into one of three.
_FROM_CONCEPTS = f"""Invent a small Python exercise about these concepts: {{concepts}}.
{_RULES}"""

_FROM_SNIPPET = f"""Here is some Python code:

```python
{{code}}
```

Invent another small Python exercise that uses one idea of it, for a reader who has not seen it. {_RULES}"""

_TESTS = """Write assert statements that check a solution of this exercise. Each is one line, calls the function with \
literal values and compares with a literal value.

{problem}"""

_TYPES = re.compile(r"\b(?:Any|Callable|Dict|Iterable|List|Optional|Sequence|Set|Tuple|Union)\b")
_NAME = re.compile(r"`(?P<name>[a-z_][a-z0-9_]*)\s*(?P<rest>\((?:[^`]*)\)[^`]*)?`")


def concepts_question(code: str) -> Question:
    """Ask for the concepts of a seed."""
    return Question(text=_CONCEPTS.format(code=code), max_tokens=CONCEPT_TOKENS, stop="none")


def problem_question(*, concepts: str = "", code: str = "") -> Question:
    """Ask for an exercise about concepts, or inspired by a snippet."""
    text = _FROM_CONCEPTS.format(concepts=concepts) if concepts else _FROM_SNIPPET.format(code=code)
    return Question(text=text, begun=PROBLEM_BEGUN, max_tokens=PROBLEM_TOKENS, temperature=0.7, stop="none")


def tests_question(problem: str, entry_point: str, *, n: int) -> Question:
    """Ask for assertions."""
    return Question(
        text=_TESTS.format(problem=problem),
        begun=f"```python\nassert {entry_point}(",
        n=n,
        max_tokens=TESTS_TOKENS,
        temperature=0.3,
        stop="none",
    )


def code_questions(problem: str, given: str, signature: str, *, n: int, temperature: float) -> list[Question]:
    """Ask for `n` solutions, for half of them with a hint; the answers begin with what is given and the signature.

    One hint for each problem and no more: every other prompt has to be read, which takes as long as some solutions.
    """
    hint = APPROACHES[zlib.crc32(problem.encode()) % len(APPROACHES)]
    shares = ((problem, n - n // 2), (f"{problem}\n\n{hint}", n // 2))
    return [
        Question(
            text=text,
            begun=f"```python\n{given}{signature}",
            n=share,
            max_tokens=CODE_TOKENS,
            temperature=temperature,
        )
        for text, share in shares
        if share
    ]


def read_concepts(answer: str) -> str:
    """The concepts as they were listed, on one line."""
    words = [part.strip(" .*-0123456789\t`") for part in re.split(r"[,\n]", answer)]
    return ", ".join(dict.fromkeys(word.lower() for word in words if 2 < len(word) < 40))[:200]


def read_problem(answer: str) -> tuple[str, str]:
    """The exercise without what follows it, and the name of its function; empty where it has none."""
    text = re.split(r"\n\s*(?:```|#|Example|Here|Solution|def |\*\*|For example)|\n{2,}", answer)[0]
    text = " ".join(text.split())
    if not text.endswith((".", "!", "?")):  # cut off: the last whole sentence is the end
        text = text[: text.rfind(". ") + 1] if ". " in text else ""
    found = _NAME.search(text)
    return (text, found["name"]) if found and len(text) >= 40 else ("", "")


def signature_in(problem: str) -> tuple[str, str]:
    """What an exercise's function begins with, and the import that this needs."""
    found = _NAME.search(problem)
    assert found is not None
    whole = f"def {found['name']}{(found['rest'] or '').strip()}:\n"
    is_whole = found["rest"] is not None and parse_python(f"{whole}    pass\n") is not None
    names = sorted(set(_TYPES.findall(whole)))
    return (
        (whole, f"from typing import {', '.join(names)}\n\n\n" if names else "")
        if is_whole
        else (
            f"def {found['name']}(",
            "",
        )
    )


def read_assertions(answer: str, entry_point: str) -> list[Case]:
    """The assertions that compare a call with literal arguments with a literal; others count for nothing."""
    found = []
    for line in answer.split("\n"):
        tree = parse_python(line.strip())
        if tree and len(tree.body) == 1 and isinstance(tree.body[0], ast.Assert):
            case = _case(tree.body[0].test, entry_point)
            found += [case] if case else []
    return list({repr(case.arguments): case for case in found}.values())


def describe_function(source: str, entry_point: str, cases: Sequence[Case]) -> str:
    """The exercise that a seed function solves: its signature, its docstring, some of what it was seen to do."""
    function = entry_function(source, entry_point)
    assert function is not None
    docstring = _prose(ast.get_docstring(function) or "")
    shown = [text for case in _spread(cases) if len(text := called(entry_point, case)) <= _SHOWN_LENGTH]
    examples = "\n".join(f"- {text}" for text in shown[:SHOWN_CASES])
    first_line = min(node.lineno for node in (function, *function.decorator_list))
    before = "\n".join(source.split("\n")[: first_line - 1])
    is_given = any(not isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(before).body)
    given = f"It stands behind this code:\n\n{fenced(before.strip(), 'python')}\n\n" if is_given else ""
    header = f"Write a Python function `{entry_point}({ast.unparse(function.args)}){_returns(function)}`."
    return f"{header}\n\n{docstring}\n\n{given}{examples}".rstrip()


def signature_of(source: str, entry_point: str) -> str:
    """The line that defines the function, and the first of its docstring, which the base need not write then."""
    function = entry_function(source, entry_point)
    assert function is not None
    first = (ast.get_docstring(function) or "").split("\n")[0].strip()
    docstring = "" if '"' in first or "\\" in first else f'    """{first}"""\n'
    return f"def {entry_point}({ast.unparse(function.args)}){_returns(function)}:\n{docstring}"


def _returns(function: Any) -> str:
    return f" -> {ast.unparse(function.returns)}" if function.returns else ""


def _prose(docstring: str) -> str:
    """The docstring up to its examples and lists of references."""
    lines: list[str] = []
    for line in docstring.split("\n"):
        if re.match(r"\s*(>>>|\.\. |Examples?\b|References?\b|See Also\b|Notes?\b|Doctests?\b)", line):
            break
        lines.append(line.rstrip())
    return "\n".join(lines).strip()[:1200]


def _spread(cases: Sequence[Case]) -> list[Case]:
    """The cases, those whose results say more first."""
    return sorted(cases, key=lambda case: (bool(case.raises), len(repr(case.expected)) < 3, not any(case.arguments)))


def _case(test: ast.expr, entry_point: str) -> Case | None:
    """`f(1) == 2`, `f(1) is True`, `f(1)` and `not f(1)`."""
    expected: ast.expr = ast.Constant(value=True)
    match test:
        case ast.Compare(left=call, ops=[ast.Eq() | ast.Is()], comparators=[other]):
            expected = other
        case ast.UnaryOp(op=ast.Not(), operand=call):
            expected = ast.Constant(value=False)
        case call:
            pass
    is_call = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == entry_point
    if not is_call or not isinstance(call, ast.Call) or call.keywords:
        return None
    try:
        arguments = tuple(ast.literal_eval(argument) for argument in call.args)
        case = Case(arguments=arguments, expected=ast.literal_eval(expected))
        return case if len(repr(case)) <= _MAX_CASE else None
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
