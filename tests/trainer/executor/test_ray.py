"""Stages on a real Ray cluster of this machine: the same rows as here, whoever dies on the way. (#16)"""

import json
import os
import shutil
import signal
import subprocess
import sys
import types
from contextlib import closing

import pytest

from spa_lsp import paths
from spa_lsp.errors import Unavailable
from spa_lsp.storage.store import open_store
from tests.tiny_serving import install_set
from tests.trainer.cli.running import sentence, trainer
from tests.trainer.cli.test_cli import row
from tests.trainer.executor.killing import POINTS, kills_at, kills_sometime
from tests.trainer.executor.poison import Poison
from tests.trainer.executor.sleeping import Sleeping
from tests.trainer.executor.some_anchors import anchors_file
from tests.trainer.executor.store_digest import store_digest
from trainer.cli import options
from trainer.executor import same
from trainer.executor.on_ray import Ray, _Worker
from trainer.rows.build_set import runs_dir

N_KILLS = int(os.environ.get("SPA_KILLS", "5"))

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("tiny_base", "sandbox", "cluster")]

ATTRIBUTE = ["attribute", "--gradient-tokens", 400, "--max-tokens", 400, "--warmup-samples", 8, "--base", "tiny-qwen2"]
ARMS = ["--arms", "base,base@0.8,influence=mine", "--k", 3, "--no-train"]
EVALUATE = ["evaluate", *ARMS, "--benchmarks", "own", "--limit", 6, "--base", "tiny-qwen2", "--max-tokens", 4]
EVALUATE = [*EVALUATE, "--quantization", "fp32"]


@pytest.fixture
def attribute(tmp_path):
    """The command, after 40 samples were imported."""
    (tmp_path / "samples.jsonl").write_text("\n".join(row(n) for n in range(40)))
    assert trainer("import", tmp_path / "samples.jsonl").exit_code == 0
    return [*ATTRIBUTE, "--anchors", anchors_file(tmp_path)]


@pytest.fixture
def evaluate(tiny_peft_adapters, monkeypatch):
    """The command, with a set of three adapters and two problems a piece: nine pieces."""
    monkeypatch.setattr("trainer.evaluate.served.BLOCK_PROBLEMS", 2)
    install_set("mine", list(tiny_peft_adapters.values())[:3])
    return EVALUATE


@pytest.fixture
def finetune(attribute):
    """The command, after a partition into three parts."""
    assert trainer("attribute", "--method", "bm25").exit_code == 0
    assert trainer("partition", "--k", 3).exit_code == 0
    return ["finetune", "--base", "tiny-qwen2", "--max-tokens", 400, "--rank", 2, "--steps", 2, "--accumulate", 1]


@pytest.fixture
def synthesize(project, monkeypatch):
    """The command, with one seed a piece."""
    monkeypatch.setattr("trainer.synthesize.stage.BLOCK_SEEDS", 1)
    asked = ["--recipe", "behaviour", "--responses", 2, "--base", "tiny-qwen2", "--quantization", "fp32"]
    return ["synthesize", "--from", project, *asked]


@pytest.fixture(scope="module")
def known():
    return {}


@pytest.fixture
def here(known):
    """The rows that a command makes in this process; it leaves the store as it was."""

    def here(command):
        name = " ".join(map(str, command)) if command[0] == "synthesize" else command[0]  # each test has its own commit
        if name not in known:
            before = paths.store_path().read_bytes() if paths.store_path().exists() else None
            known[name] = digest_after(command)
            clean(before)
        return known[name]

    return here


def clean(before=None):
    shutil.rmtree(runs_dir(), ignore_errors=True)
    for path in paths.store_path().parent.glob(f"{paths.store_path().name}*"):
        path.unlink()
    if before is not None:
        paths.store_path().write_bytes(before)


def digest_after(command, *more):
    result = trainer(*command, *more)
    assert result.exit_code == 0, result.output
    return store_digest()


@pytest.mark.parametrize(
    ("name", "n_workers"),
    [("attribute", 2), ("evaluate", 1), ("evaluate", 3), ("finetune", 2), ("synthesize", 2)],
)
def test_workers_make_the_same_rows_as_this_process(here, name, n_workers, request):
    command = request.getfixturevalue(name)
    assert here(command) == digest_after(command, "--executor", "ray", "--workers", n_workers)


