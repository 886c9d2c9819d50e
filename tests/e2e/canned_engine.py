"""An engine process that knows some texts and goes on with them from what was typed: real enough for editors."""

import json
import os
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from spa_lsp.completion import CompletionResult
from spa_lsp.engine.service import serve
from tests.fakes import NAMES, FakeCompleter, make_alternative

TEXTS = ("return a + b", "return sum([a, b])", "total = a\n    total += b\n    return total")
LABELS = ("operators", "built-in functions", "step by step")


@dataclass
class CannedCompleter(FakeCompleter):
    """Adapter `a1` … says what is left of its text when the line at the cursor begins it; else nothing.

    `{indent}` in a text is what the line begins with. Each adapter is so much surer than the next that what was taken
    before does not change their order. While the file `slowly` is there every adapter takes half a second and says the
    line itself instead, so that a late answer can be told from a new one. While the file `haltingly` is there only the
    first one is told.
    """

    texts: tuple[str, ...] = TEXTS
    labels: tuple[str, ...] = field(default=LABELS)
    slowly: str = ""
    haltingly: str = ""

    def complete(self, request, *, on_alternative=None, is_cancelled=None):
        is_slow = bool(self.slowly) and Path(self.slowly).is_file()
        end = time.monotonic() + (0.5 if is_slow else 0)
        while time.monotonic() < end:
            if is_cancelled and is_cancelled():
                return CompletionResult(**self.describe(), is_cancelled=True)
            time.sleep(0.01)
        line = (request.prefix + request.begun).rpartition("\n")[2]
        typed = line.lstrip()
        indent = line.removesuffix(typed)
        texts = [text.replace("{indent}", indent) for text in self.texts]
        rests = [f"<{typed}>{n}" if is_slow else go_on(text, typed) for n, text in enumerate(texts)]
        alternatives = [
            replace(make_alternative(rest, index, label=label), mean_logprob=-1.0 - 2 * index)
            for index, (rest, label) in enumerate(zip(rests, self.labels, strict=True))
            if rest
        ]
        while self.haltingly and Path(self.haltingly).is_file():
            if is_cancelled and is_cancelled():
                return CompletionResult(**self.describe(), is_cancelled=True)
            if on_alternative and alternatives:
                on_alternative(alternatives[0])
                on_alternative = None
            time.sleep(0.01)
        return CompletionResult(**self.describe(), alternatives=tuple(alternatives[: request.k]))


def go_on(text, typed):
    """What is left of the text when this was typed."""
    return text[len(typed) :] if text.startswith(typed) else ""


def command(socket_path, **fields) -> list[str]:
    """The command line of this engine; fields as in `CannedCompleter`."""
    return [sys.executable, "-P", __file__, str(socket_path), json.dumps(fields)]


def main(socket_path, *, log=None, **fields):
    """Serve; append this process's id to `log` when loaded."""

    def load(on_progress):
        if log:
            with open(log, "a") as file:
                file.write(f"{os.getpid()}\n")
        return CannedCompleter(**fields)

    serve(Path(socket_path), load, 60.0, about=NAMES)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], **json.loads(sys.argv[2]))
