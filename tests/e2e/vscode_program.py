"""The program `spa-lsp` of the editor tests: the real front and commands, with an engine that knows its texts.

As a program it takes the arguments of `spa-lsp`; with `--engine SOCKET` it is the engine.
"""

import os
import sys
from pathlib import Path

from spa_lsp.completion import Alternative, CompletionResult
from spa_lsp.engine.service import serve
from spa_lsp.engine.supervisor import socket_path
from tests.fakes import NAMES, FakeCompleter

BASE = "fake-base"
TEXTS = (
    "return sum(prices) / len(prices)",
    "total = 0\n{indent}for price in prices:\n{indent}    total += price\n{indent}return total / len(prices)",
    "return statistics.mean(prices)",
    'if not prices:\n{indent}    raise ValueError("no prices 😀")\n{indent}return sum(prices) / len(prices)',
    "return reduce(add, prices) / len(prices)",
)
LABELS = ("comprehensions", "explicit loops", "standard library tools", "checks and errors first", "small functions")


class CannedCompleter(FakeCompleter):
    """Every adapter has one text, and goes on with it where the line at the cursor has begun it."""

    def complete(self, request, *, on_alternative=None, is_cancelled=None):
        line = request.prefix.rpartition("\n")[2]
        typed = line.lstrip()
        indent = line[: len(line) - len(typed)]
        texts = [text.replace("{indent}", indent) for text in TEXTS]
        alternatives = [
            Alternative(
                text=text[len(typed) :],
                adapter=f"a{index + 1}",
                label=LABELS[index],
                index=index,
                mean_logprob=-0.1 * (index + 1),
                n_tokens=len(text.split()),
                finish="stop",
            )
            for index, text in enumerate(texts)
            if text.startswith(typed) and text != typed
        ]
        return CompletionResult(**self.describe(), alternatives=tuple(alternatives[: request.k]))


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--engine"]:
        serve(Path(arguments[1]), lambda on_progress: CannedCompleter(), 60.0, about={**NAMES, "base": BASE})
        os._exit(0)
    if arguments == ["--stdio"]:
        from spa_lsp.cli._serve import serve_stdio

        engine = [sys.executable, "-P", __file__, "--engine", str(socket_path(BASE, "auto"))]
        serve_stdio(engine)
    from spa_lsp.cli import main as spa_lsp

    spa_lsp(arguments, prog_name="spa-lsp")


if __name__ == "__main__":
    main(sys.argv[1:])
