"""What has changed since the last commit, with Git itself."""

import os
import subprocess

import pytest

from spa_lsp.server.changes import find_changes, parse_diff
from tests.server.conftest import eventually
from tests.server.test_neighbours import document, make, make_site


def git(root, *arguments):
    subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@x", *arguments], cwd=root, check=True)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository with some files, of which all were changed; the later its name the newer."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "--quiet")
    names = ("a.py", "b c.py", "d.py", ".env", "ü.py")
    for name in names:
        (folder / name).write_text("one = 1\ntwo = 2\nthree = 3\nfour = 4\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "x")
    for n, name in enumerate(names):
        (folder / name).write_text(f"one = 1\ntwo = 2\nthree = {name!r}\nfour = 4\n")
        os.utime(folder / name, (n, n))
    (folder / "new.py").write_text("not known to Git\n")
    return folder


def found(root, *, n_chars=1000, but=()):
    changes = find_changes([root], n_chars=n_chars, is_wanted=lambda path: path.name not in but)
    return {change.path.name: change.text for change in changes}


def test_the_newest_change_comes_last(root):
    changes = found(root)
    assert list(changes) == ["a.py", "b c.py", "d.py", ".env", "ü.py"]
    assert changes["b c.py"] == "@@ -2,3 +2,3 @@ one = 1\n two = 2\n-three = 3\n+three = 'b c.py'\n four = 4"


def test_what_does_not_fit_is_cut_at_a_line_or_left_out(root):
    changes = found(root, n_chars=120)
    assert sum(map(len, changes.values())) <= 120 and list(changes)[-1] == "ü.py" and len(changes) == 2


def test_a_folder_of_the_repository_has_its_own_changes_only(root):
    (root / "sub").mkdir()
    assert found(root / "sub") == {}


def test_where_there_is_no_repository_nothing_has_changed(tmp_path):
    assert found(tmp_path) == {}


def test_removed_and_binary_files_are_left_out(root):
    (root / "d.py").unlink()
    (root / "a.py").write_bytes(b"\0\1")
    assert list(found(root)) == ["b c.py", ".env", "ü.py"]


def test_a_line_that_looks_like_a_header_is_none(root):
    (root / "a.py").write_text("++ d.py\ndiff --git x y\n")
    assert {"d.py", "a.py"} <= parse_diff(git_diff(root)).keys()


def git_diff(root):
    command = ["git", "-c", "core.quotePath=false", "diff", "--no-prefix", "-U1", "HEAD"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("key", ["diff.external", "core.fsmonitor", "diff.x.textconv", "core.pager"])
def test_programs_that_the_repository_names_are_not_run(root, tmp_path, key):
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/was_run\n")
    program.chmod(0o755)
    git(root, "config", key, str(program))
    (root / ".gitattributes").write_text("*.py diff=x\n")
    assert found(root) and not (tmp_path / "was_run").exists()


async def pieces(neighbours, at, **room):
    window = make_site(at.text, 0, 0, prefix_chars=600, suffix_chars=200)
    await neighbours.pieces(at, 0, window, **room)
    await eventually(lambda: not neighbours._gathering)
    return [piece.path for piece in await neighbours.pieces(at, 0, window, **room)]


async def test_changes_are_shown_on_demand_but_not_of_the_document_nor_of_what_is_ignored(root):
    neighbours = make(root, ignored=(".env",))
    at = document(root, "x = 1\n", "d.py")
    assert await pieces(neighbours, at, n_chars=1000) == []
    assert await pieces(neighbours, at, n_chars=0, n_diff_chars=1000) == ["a.py.diff", "b c.py.diff", "ü.py.diff"]


async def test_after_a_save_the_changes_are_those_of_then(root):
    neighbours = make(root)
    at = document(root, "x = 1\n", "d.py")
    before = await pieces(neighbours, at, n_chars=0, n_diff_chars=1000)
    git(root, "commit", "--quiet", "-am", "y")
    assert await pieces(neighbours, at, n_chars=0, n_diff_chars=1000) == before
    neighbours.saved(at)
    assert await pieces(neighbours, at, n_chars=0, n_diff_chars=1000) == []
