"""What the model is shown of other files, and that it stays the same while one types."""

import asyncio
import threading

import pytest

from spa_lsp.server import neighbours as module
from spa_lsp.server.context import make_site
from spa_lsp.server.documents import Document
from spa_lsp.server.neighbours import FAR_LINES, Neighbours
from tests.fakes import PATIENCE_S
from tests.server.conftest import eventually

LIBRARY = "def helper(a, b=1):\n    return a\n\n\nclass Shop:\n    def buy(self, item): ...\n"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "library.py").write_text(LIBRARY)
    (tmp_path / ".env.py").write_text("KEY = 1")
    return tmp_path


def document(root, text, name="main.py", language="python"):
    return Document(uri=(root / name).as_uri(), language=language, version=1, text=text)


def make(root, *, ignored=()):
    return Neighbours(lambda: [root], lambda uri: any(uri.endswith(name) for name in ignored))


async def pieces(neighbours, document, *, cursor=None, n_chars=2000, is_patient=True):
    cursor = len(document.text) if cursor is None else cursor
    window = make_site(document.text, cursor, cursor, prefix_chars=600, suffix_chars=200)
    found = await neighbours.pieces(document, cursor, window, n_chars=n_chars)
    if is_patient:  # the budget is short and the machine may be busy
        await eventually(lambda: not neighbours._gathering)
        found = await neighbours.pieces(document, cursor, window, n_chars=n_chars)
    return [(piece.path, piece.text) for piece in found]


async def test_what_is_imported_is_shown_as_declarations(root):
    text = "from library import helper\n"
    assert await pieces(make(root), document(root, text)) == [("library.py", "def helper(a, b=1): ...")]


async def test_a_document_that_is_no_file_imports_nothing(root):
    untitled = Document(uri="untitled:1", language="python", version=1, text="from library import helper\n")
    assert await pieces(make(root), untitled) == []


async def test_without_room_nothing_is_shown(root):
    assert await pieces(make(root), document(root, "from library import helper\n"), n_chars=0) == []


async def test_declarations_take_half_the_room_at_most(root):
    text = "from library import Shop, helper\n"
    assert await pieces(make(root), document(root, text), n_chars=60) == [("library.py", "def helper(a, b=1): ...")]


async def test_what_is_ignored_is_neither_read_nor_shown(root):
    neighbours = make(root, ignored=("library.py", "secret.py"))
    neighbours.opened(document(root, LIBRARY, "secret.py"))
    assert await pieces(neighbours, document(root, "from library import helper\n")) == []
    assert neighbours.ring.chunks == []


# issue 13
async def test_a_document_of_an_unknown_scheme_is_no_context(root):
    neighbours = make(root)
    neighbours.opened(Document(uri="output:tasks", language="python", version=1, text=LIBRARY))
    assert neighbours.ring.chunks == []


async def test_what_became_ignored_is_not_shown_any_more(root):
    ignored = []
    neighbours = Neighbours(lambda: [root], lambda uri: bool(ignored))
    neighbours.opened(document(root, LIBRARY, "other.py"))
    ignored.append(True)
    assert await pieces(neighbours, document(root, "x = 1\n")) == []


async def test_what_was_shown_and_became_ignored_is_not_shown_any_more(root):
    ignored = []
    neighbours = Neighbours(lambda: [root], lambda uri: any(uri.endswith(name) for name in ignored))
    neighbours.opened(document(root, "a = 1\nb = 2\nc = 3\n", "other.py"))
    main = document(root, "from library import helper\n")
    assert [path for path, _ in await pieces(neighbours, main)] == ["library.py", "other.py"]
    ignored.append("library.py")
    assert [path for path, _ in await pieces(neighbours, main)] == ["other.py"]
    ignored.append("other.py")
    assert await pieces(neighbours, main) == []


async def test_an_open_file_is_shown_to_others(root):
    neighbours = make(root)
    neighbours.opened(document(root, LIBRARY, "other.py"))
    assert await pieces(neighbours, document(root, "x = 1\n")) == [("other.py", LIBRARY.rstrip())]


async def test_the_place_that_was_left_is_shown(root):
    neighbours = make(root)
    text = "".join(f"value_{n} = {n}\n" for n in range(200))
    other = document(root, text, "other.py")
    await pieces(neighbours, other, cursor=text.index("value_100"))
    ((path, chunk),) = await pieces(neighbours, document(root, "x = 1\n"))
    assert path == "other.py" and "value_100 =" in chunk and "value_50 =" not in chunk


