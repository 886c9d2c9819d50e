"""A partition by solution, through the stages: of each task every part gets one. (#14)"""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from spa_lsp.errors import BadInput
from tests.trainer.cli.running import trainer, trainer_json
from trainer.configs import AttributeConfig, CheckConfig, FinetuneConfig, ItemsConfig, PartitionConfig
from trainer.pipeline import stages
from trainer.pipeline.check import run_check
from trainer.pipeline.explain import explain
from trainer.pipeline.stage_rows import data_record, load_parts
from trainer.pipeline.stages import open_trainer, run_attribute, run_partition

LOOP = (
    "def f_{n}(values):\n    found = []\n    for each in values:\n        found.append(each + {n})\n    return found\n"
)
SHORT = "def f_{n}(values):\n    wanted = {n}\n    return [value + wanted for value in values]\n"
RECURSION = (
    "def f_{n}(values):\n    if not values:\n        return []\n    return [values[0] + {n}] + f_{n}(values[1:])\n"
)
ITEMS = ItemsConfig(infill_share=1.0)


@pytest.fixture
def db():
    with open_trainer() as db:
        yield db


def insert(db, *, n_tasks, forms=(LOOP, SHORT, RECURSION), first=0):
    """The solutions of some tasks, as `synthesize` leaves them."""
    for n in range(first, first + n_tasks):
        for m, form in enumerate(forms):
            row = {"lang": "python", "problem": f"Add {n} to all.", "solution": f"```python\n{form.format(n=n)}```"}
            keys = {"id": f"{n}-{m}", "extra": "{}", "problem_key": f"p{n}", "solution_key": f"s{n}-{m}"}
            db.table("samples").insert({**row, **keys})


@pytest.fixture
def anchors(tmp_path):
    """Two anchors, explicit loops and comprehensions, of three items each."""
    fields = {"layout": "infill", "instruction": "", "suffix": ""}
    ways = {"loops": "    for x in a:\n        b.append(x)\n", "short": "    return [x for x in a]\n"}
    rows = (
        {"anchor": name, "label": name, "prefix": f"def g{n}(a, b):\n", "completion": body, "task": f"t{n}", **fields}
        for name, body in ways.items()
        for n in range(3)
    )
    path = tmp_path / "anchors.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def divide(db, anchors, **options):
    run_attribute(db, AttributeConfig(method="approach"), ITEMS, anchors_path=anchors)
    return run_partition(db, PartitionConfig(method="solutions", **options)).run


def test_every_part_gets_the_solution_of_each_task_that_is_its_own_way(db, anchors):
    insert(db, n_tasks=6)
    parts = load_parts(db, divide(db, anchors, k=2), None)
    assert {part: sorted(own.id for own in members) for part, members in parts.items()} == {
        0: [f"{n}-0" for n in range(6)],
        1: [f"{n}-1" for n in range(6)],
    }


def test_more_parts_than_anchors_take_the_next_best_solutions(db, anchors):
    insert(db, n_tasks=6)
    run = divide(db, anchors, k=3)
    assert run.figures.labels == ("loops", "short", "loops 2")
    parts = load_parts(db, run, None)
    assert {name: [own.id[-1] for own in parts[n]] for n, name in enumerate(run.figures.names)} == {
        "loops": ["0"] * 6,
        "short": ["1"] * 6,
        "loops-2": ["2"] * 6,
    }


def test_a_task_with_one_solution_is_in_every_part_and_counted(db, anchors):
    insert(db, n_tasks=2)
    insert(db, n_tasks=3, forms=[LOOP], first=2)
    run = divide(db, anchors, k=2)
    ids = Counter(own.id for members in load_parts(db, run, None).values() for own in members)
    assert {ids[f"{n}-0"] for n in (2, 3, 4)} == {2} and run.figures.sizes == {"loops": 5, "short": 5}
    assert (run.figures.n_tasks, run.figures.n_tasks_of_two) == (5, 2)
    assert "3 of 5 tasks have one solution" in run.figures.advice
    assert data_record(db, run)["n_samples"] == len(ids) == 7


def test_without_two_solutions_of_any_task_the_way_out_is_named(db, anchors):
    insert(db, n_tasks=4, forms=[LOOP])
    with pytest.raises(BadInput, match="none of the 4 tasks has two solutions.*trainer synthesize"):
        divide(db, anchors, k=2)


def test_parts_are_explained_by_their_means(db, anchors):
    insert(db, n_tasks=6)
    loops, short = explain(db, divide(db, anchors, k=2))
    assert ("for", 1.0, 0.0) in [(mean.name, mean.share, mean.share_elsewhere) for mean in loops.means]
    assert short.proposed == "list comprehension" and loops.proposed == ".append, for"


def test_the_command_says_how_many_tasks_have_several(anchors):
    with open_trainer() as db:
        insert(db, n_tasks=6)
    trainer("attribute", "--method", "approach", "--anchors", anchors, "--infill-share", "1")
    said = trainer("partition", "--method", "solutions", "--k", "2").stdout
    assert "a solution of each of 6 tasks, of which 6 have several" in said
    assert "by .append 100% (elsewhere 0%), for 100% (elsewhere 0%)" in trainer("partition", "show").stdout


