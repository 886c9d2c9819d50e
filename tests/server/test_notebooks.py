import random

import pytest
from lsprotocol import types

from spa_lsp.server.documents import Documents
from spa_lsp.server.notebooks import AROUND_CHARS, Notebooks

N_EDITS = 3000
NOTEBOOK = "file:///w/n.ipynb"
TEXTS = ("a\n", "b 😋\r\nc", "", "  \n", "%%bash\nls", "%%time\nd", "%pip e\n\n", "x" * 60)
LANGUAGES = ("python", "python", "python", "markdown", "sql")


class Client:
    """A naive client: a list of cells, of which it tells the server every change."""

    def __init__(self, *cells):
        self.documents = Documents()
        self.notebooks = Notebooks(self.documents)
        self.version = 1
        self.n_made = 0
        self.cells = [self.make(text, language) for text, language in cells]
        opened = types.NotebookDocument(NOTEBOOK, "jupyter-notebook", 1, [as_cell(cell) for cell in self.cells])
        self.notebooks.open(types.DidOpenNotebookDocumentParams(opened, [as_item(cell) for cell in self.cells]))

    def make(self, text, language="python"):
        self.n_made += 1
        return {
            "uri": f"vscode-notebook-cell:/w/n.ipynb#{self.n_made}",
            "language": language,
            "version": 1,
            "text": text,
        }

    def splice(self, start, n_deleted, *cells, version=None):
        gone, self.cells[start : start + n_deleted] = self.cells[start : start + n_deleted], cells
        self.version += 1
        change = types.NotebookDocumentCellChangeStructure(
            array=types.NotebookCellArrayChange(start, n_deleted, [as_cell(cell) for cell in cells] or None),
            did_open=[as_item(cell) for cell in cells if cell not in gone],
            did_close=[types.TextDocumentIdentifier(cell["uri"]) for cell in gone if cell not in cells],
        )
        self.send(types.NotebookDocumentCellChanges(structure=change), version or self.version)

    def edit(self, cell, text, *, version=None):
        cell["text"] = text
        cell["version"] += 1
        content = types.NotebookDocumentCellContentChanges(
            document=types.VersionedTextDocumentIdentifier(uri=cell["uri"], version=version or cell["version"]),
            changes=[types.TextDocumentContentChangeWholeDocument(text=text)],
        )
        self.send(types.NotebookDocumentCellChanges(text_content=[content]), self.version)

    def send(self, cells, version):
        identifier = types.VersionedNotebookDocumentIdentifier(version=version, uri=NOTEBOOK)
        change = types.NotebookDocumentChangeEvent(cells=cells)
        self.notebooks.change(types.DidChangeNotebookDocumentParams(identifier, change))

    def program(self, n):
        """The text around a cell and where it begins."""
        program = self.notebooks.program(self.documents.get(self.cells[n]["uri"]))
        return program.document.text, program.start


def as_cell(cell):
    kind = types.NotebookCellKind.Markup if cell["language"] == "markdown" else types.NotebookCellKind.Code
    return types.NotebookCell(kind=kind, document=cell["uri"])


def as_item(cell):
    return types.TextDocumentItem(cell["uri"], cell["language"], cell["version"], cell["text"])


def reference(cells, n):
    """By the letter: the other cells of the cell's language, each but the blank ones, with a blank line between."""

    def language(cell):
        return (
            "shellscript"
            if cell["text"].lstrip().startswith("%%bash") and cell["language"] == "python"
            else cell["language"]
        )

    def texts(cells):
        found = (cell for cell in cells if language(cell) == language(own) and cell["text"].strip())
        return [cell["text"].strip("\r\n") for cell in found]

    own = cells[n]
    before = "".join(text + "\n\n" for text in texts(cells[:n]))
    return before + own["text"] + "".join("\n\n" + text for text in texts(cells[n + 1 :])), len(before)


