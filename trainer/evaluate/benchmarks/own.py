"""Gaps of our own: everyday modules as people write them, with the cursor where people have it. Reads, runs nothing.

They are the project's own work under its licence, taken from no benchmark and no other code, and never trained on. Each
is one Markdown file in `gaps/`, so that nothing that looks for Python source finds it; `README.md` says how to add one.
"""

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spa_lsp.errors import Damaged
from trainer.evaluate.benchmarks.problems import Problem

GAPS = Path(__file__).parent / "gaps"
BEGIN, END = "⟦", "⟧"
CANARY = "spa-lsp own gaps, canary 5c1f0f6e-8f7b-4c55-9b0e-2f6b7d1a43c9"  # in each file: whoever trains can filter it
PROBE = "probe"  # the function that a test calls where it cannot call the module's own
_BLOCK = re.compile(r"^```python(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A problem, and completions that are right in other ways than its solution."""

    problem: Problem
    others: tuple[str, ...]


def load_own() -> list[Problem]:
    """All gaps as problems, sorted by name."""
    return [gap.problem for gap in load_gaps()]


def load_gaps() -> list[Gap]:
    """All gaps, sorted by name."""
    return [read_gap(path.stem, path.read_text("utf-8")) for path in sorted(GAPS.glob("*.md"))]


def read_gap(name: str, text: str) -> Gap:
    """The gap that a file describes.

    Raises:
        Damaged: it lacks a block or a mark, or the gap is in no function.
    """
    blocks = [(kind or "module", code) for kind, code in _BLOCK.findall(text)]
    module, test = (_only(name, blocks, kind) for kind in ("module", "test"))
    probe = "".join(code for kind, code in blocks if kind == PROBE)
    parts = re.split(f"[{BEGIN}{END}]", module)
    if len(parts) != 3 or module.index(BEGIN) > module.index(END):
        raise Damaged(f"gap {name}: the module needs one {BEGIN} and, behind it, one {END}")
    prefix, solution, suffix = parts
    function = _function_around(name, prefix, solution, suffix)
    problem = Problem(
        task_id=f"own/{name}",
        entry_point=PROBE if probe else function,
        function=function,
        prefix=prefix,
        suffix=suffix,
        solution=solution,
        probe=probe,
        test=f"def check(candidate):\n{textwrap.indent(test, '    ')}",
        benchmark="own",
        canary=CANARY,
    )
    return Gap(problem=problem, others=tuple(code.removesuffix("\n") for kind, code in blocks if kind == "right"))


def _only(name: str, blocks: list[tuple[str, str]], kind: str) -> str:
    found = [code for own, code in blocks if own == kind]
    if len(found) != 1:
        raise Damaged(f"gap {name}: {len(found)} blocks are the {kind}; write one")
    return found[0]


def _function_around(name: str, prefix: str, solution: str, suffix: str) -> str:
    """The function or method that has the gap: `load`, `Store.load`."""
    first, last = (text.count("\n") + 1 for text in (prefix, prefix + solution))
    try:
        found = list(_functions(ast.parse(prefix + solution + suffix)))
    except SyntaxError as error:
        raise Damaged(f"gap {name}: the module does not parse ({error})") from error
    around = [dotted for dotted, node in found if node.lineno <= first and node.end_lineno and last <= node.end_lineno]
    if not around:
        raise Damaged(f"gap {name}: it is in no function")
    return around[0]


def _functions(node: ast.Module | ast.ClassDef, outer: str = "") -> Iterator[tuple[str, ast.stmt]]:
    for child in node.body:
        if isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{outer}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{outer}{child.name}", child
