"""Completion in the cells of a notebook, over the real protocol."""

import asyncio

import pytest
from lsprotocol import types

from tests.fakes import SLOW, SOME_TEXTS, FakeCompleter
from tests.server.conftest import eventually
from tests.server.front import CAPABILITIES, Front

NOTEBOOK = "file:///w/n.ipynb"
CLIENT = {**CAPABILITIES, "notebookDocument": {"synchronization": {}}}


def uri_of(n, notebook=NOTEBOOK):
    return f"vscode-notebook-cell:{notebook.removeprefix('file://')}#W{n}"


def item(n, text, language, notebook=NOTEBOOK):
    return {"uri": uri_of(n, notebook), "languageId": language, "version": 1, "text": text}


def open_notebook(client, *texts, languages=(), uri=NOTEBOOK):
    """Open a notebook of these cells, in Python where no other language is given."""
    items = [item(n, text, languages[n] if languages else "python", uri) for n, text in enumerate(texts)]
    cells = [{"kind": 2, "document": each["uri"]} for each in items]
    opened = {"uri": uri, "notebookType": "jupyter-notebook", "version": 1, "cells": cells}
    client.notify("notebookDocument/didOpen", {"notebookDocument": opened, "cellTextDocuments": items})


def change_notebook(client, *, version=2, **cells):
    document = {"uri": NOTEBOOK, "version": version}
    client.notify("notebookDocument/didChange", {"notebookDocument": document, "change": {"cells": cells}})


def edit(n, text, *, version=2, start=(0, 0), end=(0, 0)):
    """A change of a cell's text."""
    range_ = dict(zip(("start", "end"), ({"line": line, "character": at} for line, at in (start, end)), strict=True))
    return {"document": {"uri": uri_of(n), "version": version}, "changes": [{"range": range_, "text": text}]}


@pytest.fixture
async def notebook_front(front):
    """Start a front that keeps what it asks; three cells are open."""

    async def start(*texts, completer=None, languages=(), **options):
        completer = completer or FakeCompleter()
        client = await front(completer, capabilities=CLIENT, **options)
        open_notebook(client, *(texts or ("import os\n", "x = ", "print(x)")), languages=languages)
        return client, completer

    return start


async def test_cells_of_all_notebooks_are_asked_for():
    result = await Front().initialize(capabilities=CLIENT)
    assert result["capabilities"]["notebookDocumentSync"] == {"notebookSelector": [{"notebook": "*"}]}


async def test_the_prompt_holds_the_cells_before_and_behind(notebook_front):
    client, completer = await notebook_front()
    assert await client.texts(0, 4, uri=uri_of(1)) == list(SOME_TEXTS)
    assert (completer.asked[-1].prefix, completer.asked[-1].suffix) == ("import os\n\nx = ", "\n\nprint(x)")


async def test_markdown_is_left_out(notebook_front):
    client, completer = await notebook_front("# Prices", "x = ", "text", languages=("markdown", "python", "markdown"))
    await client.items(0, 4, uri=uri_of(1))
    assert (completer.asked[-1].prefix, completer.asked[-1].suffix) == ("x = ", "")


async def test_an_edit_of_another_cell_changes_the_prompt(notebook_front):
    client, completer = await notebook_front()
    await client.items(0, 4, uri=uri_of(1))
    change_notebook(client, version=1, textContent=[edit(0, "re", start=(0, 7), end=(0, 9))])
    await client.items(0, 4, uri=uri_of(1))
    assert completer.asked[-1].prefix == "import re\n\nx = "


async def test_typing_in_a_cell_is_answered_from_the_cache(notebook_front):
    client, completer = await notebook_front()
    await client.items(0, 4, uri=uri_of(1))
    change_notebook(client, textContent=[edit(1, "return sum", start=(0, 4), end=(0, 4))])
    assert await client.texts(0, 14, uri=uri_of(1)) == ["([a, b])"] and len(completer.asked) == 1


