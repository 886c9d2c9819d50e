"""Without a cluster: what this process computes, what is refused, and how many workers there is room for. (#16)"""

import re
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from spa_lsp.errors import BadInput, Damaged, Unavailable
from tests.conftest import TINY_ID
from tests.trainer.cli.running import sentence, trainer
from tests.trainer.cli.test_cli import row
from tests.trainer.executor.some_anchors import anchors_file
from trainer.executor.on_ray import Ray, _place
from trainer.executor.same import check_base, check_versions, digests_of, versions
from trainer.executor.work import Local


@dataclass
class Doubling:
    """Two rows of each number."""

    base_id: None = None
    started: list = field(default_factory=list)

    def start(self, n_threads):
        self.started.append(n_threads)

        def do(number, give):
            give(number)
            give(2 * number)

        return do


def test_here_each_row_is_taken_when_it_is_there():
    taken = []
    Local().run(Doubling(), [1, 5], taken.append)
    assert taken == [[1], [2], [5], [10]]


@pytest.mark.parametrize("executor", [Local(), Ray()])
def test_without_pieces_nothing_is_started(executor):
    work = Doubling()
    executor.run(work, [], pytest.fail)
    assert work.started == []


def test_no_command_imports_ray():
    modules = "trainer.cli.options, trainer.cli.stages, trainer.cli.evaluate, trainer.executor.on_ray"
    subprocess.run([sys.executable, "-c", f"import sys, {modules}\nassert 'ray' not in sys.modules"], check=True)


def test_where_ray_is_not_installed_it_is_said_how(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Unavailable, match=r"run: pip install 'spa-lsp\[ray\]'"):
        Ray().run(Doubling(), [1], pytest.fail)


def test_workers_without_ray_are_misuse():
    assert trainer("attribute", "--workers", 2).exit_code == 2


def test_other_versions_are_named():
    with pytest.raises(BadInput, match=re.escape(f"torch {versions()['torch']} instead of 1.0; install there")):
        check_versions({**versions(), "torch": "1.0"})


def test_equal_versions_and_an_equal_base_pass(tiny_base):
    check_versions(versions())
    check_base(digests_of(TINY_ID))


def test_a_base_whose_file_was_changed_is_refused(tiny_copy):
    known = digests_of(TINY_ID)
    path = tiny_copy / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(Damaged, match="model.safetensors on .* is damaged"):
        check_base(known)


def node(**resources):
    return {"Alive": True, "Resources": {"CPU": 8.0, "memory": 64e9, **resources}}


@pytest.mark.parametrize(
    ("nodes", "n_asked", "wanted"),
    [
        ([node()], 0, (8, 1, 1, 0)),  # a worker for each core
        ([node()], 2, (2, 4, 4, 0)),  # that share the cores
        ([node(CPU=2.0)], 3, (3, 1, 0.666, 0)),
        ([node(memory=9e9)], 0, (2, 4, 4, 0)),  # as many as have memory for the base
        ([node(GPU=4.0), node(GPU=4.0)], 0, (8, 2, 2, 1)),  # one for each GPU
        ([node(), {"Alive": False, "Resources": {"CPU": 8.0}}], 0, (8, 1, 1, 0)),
        ([node(), node()], 1, (1, 8, 8, 0)),  # no worker gets more cores than a node has
        ([node(CPU=5.0), node(CPU=3.0)], 4, (4, 1, 1, 0)),
        ([node(CPU=64.0), node(GPU=4.0)], 0, (4, 2, 2, 1)),  # the head has many cores, and no GPU
    ],
)
def test_workers_share_cores_gpus_and_memory(nodes, n_asked, wanted):
    found = _place(nodes, 1_000_000_000, n_asked=n_asked, n_pieces=100)
    assert (found.n_workers, found.n_threads, found.cpus, found.gpus) == wanted


def test_there_are_no_more_workers_than_pieces():
    assert _place([node()], 1_000_000_000, n_asked=0, n_pieces=3).n_workers == 3


def test_a_base_that_no_node_has_memory_for_is_said():
    with pytest.raises(Unavailable, match=r"no node of the Ray cluster has a core and 28\.0 GB"):
        _place([node(memory=16e9)], 7_000_000_000, n_asked=0, n_pieces=9)


def test_what_the_command_says_is_one_sentence(tiny_base, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "samples.jsonl").write_text("\n".join(row(n) for n in range(3)))
    trainer("import", tmp_path / "samples.jsonl")
    asked = ["--method", "embedding", "--anchors", anchors_file(tmp_path), "--base", TINY_ID, "--gradient-tokens", 400]
    said = sentence(trainer("attribute", *asked, "--max-tokens", 400, "--executor", "ray"))
    assert "--executor ray needs Ray" in said and said.endswith("pip install 'spa-lsp[ray]'")