async def test_a_far_place_of_the_same_file_is_shown(root):
    neighbours = make(root)
    text = "".join(f"value_{n} = {n}\n" for n in range(300))
    here = document(root, text)
    await pieces(neighbours, here, cursor=text.index("value_20 "))
    ((_, chunk),) = await pieces(neighbours, here, cursor=text.index("value_250"))
    assert "value_20 =" in chunk


async def test_a_near_place_is_none_of_another_chunk(root):
    neighbours = make(root)
    text = "x = 1\n" * 100
    for line in (40, 45, 50):
        await pieces(neighbours, document(root, text), cursor=line * 6)
    assert neighbours.ring.chunks == []


async def test_a_saved_document_is_remembered_where_one_was(root):
    neighbours = make(root)
    other = document(root, LIBRARY, "other.py")
    neighbours.visit(other, 5)
    neighbours.saved(other)
    neighbours.saved(document(root, LIBRARY, "never_visited.py"))
    assert [chunk.uri for chunk in neighbours.ring.chunks] == [other.uri]


async def test_while_one_types_the_pieces_stay_and_nothing_is_gathered(root):
    neighbours = make(root)
    neighbours.opened(document(root, "a = 1\nb = 2\nc = 3\n", "other.py"))
    text = "from library import helper\n"
    first = await pieces(neighbours, document(root, text))
    gathered = []
    neighbours._find = lambda *args: gathered.append(args) or ()
    for typed in ("h", "he", "helper(", "helper(a)\nb = 2\nc = 3"):
        assert await pieces(neighbours, document(root, text + typed)) == first
    assert len(first) == 2 and gathered == []


async def test_a_name_that_is_being_typed_changes_nothing(root):
    text = "import library\nlibrary.Shop()\n"
    neighbours = make(root)
    first = await pieces(neighbours, document(root, text))
    assert first == await pieces(neighbours, document(root, text + "library.helper"))
    ((_, more),) = await pieces(neighbours, document(root, text + "library.helper\n"))
    assert "def helper" in more


async def test_an_import_that_is_added_is_shown(root):
    neighbours = make(root)
    assert await pieces(neighbours, document(root, "x\n")) == []
    assert len(await pieces(neighbours, document(root, "from library import Shop\nx\n"))) == 1


async def test_elsewhere_in_the_file_the_pieces_are_chosen_anew(root):
    neighbours = make(root)
    other = document(root, LIBRARY, "other.py")
    neighbours.opened(other)
    text = LIBRARY + "\n" * 2 * FAR_LINES + "".join(f"x{n} = {n}\n" for n in range(200))
    assert await pieces(neighbours, document(root, text), cursor=len(LIBRARY)) == []  # it would only distract
    assert [text for _, text in await pieces(neighbours, document(root, text))] == [LIBRARY.rstrip()]


async def test_a_gathering_that_takes_too_long_is_there_for_the_next_request(root, monkeypatch):
    monkeypatch.setattr(module, "BUDGET_S", 0.01)
    neighbours, gate = make(root), threading.Event()
    find = neighbours._find

    def slow(*args):
        assert gate.wait(PATIENCE_S)
        return find(*args)

    neighbours._find = slow
    main = document(root, "from library import helper\n")
    assert await pieces(neighbours, main, is_patient=False) == []  # while nothing can be found yet
    gate.set()
    await eventually(lambda: not neighbours._gathering)
    assert len(await pieces(neighbours, main, is_patient=False)) == 1


async def test_a_failure_to_gather_is_no_failure_of_the_request(root):
    neighbours = make(root)

    def fail(*args):
        raise OSError

    neighbours._find = fail
    assert await pieces(neighbours, document(root, "from library import helper\n")) == []
    await asyncio.sleep(0)


def test_a_document_is_called_by_its_path_in_the_workspace(root):
    neighbours = make(root)
    assert neighbours.label((root / "a" / "b.py").as_uri()) == "a/b.py"
    assert neighbours.label("file:///elsewhere/c.py") == "c.py"
    assert neighbours.label("untitled:Untitled-1") == "untitled:Untitled-1"


# #13
async def test_what_was_gathered_goes_when_the_document_has_another_folder(tmp_path):
    folders = [tmp_path]
    neighbours = Neighbours(lambda: folders, lambda uri: False)
    neighbours.opened(document(tmp_path, LIBRARY, "one/other.py"))
    here = document(tmp_path, "x = 1\n", "two/main.py")
    assert len(await pieces(neighbours, here)) == 1
    folders[:] = [tmp_path / "one", tmp_path / "two"]
    assert await pieces(neighbours, here) == []


# #12
def test_a_notebook_is_called_as_the_program_that_its_cells_are(root):
    notebook = (root / "n.ipynb").as_uri()
    assert make(root).label(notebook, "python") == "n.py"
    assert make(root).label(notebook, "made-up") == "n.ipynb"