async def test_a_cell_that_moves_up_is_prefix(notebook_front):
    client, completer = await notebook_front()
    cells = [{"kind": 2, "document": uri_of(n)} for n in (2, 1)]
    change_notebook(client, structure={"array": {"start": 1, "deleteCount": 2, "cells": cells}})
    await client.items(0, 4, uri=uri_of(1))
    assert (completer.asked[-1].prefix, completer.asked[-1].suffix) == ("import os\n\nprint(x)\n\nx = ", "")


async def test_a_cell_is_added_and_completed(notebook_front):
    client, completer = await notebook_front()
    array = {"start": 3, "deleteCount": 0, "cells": [{"kind": 2, "document": uri_of(3)}]}
    change_notebook(client, structure={"array": array, "didOpen": [item(3, "y = ", "python")]})
    await client.items(0, 4, uri=uri_of(3))
    assert completer.asked[-1].prefix == "import os\n\nx = \n\nprint(x)\n\ny = "


async def test_a_run_of_a_cell_changes_nothing(notebook_front):
    client, completer = await notebook_front()
    change_notebook(client, data=[{"kind": 2, "document": uri_of(0), "executionSummary": {"executionOrder": 1}}])
    await client.items(0, 4, uri=uri_of(1))
    assert completer.asked[-1].prefix == "import os\n\nx = "


async def test_the_position_of_an_item_is_the_cells_own(notebook_front):
    client, _ = await notebook_front("a = '😋'\n" * 3, "b = '😋'; x = ", "print(x)")
    at = {"line": 0, "character": 14}
    assert (await client.items(0, 14, uri=uri_of(1)))[0]["range"] == {"start": at, "end": at}


async def test_the_panel_shows_what_is_offered_in_a_cell(notebook_front):
    client, completer = await notebook_front()
    params = {
        "textDocument": {"uri": uri_of(1)},
        "position": {"line": 0, "character": 4},
        "context": {"triggerKind": 1},
    }
    shown = await client.call("spa-lsp/alternatives", params)
    assert [each["text"] for each in shown["alternatives"]] == list(SOME_TEXTS)
    assert completer.asked[-1].prefix == "import os\n\nx = "


async def test_lines_of_ipython_do_not_make_python_wrong(notebook_front):
    texts = ("%matplotlib inline\n!echo 'it", "x = ", "df.head?")
    client, _ = await notebook_front(*texts, completer=FakeCompleter(texts=("g()", "f(a", "f(a)")))
    assert await client.texts(0, 4, uri=uri_of(1)) == ["g()", "f(a)", "f(a"]


async def test_an_unknown_cell_gets_nothing(notebook_front):
    client, _ = await notebook_front()
    change_notebook(client, textContent=[edit(9, "x")])
    assert await client.items(0, 0, uri=uri_of(9)) == []


async def test_a_notebook_that_is_closed_ends_the_request_in_it(notebook_front):
    client, completer = await notebook_front(completer=FakeCompleter(**SLOW))
    answer = asyncio.ensure_future(client.ask_items(0, 4, uri=uri_of(1)))
    await eventually(completer.is_busy.is_set)
    closed = {"notebookDocument": {"uri": NOTEBOOK}, "cellTextDocuments": [{"uri": uri_of(n)} for n in range(3)]}
    client.notify("notebookDocument/didClose", closed)
    assert (await answer)["error"]["code"] == -32800
    assert await client.items(0, 4, uri=uri_of(1)) == []


async def test_a_cell_that_is_removed_ends_the_request_in_it(notebook_front):
    client, completer = await notebook_front(completer=FakeCompleter(**SLOW))
    answer = asyncio.ensure_future(client.ask_items(0, 4, uri=uri_of(1)))
    await eventually(completer.is_busy.is_set)
    gone = {"array": {"start": 1, "deleteCount": 1}, "didClose": [{"uri": uri_of(1)}]}
    change_notebook(client, structure=gone)
    assert (await answer)["error"]["code"] == -32800


@pytest.mark.parametrize("change", [{"structure": 7}, {"structure": {"array": {"start": -1, "deleteCount": 0}}}])
async def test_after_an_unreadable_change_nothing_is_offered_until_it_is_opened_again(notebook_front, change):
    client, _ = await notebook_front()
    change_notebook(client, **change)
    assert await client.items(0, 4, uri=uri_of(1)) == []
    open_notebook(client, "x = ")
    assert await client.items(0, 4, uri=uri_of(0)) != []


