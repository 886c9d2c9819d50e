"""What the tests of the extension share: asking, waiting for what is on the screen, who runs behind it."""

import psutil

from spa_lsp.outcomes.file import read_outcomes
from tests.e2e.vscode_program import TEXTS
from tests.e2e.vscode_workbench import eventually, within

HEAD = "def mean(prices: list[float]) -> float:\n    "
K = len(TEXTS)
FRONT = "from tests.e2e.vscode_program import main; main(sys.argv[1:])"
READY = '[id*="spaLsp.status"] .codicon-layers'
CARDS = "[...document.querySelectorAll('.card')].map((card) => card.innerText)"


def open_and_ask(workbench, name, text):
    """Open a file and ask for alternatives at its end, until they are there."""
    path = workbench.open(name, text)
    ask(workbench)
    return path


def ask(workbench):
    def is_shown():
        workbench.press("Alt+Backslash")
        return within(lambda: workbench.ghost, 5)

    eventually(is_shown, lambda: f"no ghost text; {workbench.icons} {workbench.status} {workbench.notifications}")


def shows(workbench, **expected):
    """Wait until these properties of the workbench are as expected."""

    def seen():
        return {name: getattr(workbench, name) for name in expected}

    eventually(lambda: seen() == expected, lambda: f"seen {seen()}, expected {expected}", 40)


def accepted():
    """The adapters whose alternatives were recorded as accepted, oldest first."""
    return [outcome["adapter"] for outcome in read_outcomes() if outcome["kind"] == "accepted"]


def front_of(workbench):
    """The process of the language server, once there is one."""

    def found():
        named = (each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"])
        return [each for each in named if {str(workbench.program), "--stdio"} <= set(each.info["cmdline"])]

    return eventually(found, "there is no language server")[0]
