import os
from pathlib import Path

import pytest

from spa_lsp.server.imports import MAX_FILE_BYTES, Declarations, Import, declarations, find_file, find_imports
from tests.work import not_for_ever


def imported(module, *names, level=0):
    return Import(level=level, module=module, names=names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from a.b import c, d as e\n", [imported("a.b", "c", "d")]),
        ("from a import (\n    b,  # why\n    c,\n)\n", [imported("a", "b", "c")]),
        ("from . import x\nfrom ..a import y\n", [imported("", "x", level=1), imported("a", "y", level=2)]),
        ("import a.b\na.b.f(a.b.g)\n", [imported("a.b", "f", "g")]),
        ("import a as x, b\nx.f()\nb.g()\n", [imported("a", "f"), imported("b", "g")]),
        ("import a\n", []),
        ("from a import *\n", []),
        ("def f(:\n  from a import b\n", [imported("a", "b")]),
        ("x = 'from a'\n", []),
    ],
)
def test_imports_are_found_in_texts_that_need_not_parse(text, expected):
    assert find_imports(text) == expected


SOURCE = '''
"""Doc."""
import os
LIMIT: int = 3
TABLE = {NUMBERS}

def plain(a, *, b: int = 1) -> str:
    """Doc."""
    return a

async def waits(): pass

class Cart(Base):
    """Doc."""
    items: list[int]
    def __init__(self, x): self.x = x
    @property
    def total(self) -> int: return 0
    def _private(self): pass

class Empty: pass
'''.replace("NUMBERS", ", ".join(map(str, range(90))))


def test_declarations_have_no_bodies():
    assert declarations(SOURCE) == {
        "LIMIT": "LIMIT: int = 3",
        "TABLE": "TABLE = ...",
        "plain": "def plain(a, *, b: int=1) -> str: ...",
        "waits": "async def waits(): ...",
        "Cart": "class Cart(Base):\n    items: list[int]\n    def __init__(self, x): ..."
        "\n    def total(self) -> int: ...",
        "Empty": "class Empty:\n    ...",
    }


@pytest.mark.parametrize("source", ["def f(:", "\0", "(" * 5000, ""])
def test_what_does_not_parse_declares_nothing(source):
    assert declarations(source) == {}


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "work"
    for name in ("pkg/__init__.py", "pkg/a.py", "pkg/sub/b.py", "src/c.py", "tests/d.py", "tests/helper.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    (tmp_path / "outside.py").write_text("")
    return root


@pytest.mark.parametrize(
    ("wanted", "document", "found"),
    [
        (imported("pkg.a", "x"), "tests/d.py", "pkg/a.py"),
        (imported("pkg", "x"), "tests/d.py", "pkg/__init__.py"),
        (imported("c", "x"), "tests/d.py", "src/c.py"),
        (imported("helper", "x"), "tests/d.py", "tests/helper.py"),
        (imported("a", "x", level=1), "pkg/__init__.py", "pkg/a.py"),
        (imported("a", "x", level=2), "pkg/sub/b.py", "pkg/a.py"),
        (imported("", "x", level=2), "pkg/sub/b.py", "pkg/__init__.py"),
        (imported("os", "x"), "tests/d.py", None),
        (imported("d", "x"), "tests/d.py", None),  # itself
        (imported("outside", "x", level=3), "pkg/a.py", None),
        (imported("x", "x", level=99), "pkg/a.py", None),
    ],
)
def test_only_files_of_the_workspace_are_found(root, wanted, document, found):
    assert find_file(wanted, root / document, [root]) == (root / found if found else None)


def test_a_link_out_of_the_workspace_is_not_followed(root, tmp_path):
    os.symlink(tmp_path / "outside.py", root / "link.py")
    assert find_file(imported("link", "x"), root / "pkg/a.py", [root]) is None


def test_a_file_is_read_again_only_when_it_changed(tmp_path):
    path, known = tmp_path / "a.py", Declarations()
    path.write_text("A = 1")
    first = known.of(path)
    assert first == {"A": "A = 1"} and known.of(path) is first
    path.write_text("A = 22")
    assert known.of(path) == {"A": "A = 22"}


def test_files_that_are_gone_too_long_or_no_text_declare_nothing(tmp_path):
    long, odd = tmp_path / "long.py", tmp_path / "odd.py"
    long.write_text("A = 1\n" * MAX_FILE_BYTES)
    odd.write_bytes(b"A = '\xff'")
    known = Declarations()
    assert [known.of(path) for path in (long, odd, Path("/none.py"), tmp_path)] == [{}, {}, {}, {}]


@pytest.mark.parametrize("text", ["from " + "." * 10**6, "import a\n" * 10**5, "import " + "a," * 10**6, "a." * 10**6])
def test_a_hostile_document_does_not_keep_the_server_busy(text):
    with not_for_ever():
        find_imports("import b\n" + text)


def test_names_behind_a_chain_of_dots_are_those_of_each_part():
    assert find_imports("import a, a.b\na.b.c.d()\n") == [imported("a", "b"), imported("a.b", "c")]


def test_a_name_that_is_too_long_for_a_file_is_none(tmp_path):
    assert find_file(imported("a" * 5000, "b"), tmp_path / "main.py", [tmp_path]) is None