@pytest.mark.parametrize("n_round", range(N_KILLS))
def test_a_killed_worker_loses_nothing_and_doubles_nothing(here, n_round, monkeypatch, request, tmp_path):
    command = request.getfixturevalue("evaluate" if n_round % 4 else "attribute")  # which takes twice as long
    expected = here(command)
    kills = kills_at(POINTS[n_round], tmp_path) if n_round < len(POINTS) else kills_sometime(n_round)
    monkeypatch.setattr(options, "Ray", kills)
    assert digest_after(command, "--executor", "ray", "--workers", 2) == expected
    assert kills.killed


_DRIVER = """
import os, sys
from trainer.attribute import stage
from trainer.cli import main
write = stage.write_vectors
n_written = 0
def write_and_die(*arguments):
    global n_written
    written = write(*arguments)
    n_written += 1
    if n_written == 3:
        os.kill(os.getpid(), 9)
    return written
stage.write_vectors = write_and_die
main(sys.argv[1:])
"""


def test_a_killed_driver_goes_on_where_it_was(here, attribute):
    expected = here(attribute)
    command = [*map(str, attribute), "--executor", "ray", "--workers", "2"]
    status = subprocess.run([sys.executable, "-c", _DRIVER, *command], capture_output=True, timeout=900).returncode
    with closing(open_store()) as db:
        n_rows = db.table("gradients").count
    assert status == -signal.SIGKILL and 16 <= n_rows < expected["gradients"][0]
    assert digest_after(attribute, "--executor", "ray", "--workers", 2) == expected


def test_a_worker_of_other_versions_is_refused_with_a_sentence(attribute, monkeypatch):
    monkeypatch.setattr("trainer.executor.on_ray.versions", lambda: {**same.versions(), "torch": "1.0"})
    said = sentence(trainer(*attribute, "--executor", "ray", "--workers", 1))
    assert "instead of 1.0; install there what the driver has" in said


def test_another_base_on_a_worker_is_refused_with_a_sentence(attribute, monkeypatch):
    def of_another(base_id):
        return same.BaseDigests(base_id=base_id, weights="0" * 64, tokenizer="0" * 64)

    monkeypatch.setattr("trainer.executor.on_ray.digests_of", of_another)
    assert "is not the driver's" in sentence(trainer(*attribute, "--executor", "ray", "--workers", 1))


def test_the_judge_says_the_same(tiny_base):
    def judged(*more):
        figures = json.loads(trainer("judge", "--canonical", "own", "--limit", 6, "--json", *more).stdout)
        return {name: value for name, value in figures.items() if name != "seconds"}

    assert judged("--executor", "ray", "--workers", 2) == judged()


def test_a_piece_that_kills_every_worker_ends_in_a_sentence_and_costs_no_other_piece():
    taken = []
    with pytest.raises(Unavailable, match="4 workers died of one piece of work .* run again: finished pieces are kept"):
        Ray(n_workers=1).run(Poison(), [0, 1], taken.append)
    assert taken == [["alive"]]


def test_a_worker_that_lacks_what_the_driver_has_is_refused_with_a_sentence(monkeypatch):
    module = types.ModuleType("only_here")
    module.Lacking = type("Lacking", (_Worker,), {"__module__": "only_here"})
    monkeypatch.setitem(sys.modules, "only_here", module)
    monkeypatch.setattr("trainer.executor.on_ray._Worker", module.Lacking)
    with pytest.raises(Unavailable, match="cannot start .*only_here.*; install on every node what the driver has"):
        Ray(n_workers=1).run(Sleeping(), [0], pytest.fail)


def test_workers_that_find_no_place_end_in_a_sentence(monkeypatch):
    Ray(n_workers=1).run(Sleeping(), [0], list)
    import ray

    other = ray.remote(num_cpus=int(ray.cluster_resources()["CPU"]))(_Idle).remote()
    ray.get(other.__ray_ready__.remote())
    monkeypatch.setattr("trainer.executor.watch.PLACE_S", 0)
    with pytest.raises(Unavailable, match="no worker has had a place"):
        Ray(n_workers=1).run(Sleeping(), [0], pytest.fail)


class _Idle:
    """Somebody else's actor."""
