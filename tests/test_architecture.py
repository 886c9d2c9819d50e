"""The floors of the design: imports point down only, and importing does nothing."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PACKAGES = ("spa_lsp", "trainer")
# A room is a folder, or a module that lies loose beside the folders. Each has a floor, and imports point down only.
FLOORS = {
    "spa_lsp": {
        "errors": 0,
        "paths": 0,
        "offline": 0,
        "progress": 0,
        "completion": 0,
        "prompt": 0,
        "child": 0,
        "own_folder": 0,
        "waiting": 0,
        "storage": 1,
        "text": 1,
        "command_group": 2,
        "bases": 2,
        "workspace": 2,
        "outcomes": 2,
        "adapters": 3,
        "settings": 3,
        "lm": 4,
        "engine": 5,
        "remote": 6,
        "server": 7,
        "bench": 8,
        "cli": 9,
        "__main__": 10,
    },
    "trainer": {
        "configs": 0,
        "rows": 1,
        "data": 2,
        "executor": 2,
        "train": 3,
        "partition": 4,
        "evaluate": 4,
        "report": 4,
        "attribute": 5,
        "synthesize": 5,
        "pipeline": 6,
        "cli": 7,
        "__main__": 8,
    },
}
LM_FLOOR = FLOORS["spa_lsp"]["lm"]  # what the trainer may use of spa_lsp, besides the engine's client
CLI_FLOOR = FLOORS["spa_lsp"]["cli"]
MAX_LOOSE = 12  # modules beside the folders of a package
MAX_LINES = 500
OTHER_NAMES = {"markdown_it": "markdown-it-py"}  # of packages that are not called as they are imported


def find_modules() -> dict[str, Path]:
    """All modules of both packages by dotted name; a package has the name of its folder."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


MODULES = find_modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imports_of(name: str) -> set[str]:
    """Modules of this project that a module imports, also inside functions."""
    wanted = {target for node in ast.walk(TREES[name]) for target in _targets(name, node)}
    return {module for target in wanted if (module := _module_of(target))} - {name}


def _targets(name: str, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{name} has a relative import in line {node.lineno}"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module_of(target: str) -> str | None:
    while target and target not in MODULES:
        target = target.rpartition(".")[0]
    return target or None


def group_of(name: str) -> str:
    """The file or folder that has a floor: `spa_lsp.lm` of `spa_lsp.lm.load`."""
    return ".".join(name.split(".")[:2])


def floor_of(name: str) -> int:
    package, _, rest = name.partition(".")
    if not rest:
        return 0
    return FLOORS[package][rest.split(".")[0]]


def is_client(name: str) -> bool:
    """What others may know of the engine, here or elsewhere: the way to it, and what it says."""
    return name in ("spa_lsp.engine.client", "spa_lsp.engine.events", "spa_lsp.remote.engine", "spa_lsp.remote.link")


def may_import(name: str, target: str) -> bool:
    if group_of(name) == group_of(target) or "." not in target:
        return True
    if group_of(name) == "spa_lsp.server":
        return floor_of(target) < LM_FLOOR or is_client(target)
    if target.startswith("spa_lsp.") and name.startswith("trainer."):
        return floor_of(target) <= LM_FLOOR or is_client(target)
    if floor_of(name) == floor_of(target) == 0:
        return True  # loose modules are no rooms: they may lean on each other
    return floor_of(target) < floor_of(name)


def test_every_room_has_a_floor():
    rooms = {tuple(group_of(name).split(".")) for name in MODULES if "." in name}
    assert rooms == {(package, room) for package in PACKAGES for room in FLOORS[package]}


@pytest.mark.parametrize("package", PACKAGES)
def test_few_modules_lie_loose(package):
    assert len(list((ROOT / package).glob("*.py"))) <= MAX_LOOSE


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name):
    assert [target for target in sorted(imports_of(name)) if not may_import(name, target)] == []


def test_nothing_in_spa_lsp_imports_trainer():
    wrong = {name for name in MODULES if name.startswith("spa_lsp") and any("trainer" in t for t in imports_of(name))}
    assert wrong == set()


def test_no_module_imports_itself_through_others():
    try:
        TopologicalSorter({name: imports_of(name) for name in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


def test_modules_are_short():
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: n_lines for name, n_lines in lengths.items() if n_lines > MAX_LINES} == {}


def test_only_the_cli_of_spa_lsp_prints():
    quiet = [name for name in MODULES if name.startswith("spa_lsp") and floor_of(name) < CLI_FLOOR]
    assert [name for name in quiet if any(_is_print(node) for node in ast.walk(TREES[name]))] == []


def _is_print(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"


def test_only_lm_imports_torch_in_spa_lsp():
    others = [name for name in MODULES if name.startswith("spa_lsp") and group_of(name) != "spa_lsp.lm"]
    assert [name for name in others if _imports(name, "torch")] == []


def _imports(name: str, package: str) -> bool:
    targets = {target for node in ast.walk(TREES[name]) for target in _targets(name, node)}
    return any(target.split(".")[0] == package for target in targets)


# #11
def test_every_package_that_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    declared = {re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower() for line in lines}
    targets = {target for name in MODULES for node in ast.walk(TREES[name]) for target in _targets(name, node)}
    imported = {target.split(".")[0] for target in targets} - sys.stdlib_module_names - set(PACKAGES)
    named = {name: OTHER_NAMES.get(name, name.replace("_", "-")) for name in sorted(imported)}
    assert [name for name in named if named[name] not in declared] == []


# #15
def test_the_lock_is_within_the_declared_ranges():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    locked = dict(line.split("==") for line in lines if "==" in line)
    declared = map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["test"]])
    assert [str(each) for each in declared if locked.get(each.name, "") not in each.specifier] == []


def test_no_module_reads_the_environment_when_it_is_imported():
    libraries = [name for name in MODULES if not name.endswith("__main__")]
    assert [name for name in libraries if any(_reads_environment(node) for node in _import_time(TREES[name]))] == []


def _import_time(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run at import: all that are not in the body of a function."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from _import_time(node)


def _reads_environment(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")


def test_torch_is_not_loaded_by_importing_commands_and_server():
    light = [name for name in MODULES if group_of(name) in ("spa_lsp.cli", "spa_lsp.server", "trainer.cli")]
    code = (
        f"import sys, importlib\nfor name in {light}: importlib.import_module(name)\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
