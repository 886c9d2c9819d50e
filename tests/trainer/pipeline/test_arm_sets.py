"""The sets of the arms on the tiny base: the same samples, the same budget, each found again."""

import json

import pytest

from spa_lsp import paths
from spa_lsp.adapters.finding import find_set
from spa_lsp.adapters.reading import read_adapter
from spa_lsp.adapters.writing import write_set
from spa_lsp.errors import BadInput, NotFound
from tests.conftest import TINY_ID
from tests.tiny_set import make_adapters, make_set
from trainer.configs import AttributeConfig, Budget, FinetuneConfig, ItemsConfig
from trainer.evaluate.arms import parse_arms
from trainer.pipeline.arm_sets import arm_set, check_budgets
from trainer.pipeline.stage_rows import source_run
from trainer.pipeline.stages import open_trainer, run_attribute, run_import
from trainer.rows.runs import find_run, list_records
from trainer.rows.stages import ATTRIBUTE, FINETUNE, PARTITION

ONE_STEP = FinetuneConfig(rank=2, alpha=4, steps=1, accumulate=1)
SETS = ("random", "lexical", "influence", "kmeans", "seeds")


def program(n):
    return f"def add_{n}(a, b):\n    total = a + b\n    if total > {n}:\n        total -= {n}\n    return total\n"


def runs_of(db, stage):
    return [find_run(db, stage, record["id"]) for record in list_records(db) if record["stage"] == stage.name]


@pytest.fixture
def db():
    with open_trainer() as db:
        yield db


@pytest.fixture
def samples(db, tiny_base, tmp_path):
    path = tmp_path / "samples.jsonl"
    # the last one is too long for its gradient, so no arm may have it
    solutions = [*map(program, range(8)), program(8) + "    # and so on\n" * 30 + "    return total\n"]
    rows = (
        {"lang": "python", "problem": f"Add {n}.", "solution": f"```python\n{code}```"}
        for n, code in enumerate(solutions)
    )
    path.write_text("\n".join(map(json.dumps, rows)))
    run_import(db, path)


@pytest.fixture
def budget(tmp_path):
    """One step, and anchors that are short enough for the tiny base."""
    path = tmp_path / "anchors.jsonl"
    fields = {"layout": "infill", "instruction": "", "suffix": "", "completion": "    return a\n"}
    rows = (
        {"anchor": name, "label": name, "prefix": f"def {name * n}(a):\n", **fields} for name in "pq" for n in (1, 2, 3)
    )
    path.write_text("\n".join(map(json.dumps, rows)))
    return Budget(finetune=ONE_STEP, items=ItemsConfig(max_tokens=400), anchors_path=path)


@pytest.fixture
def find(db, budget):
    def run(text, **options):
        (entry,) = parse_arms(text, k=2)
        return entry, arm_set(db, entry, **{"base_id": TINY_ID, "budget": budget, "may_train": True} | options)

    return run


@pytest.fixture
def install():
    """Put a set of the tiny adapters into the user's folder."""

    def run(name, *, k=2, **changes):
        adapters = make_adapters(k=k)
        made = make_set(adapters, name=name, **changes)
        return write_set(paths.user_sets_dir() / made.base_id / name, made, adapters)

    return run


def test_the_base_has_no_set(find):
    assert find("base")[1] is None


def test_arms_are_trained_on_the_same_samples_with_the_same_budget(find, samples, db):
    found = [find(name) for name in SETS]
    assert [made.k for _, made in found] == [2] * 5
    assert {made.data["n_samples"] for _, made in found} == {8}
    assert [made.method.split(", ") for _, made in found] == [
        ["random", "balanced"],
        ["bm25", "balanced"],
        ["datainf", "balanced"],
        ["datainf", "kmeans"],
        ["datainf", "whole"],
    ]
    assert all(read_adapter(made, info.name) for _, made in found for info in made.adapters)
    assert check_budgets(found) is None
    names = {made.name: [info.name for info in made.adapters] for _, made in found}
    assert names["kmeans-k2"] == ["kmeans-1", "kmeans-2"] and names["seeds-k2"] == ["seed-1", "seed-2"]
    divided = [run for run in runs_of(db, PARTITION) if run.settings.partition.method != "whole"]
    sizes = [run.figures.sizes.values() for run in divided]
    assert [sorted(own) for own in sizes] == [[4, 4]] * 4


