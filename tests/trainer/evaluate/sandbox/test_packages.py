"""A package that was allowed: importable in every back end, read-only, and no way to what lies beside it."""

import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from spa_lsp.errors import BadInput, Unavailable
from tests.fakes import PATIENCE_S
from trainer.evaluate.judge import verdict
from trainer.evaluate.judge.verdict import judge
from trainer.evaluate.sandbox import Limits, allow_packages, require_backend
from trainer.evaluate.sandbox import backend as module
from trainer.evaluate.sandbox.interpreter import _is_readable_by_others
from trainer.evaluate.sandbox.packages import Package, find_package
from trainer.evaluate.sandbox.run import run
from trainer.evaluate.sandbox.self_test import try_escapes

LIMITS = Limits(wall_s=PATIENCE_S)


@pytest.fixture
def folder():
    """A folder of packages as pip leaves one, open to all: `ours`, and `others` beside it, which nobody allows."""
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        folder.chmod(0o755)
        for name in ("ours", "others"):
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(f"from {name}.part import VALUE\n")
            (folder / name / "part.py").write_text("VALUE = 7\n")
        yield folder


@pytest.fixture
def allowed(backend, folder):
    """Each back end that works here, with `ours` bound in."""
    own = Package(name="ours", module=str(folder / "ours" / "__init__.py"), paths=(str(folder / "ours"),))
    return dataclasses.replace(backend, packages=(own,))


@pytest.fixture
def forgotten():
    """What is allowed here holds for this test alone."""
    yield
    module._packages.clear()
    module.require_backend.cache_clear()


# #13
def test_an_allowed_package_can_be_imported_with_its_parts(allowed):
    assert run("import ours, ours.part\nassert ours.VALUE == ours.part.VALUE == 7", allowed, LIMITS).error == ""


# #13
def test_without_the_option_it_cannot(backend, folder):
    assert run("import ours", backend, LIMITS).error == "ModuleNotFoundError: No module named 'ours'"


# #13
def test_what_lies_beside_it_cannot_be_imported_or_read(allowed, folder):
    assert run("import others", allowed, LIMITS).error == "ModuleNotFoundError: No module named 'others'"
    source = f"import ours\nopen({str(folder / 'others' / 'part.py')!r})"
    assert run(source, allowed, LIMITS).error.startswith(("FileNotFoundError", "PermissionError"))


# #13
@pytest.mark.parametrize(
    "attempt",
    [
        "open(path, 'a')",
        "open(path + '.new', 'w')",
        "os.remove(path)",
        "os.rename(path, path + '.old')",
        "os.mkdir(os.path.dirname(path) + '/new')",
        "os.symlink('/etc', os.path.dirname(path) + '/new')",
        "os.chmod(path, 0o777)",
        "os.truncate(path, 0)",
        "os.utime(path)",
    ],
)
def test_it_cannot_be_changed(allowed, folder, attempt):
    (folder / "ours").chmod(0o777)
    path = folder / "ours" / "part.py"
    path.chmod(0o666)
    before = (path.read_text(), path.stat().st_mtime_ns, path.stat().st_mode)
    assert run(f"import os, ours\npath = {str(path)!r}\n{attempt}", allowed, LIMITS).kind == "failed"
    assert (path.read_text(), path.stat().st_mtime_ns, path.stat().st_mode) == before
    assert {each.name for each in path.parent.iterdir()} <= {"__init__.py", "part.py", "__pycache__"}


# #13
def test_the_escapes_fail_with_a_package_too(allowed):
    assert (outcome := try_escapes(allowed)).kind == "completed", outcome.error


# #13
def test_nothing_of_the_package_is_compiled_into_its_folder(allowed, folder):
    (folder / "ours").chmod(0o777)
    run("import ours", allowed, LIMITS)
    assert not (folder / "ours" / "__pycache__").exists()


# #13
def test_a_package_is_found_with_all_that_was_installed_with_it():
    found = find_package("numpy")
    assert found.module.endswith("numpy/__init__.py")
    assert {Path(path).name.split("-")[0] for path in found.paths} == {"numpy", "numpy.libs"}


# #13
@pytest.mark.parametrize("name", ["no_such_package", "../numpy", "numpy.linalg", "os", ""])
def test_what_is_not_installed_is_refused_with_the_way_out(name):
    with pytest.raises(BadInput, match="pip install"):
        allow_packages([name])


# #13
def test_numpy_works_inside_as_far_as_it_can_be_read_there(backend):
    outcome = run("import numpy as np\nprint(np.dot([1, 2], [3, 4]))", _with_numpy(backend), LIMITS)
    assert (outcome.kind, outcome.output.strip()) == ("completed", "11"), outcome.error


# #13
def test_an_answer_that_needs_numpy_is_right_with_it(backend, problem, monkeypatch):
    monkeypatch.setattr(verdict, "require_backend", lambda: _with_numpy(backend))
    [found] = judge(problem, ["    import numpy as np\n    result = np.sum(np.array(numbers, dtype=int))\n"])
    assert (found.kind, found.error) == ("pass", "")


# #13
def test_a_package_that_does_not_work_inside_is_said_before_anything_is_run(sandbox, monkeypatch, folder, forgotten):
    (folder / "ours" / "__init__.py").write_text("import others\n")
    own = Package(name="ours", module=str(folder / "ours" / "__init__.py"), paths=(str(folder / "ours"),))
    monkeypatch.setattr(module, "find_package", lambda name: own)
    allow_packages(["ours"])
    with pytest.raises(Unavailable, match=r"ours cannot be imported in the sandbox \(.*No module named 'others'"):
        require_backend()


def _with_numpy(backend):
    """Where the Python inside is like ours; a root that gives itself up may have another one there."""
    like_ours = f"import sys; assert sys.version_info[:2] == {sys.version_info[:2]}"
    if subprocess.run([backend.interpreter.path, "-c", like_ours], stderr=subprocess.DEVNULL).returncode:
        pytest.skip(f"inside runs {backend.interpreter.path}, another version, for which numpy is not installed")
    found = find_package("numpy")
    if not backend.keeps_user and not _is_readable_by_others(Path(found.module).parent):
        pytest.skip(f"{found.module} is closed to the user that programs run as")
    return dataclasses.replace(backend, packages=(found,))
