"""A notebook in a real VS Code workbench: ghost text in its cells, which are one program."""

import json

import pytest

from tests.e2e.vscode_program import LABELS, TEXTS
from tests.e2e.vscode_steps import CARDS, HEAD, K, ask, shows
from tests.e2e.vscode_workbench import eventually

pytestmark = pytest.mark.editors

MARKDOWN, IMPORTS, BODY = "# Prices", "import statistics\n%matplotlib inline", HEAD
EDITORS = ".notebook-editor .code .cell-editor-container .monaco-editor .view-lines"


@pytest.fixture
def open_notebook(workbench):
    """Open a notebook of these code cells below a markdown cell, with the cursor at the end of number `at`."""

    def open_notebook(name, *sources, at):
        path = workbench.workspace / name
        workbench.command("View: Close All Editors")
        path.write_text(json.dumps(notebook(sources)))
        row = f'.explorer-folders-view .monaco-list-row[aria-label^="{name}"]'
        eventually(lambda: workbench.texts(row), f"{name} is not in the explorer")
        workbench.do("click", selector=row, n_clicks=2)
        eventually(lambda: len(workbench.texts(EDITORS)) == len(sources), lambda: f"{workbench.texts(EDITORS)}")
        workbench.do("click", selector=f"{EDITORS} >> nth={at}", n_clicks=1)
        workbench.press("Control+End")
        return path

    yield open_notebook
    workbench.press("Escape")
    workbench.command("View: Close All Editors")


def notebook(sources):
    cells = [{"cell_type": "markdown", "metadata": {}, "source": [MARKDOWN]}]
    for source in sources:
        cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
        cells.append({**cell, "source": source.splitlines(keepends=True)})
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 4}


def code_of(path):
    """The sources of a notebook's code cells as they are saved."""
    cells = json.loads(path.read_text() or '{"cells": []}')["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_ghost_text_in_a_cell_of_a_notebook_is_inserted_there(workbench, open_notebook):
    path = open_notebook("prices.ipynb", IMPORTS, BODY, "mean([1, 2])", at=1)
    ask(workbench)
    shows(workbench, ghost=TEXTS[0], status=f"1/{K} · {LABELS[0]}")
    workbench.press("Tab")
    wanted = [IMPORTS, HEAD + TEXTS[0], "mean([1, 2])"]
    eventually(lambda: code_of(path) == wanted, lambda: f"{code_of(path)}")


def test_the_panel_inserts_into_the_cell(workbench, open_notebook):
    path = open_notebook("panel.ipynb", IMPORTS, BODY, at=1)
    ask(workbench)
    workbench.press("Control+Alt+Enter")
    eventually(lambda: len(workbench.panel(CARDS) or []) == K, "no cards")
    workbench.press("3")
    eventually(lambda: code_of(path) == [IMPORTS, HEAD + TEXTS[2]], lambda: f"{code_of(path)}")


def test_what_the_next_cell_says_is_not_offered(workbench, open_notebook):
    open_notebook("next.ipynb", IMPORTS, "", TEXTS[0], at=1)
    ask(workbench)
    shows(workbench, ghost=TEXTS[1].format(indent=""), status=f"1/{K - 1} · {LABELS[1]}")