@pytest.mark.usefixtures("tiny_base")
def test_a_run_publishes_adapters_of_a_partition_by_solution(anchors, tmp_path):
    with open_trainer() as db:
        insert(db, n_tasks=6)
    row = {"lang": "python", "problem": "Add 99.", "solution": f"```python\n{LOOP.format(n=99)}```"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    asked = {"method": "approach", "partition-method": "solutions", "k": 2, "base": "tiny-qwen2", "anchors": anchors,
             "rank": 2, "steps": 1, "max-tokens": 400, "infill-share": 1}  # fmt: skip
    options = [word for name, value in asked.items() for word in (f"--{name}", value)]
    records = trainer_json("run", tmp_path / "a.jsonl", *options)
    assert records[2]["figures"]["sizes"] == {"loops": 7, "short": 7}
    assert records[-1]["stage"] == "publish" and not records[-1]["was_done"]


# #14
def test_how_many_samples_are_held_out_later_makes_no_other_influence(db, anchors):
    insert(db, n_tasks=6)
    config = AttributeConfig(method="approach")
    run_attribute(db, config, ITEMS, anchors_path=anchors)
    assert run_attribute(db, config, replace(ITEMS, holdout=2), anchors_path=anchors).was_done


@pytest.mark.usefixtures("tiny_base")
def test_kmeans_after_embedding_divides_the_embeddings_themselves(db, anchors, monkeypatch):
    insert(db, n_tasks=6)
    run_attribute(db, AttributeConfig(method="embedding"), ITEMS, base_id="tiny-qwen2", anchors_path=anchors)
    seen = []
    monkeypatch.setattr(stages, "balanced_kmeans", lambda rows, k: seen.append(rows) or np.arange(len(rows)) % k)
    figures = run_partition(db, PartitionConfig(method="kmeans", k=3)).run.figures
    assert seen[0].shape[0] == 18 and seen[0].shape[1] > 2 and figures.names == ("kmeans-1", "kmeans-2", "kmeans-3")
    np.testing.assert_allclose(np.linalg.norm(seen[0], axis=1), 1, atol=1e-5)
    assert figures.stability is None


@pytest.mark.usefixtures("tiny_base")
def test_kmeans_after_differences_of_embeddings_divides_these(db, anchors, monkeypatch):
    insert(db, n_tasks=6, forms=[LOOP, SHORT])
    config = AttributeConfig(method="embedding", differences=True)
    run_attribute(db, config, ITEMS, base_id="tiny-qwen2", anchors_path=anchors)
    seen = []
    monkeypatch.setattr(stages, "balanced_kmeans", lambda rows, k: seen.append(rows) or np.arange(len(rows)) % k)
    run_partition(db, PartitionConfig(method="kmeans", k=3))
    np.testing.assert_allclose(seen[0][0::2], -seen[0][1::2], atol=1e-5)  # two solutions less their mean


def test_a_check_holds_out_whole_tasks_of_which_every_part_has_one_solution(db, anchors, tiny_base):
    insert(db, n_tasks=12, forms=[LOOP, SHORT])
    divided = divide(db, anchors, k=2)
    short = FinetuneConfig(rank=2, alpha=4, accumulate=1)
    checked = run_check(
        db, CheckConfig(steps=1, n_random=2), short, ITEMS, base_id="tiny-qwen2", run_id=divided.id
    ).run.figures
    assert (checked.n_held_out, checked.n_tasks, len(checked.random)) == (4, 2, 2)
    assert set(checked.parts) == {"loops", "short"} and None not in checked.parts.values()


def run_of_six_tasks(anchors, tmp_path, *, k):
    """The command for a run on six tasks with several solutions, and a file with one that has one."""
    with open_trainer() as db:
        insert(db, n_tasks=6)
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"lang": "python", "problem": "Add.", "solution": LOOP.format(n=99)}))
    return ["run", path, "--k", k, "--base", "tiny-qwen2", "--anchors", anchors, "--rank", 2]


@pytest.mark.usefixtures("tiny_base")
def test_a_run_of_which_nobody_said_how_divides_by_solution_and_says_why(anchors, tmp_path):
    asked = run_of_six_tasks(anchors, tmp_path, k=3)
    result = trainer(*asked, "--steps", 1, "--max-tokens", 400, "--infill-share", 1, "--json")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert "6 of 7 tasks have several solutions: every adapter gets one of each, by approach" in result.stderr
    assert records[1]["figures"]["method"] == "approach" and records[2]["config"]["partition"]["method"] == "solutions"


@pytest.mark.usefixtures("tiny_base")
def test_a_run_that_was_asked_for_differences_takes_them(anchors, tmp_path):
    asked = run_of_six_tasks(anchors, tmp_path, k=2)
    records = trainer_json(*asked, "--steps", 1, "--max-tokens", 400, "--infill-share", 1, "--differences")
    assert (records[1]["figures"]["method"], records[2]["config"]["partition"]["method"]) == ("datainf", "balanced")
