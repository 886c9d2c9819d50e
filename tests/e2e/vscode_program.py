"""The program `spa-lsp` of the VS Code tests: the real front and commands, with a canned engine."""

from spa_lsp.cli import main as spa_lsp
from spa_lsp.cli._serve import serve_stdio
from spa_lsp.engine.supervisor import socket_path
from tests.e2e import canned_engine
from tests.fakes import NAMES

BASE = NAMES["base"]
TEXTS = (
    "return sum(prices) / len(prices)",
    "total = 0\n{indent}for price in prices:\n{indent}    total += price\n{indent}return total / len(prices)",
    "return statistics.mean(prices)",
    'if not prices:\n{indent}    raise ValueError("no prices 😀")\n{indent}return sum(prices) / len(prices)',
    "return reduce(add, prices) / len(prices)",
)
LABELS = ("comprehensions", "explicit loops", "standard library tools", "checks and errors first", "small functions")


def main(arguments: list[str]) -> None:
    """Do what `spa-lsp` does with these arguments."""
    if arguments == ["--stdio"]:
        serve_stdio(canned_engine.command(socket_path(BASE, "auto"), texts=TEXTS, labels=LABELS))
    spa_lsp(arguments, prog_name="spa-lsp")