def test_single_sees_as_many_items_as_all_adapters_of_a_set(find, samples):
    single, other = find("single"), find("random")
    assert (single[1].k, single[1].adapters[0].name) == (1, "single")
    assert single[1].figures["config"]["finetune"]["steps"] == 2
    assert check_budgets([single, other]) is None


def test_an_arm_is_trained_once_and_found_without_training(find, samples):
    first = find("random")[1]
    assert find("random", may_train=False)[1] == first


def test_an_arm_that_is_not_there_may_be_refused(find, samples):
    with pytest.raises(NotFound, match="arm 'random' has no adapter set for k=2 and it may not be trained"):
        find("random", may_train=False)


def test_without_samples_an_arm_says_what_to_do(find, tiny_base):
    with pytest.raises(NotFound, match=r"no samples to train it on; run: trainer import FILE .* random=NAME"):
        find("random")


def test_influence_without_samples_is_the_set_in_use(find, tiny_base, tiny_set_in_use):
    assert find("influence")[1].name == "in-use"


@pytest.fixture
def tiny_set_in_use(install):
    from spa_lsp.adapters.selection import select_set

    select_set(install("in-use", k=3))


def test_a_set_is_found_by_the_name_of_its_arm(find, tiny_base, install):
    install("random-k2")
    assert find("random")[1].name == "random-k2"
    assert find("single=random-k2")[1].name == "random-k2"


def test_a_set_of_too_few_adapters_is_refused(find, tiny_base, install):
    install("small", k=1)
    with pytest.raises(BadInput, match="'small' has 1 adapters, arm 'random=small' needs 2; lower --k"):
        find("random=small")


def test_sets_of_other_budgets_are_told(find, tiny_base, install):
    install("random-k2", figures={"config": {"finetune": {"steps": 20}}})
    install("lexical-k2", figures={"config": {"finetune": {"steps": 40}}})
    warning = check_budgets([find("random"), find("lexical")])
    assert warning == "arms random and lexical were not trained with equal budgets; compare them with care"


@pytest.mark.parametrize("stage", [ATTRIBUTE, PARTITION, FINETUNE])  # (#11)
def test_no_stage_goes_on_from_the_run_of_an_arm(find, samples, db, stage):
    find("random")
    assert runs_of(db, stage)
    with pytest.raises(NotFound, match=f"there is no finished {stage.name} run; run: trainer {stage.name}"):
        source_run(db, stage, None)


@pytest.mark.parametrize("is_asked_before", [True, False])  # (#11)
def test_a_run_of_an_arm_that_the_user_asks_for_too_is_gone_on_from(find, samples, db, budget, is_asked_before):
    config, options = AttributeConfig(method="random"), {"base_id": TINY_ID, "anchors_path": budget.anchors_path}
    for is_by_user in (is_asked_before, not is_asked_before):
        if is_by_user:
            own = run_attribute(db, config, budget.items, **options).run
        else:
            find("random")
    assert source_run(db, ATTRIBUTE, None) == own


def test_an_arm_does_not_make_an_older_run_of_the_user_the_newest(find, samples, db, budget):  # (#11)
    options = {"base_id": TINY_ID, "anchors_path": budget.anchors_path}
    run_attribute(db, AttributeConfig(method="random"), budget.items, **options)
    newest = run_attribute(db, AttributeConfig(method="bm25"), budget.items, **options).run
    find("random")
    assert source_run(db, ATTRIBUTE, None) == newest


def test_training_an_arm_changes_nothing_that_is_served(find, samples):
    find("random")
    with pytest.raises(NotFound):
        find_set(None, TINY_ID)