def change_at_random(rng, client):
    n = len(client.cells)
    kind = rng.choice(["edit", "edit", "add", "remove", "move", "language"])
    place = rng.randrange(n) if n else 0
    if kind == "add" or n < 2:
        client.splice(place, 0, client.make(rng.choice(TEXTS), rng.choice(LANGUAGES)))
    elif kind == "edit":
        client.edit(client.cells[place], rng.choice(TEXTS) + rng.choice(TEXTS))
    elif kind == "remove":
        client.splice(place, min(n - place, rng.randint(1, 3)))
    elif kind == "move":
        end = rng.randint(place, n)
        client.splice(place, end - place, *rng.sample(client.cells[place:end], end - place))
    else:
        changed = {**client.cells[place], "language": rng.choice(LANGUAGES)}
        client.splice(place, 1, changed)


@pytest.mark.protocol
def test_random_changes_of_a_notebook_give_what_a_naive_rebuild_gives(tally):
    rng, n_failed = random.Random(13), 0
    client = Client(("a", "python"))
    for _ in range(N_EDITS):
        change_at_random(rng, client)
        if client.cells:
            n = rng.randrange(len(client.cells))
            n_failed += client.program(n) != reference(client.cells, n)
    tally("random changes of a notebook", N_EDITS, n_failed)
    assert n_failed == 0


@pytest.fixture
def client():
    return Client(
        ("import os", "python"), ("# Head", "markdown"), ("x = ", "python"), ("select 1", "sql"), ("y", "python")
    )


def test_cells_of_the_same_language_stand_around_a_cell(client):
    assert client.program(2) == ("import os\n\nx = \n\ny", len("import os\n\n"))


def test_a_cell_of_another_language_is_a_program_of_its_own(client):
    assert client.program(3) == ("select 1", 0)


def test_an_edit_of_another_cell_changes_the_program(client):
    client.edit(client.cells[0], "import re\n")
    assert client.program(2)[0] == "import re\n\nx = \n\ny"


def test_a_cell_whose_language_changes_leaves_the_program(client):
    client.splice(0, 1, {**client.cells[0], "language": "markdown"})
    assert client.program(2)[0] == "x = \n\ny"


def test_a_cell_with_a_magic_of_another_language_is_left_out(client):
    client.edit(client.cells[0], "%%bash\necho")
    assert client.program(2)[0] == "x = \n\ny"


def test_a_cell_in_doubt_is_left_out(client):
    client.edit(client.cells[0], "import re", version=1)
    assert client.program(2)[0] == "x = \n\ny"


def test_an_older_version_of_the_cells_is_not_used(client):
    client.splice(0, 1, version=-1)
    assert client.program(1) == ("x = ", 0)


@pytest.mark.parametrize("place", [(9, 0), (9, 1), (0, 99)])
def test_a_change_that_does_not_fit_leaves_the_cells_alone(client, place):
    client.splice(0, 0)
    array = types.NotebookCellArrayChange(*place, [])
    client.send(types.NotebookDocumentCellChanges(types.NotebookDocumentCellChangeStructure(array)), 3)
    assert client.program(2) == ("x = ", 0)


def test_a_lost_change_is_fixed_by_opening_again(client):
    client.notebooks.distrust(NOTEBOOK)
    assert client.documents.get(client.cells[2]["uri"]).is_desynced
    again = Client(*((cell["text"], cell["language"]) for cell in client.cells))
    assert again.program(2)[0] == "import os\n\nx = \n\ny"


def test_cells_without_a_text_are_passed_over(client):
    client.documents.close(client.cells[0]["uri"])
    assert client.program(2)[0] == "x = \n\ny"


def test_a_closed_notebook_leaves_nothing_behind(client):
    client.notebooks.close(NOTEBOOK)
    client.notebooks.close(NOTEBOOK)
    client.edit(client.cells[0], "late")
    assert [client.documents.get(cell["uri"]) for cell in client.cells] == [None] * 5


def test_of_large_cells_only_what_a_window_may_reach_is_joined():
    text, start = Client(("a\n" * 500_000, "python"), ("x", "python"), ("b\n" * 500_000, "python")).program(1)
    assert start <= AROUND_CHARS + 2 and len(text) <= 2 * AROUND_CHARS + 5 and text[start] == "x"


def test_of_two_thousand_cells_those_nearby_are_joined():
    text, start = Client(*[(f"v{n} = {n}", "python") for n in range(2000)]).program(1000)
    assert text[start:].startswith("v1000 = 1000\n\nv1001") and text[:start].endswith("v999 = 999\n\n")