@pytest.mark.parametrize("name", ["private/n.ipynb", "secrets.ipynb"])
async def test_a_notebook_that_is_ignored_gets_nothing_whatever_its_cells_are_called(notebook_front, name, tmp_path):
    client, _ = await notebook_front(root=tmp_path, settings={"ignore": ["private/"]})
    uri = (tmp_path / name).as_uri()
    open_notebook(client, "x = ", uri=uri)
    assert await client.items(0, 4, uri=uri_of(0, uri)) == []
    odd = types.TextDocumentItem(uri="cell:17", language_id="python", version=1, text="x = ")  # it has no path
    client.server.protocol.documents.open(odd, notebook=uri)
    assert await client.items(0, 4, uri=odd.uri) == []


async def test_cells_sent_as_plain_documents_are_completed_one_by_one(front):
    client = await front(completer := FakeCompleter())
    client.open("import os\n", uri=uri_of(0))
    client.open("x = ", uri=uri_of(1))
    assert await client.texts(0, 4, uri=uri_of(1)) == list(SOME_TEXTS)
    assert completer.asked[-1].prefix == "x = "


async def test_what_a_notebook_imports_of_its_workspace_is_context(front, tmp_path):
    (tmp_path / "shop.py").write_text("def price(item: str) -> float:\n    return 1.0\n")
    client = await front(completer := FakeCompleter(), capabilities=CLIENT, root=tmp_path)
    uri = (tmp_path / "n.ipynb").as_uri()
    open_notebook(client, "from shop import price\n", "x = ", uri=uri)
    await client.items(0, 4, uri=uri_of(1, uri))
    assert [piece.path for piece in completer.asked[-1].context] == ["shop.py"]
    assert completer.asked[-1].path == "n.py"


async def test_what_follows_an_accepted_alternative_is_asked_for_in_its_cell(notebook_front):
    client, completer = await notebook_front(settings={"speculative": True})
    (first, *_) = await client.items(0, 4, uri=uri_of(1))
    change_notebook(client, textContent=[edit(1, first["insertText"], start=(0, 4), end=(0, 4))])
    await client.call("workspace/executeCommand", first["command"])
    await eventually(lambda: len(completer.asked) > 1)
    assert completer.asked[1].prefix.startswith("import os\n\nx = ")


async def test_two_thousand_cells_and_a_cell_of_a_megabyte_are_served(notebook_front):
    client, completer = await notebook_front(*[f"v{n} = {n}" for n in range(2000)], "s = 1\n" * 180_000, "x = ")
    await client.items(0, 4, uri=uri_of(2001))
    assert completer.asked[-1].prefix.endswith("s = 1\n\nx = ") and len(completer.asked[-1].prefix) <= 8000
    await client.items(1, 0, uri=uri_of(2000))
    assert "v1999 = 1999\n\ns = 1\n" in completer.asked[-1].prefix


async def test_going_to_the_next_cell_is_no_visit_elsewhere(notebook_front):
    client, completer = await notebook_front("import os\nimport re\nimport sys\n", "x = ", "y = ")
    await client.items(0, 4, uri=uri_of(1))
    version = client.server.offering.neighbours.ring.version
    await client.items(0, 4, uri=uri_of(2))
    assert client.server.offering.neighbours.ring.version == version


# #13
async def test_a_cell_of_a_language_that_is_switched_off_gets_nothing(notebook_front):
    client, _ = await notebook_front("%%bash\nls ", "x = ", settings={"disabledLanguages": ["shellscript"]})
    assert await client.items(1, 3, uri=uri_of(0)) == []
    assert await client.items(0, 4, uri=uri_of(1))


# #13
async def test_a_cell_of_another_language_is_served_where_only_the_notebooks_is_switched_off(notebook_front):
    client, _ = await notebook_front("%%bash\nls ", settings={"disabledLanguages": ["python"]})
    assert await client.items(1, 3, uri=uri_of(0))
