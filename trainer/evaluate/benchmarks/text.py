"""Small questions about Python text that several benchmarks ask. Parses, runs nothing."""

import ast
import re


def text_before_function(source: str, name: str) -> str:
    """What stands before the last `def name` at the beginning of a line; empty when there is none."""
    found = list(re.finditer(rf"^(?:async )?def {re.escape(name)}\b", source, re.MULTILINE))
    return source[: found[-1].start()] if found else ""


def names_in(tree: ast.AST) -> set[str]:
    """All names that stand anywhere in the tree, read or bound."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
