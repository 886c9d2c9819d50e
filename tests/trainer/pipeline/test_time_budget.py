"""What fits into a time: sizes from costs, kept while a call is broken, and the lowest priority."""

import os
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
from sqlite_utils import Database

from spa_lsp.errors import BadInput
from tests.conftest import TINY_ID
from trainer.attribute.anchors import Anchor, load_anchors
from trainer.configs import (
    AttributeConfig,
    FinetuneConfig,
    ItemsConfig,
    PartitionConfig,
    SourcesConfig,
    SynthesizeConfig,
)
from trainer.data.samples import Item
from trainer.pipeline import costs, time_budget
from trainer.pipeline.costs import Costs, measure_costs
from trainer.pipeline.request import RunRequest
from trainer.pipeline.sizes import MAX_STEPS, MIN_STEPS, fit
from trainer.pipeline.stage_rows import usable_samples
from trainer.pipeline.time_budget import Clock, begin_budget, source_states
from trainer.rows.runs import latest_run
from trainer.rows.stages import SIZES
from trainer.rows.tables import MIGRATIONS
from trainer.train import memory
from trainer.train import training as training_loop

ASK = Item(id="i", sample_id="", layout="infill", prefix="def f(a):\n", suffix="", completion="    return a\n")
ANCHORS = [Anchor(name=name, label=name, items=(ASK,)) for name in ("loops", "library")]
COSTS = Costs(load_s=5, warm_up_s=1, gradient_s=1, gradient_share=1, anchor_s=1, step_s=10, held_out_s=2)
REQUEST = RunRequest(budget_s=3600.0, base_id=TINY_ID)
LONG_ITEMS = ItemsConfig(max_tokens=400)


def sizes(left_s=3600.0, n_samples=600, request=REQUEST, costs=COSTS, **options):
    return fit(costs, left_s, n_samples=n_samples, n_anchor_items=24, request=request, **options)


def training(**changes):
    return replace(REQUEST, finetune=FinetuneConfig(**changes))


@pytest.mark.parametrize("left_s", [200, 600, 1800, 3600, 10_000])
def test_what_is_expected_ends_in_time_and_uses_most_of_it(left_s):
    found = sizes(left_s)
    assert found.expected_s <= left_s
    assert found.expected_s >= 0.75 * left_s or found.steps == MAX_STEPS


def test_all_samples_are_taken_when_there_is_time_for_them():
    assert sizes(10_000).n_samples == 600


def test_more_time_is_more_samples_and_more_steps():
    short, long = sizes(1200), sizes(2400)
    assert short.n_samples < long.n_samples and short.steps < long.steps


def test_words_take_the_place_of_gradients_that_would_take_too_long():
    found = sizes(200)
    assert (found.method, found.n_samples) == ("bm25", 600)


# #14
def test_what_takes_their_place_is_what_suits_the_samples():
    assert sizes(200, instead="approach").method == "approach"
    assert sizes(3600, instead="approach").method == "datainf"


def test_a_method_without_gradients_takes_all_samples():
    assert sizes(1200, request=replace(REQUEST, attribute=AttributeConfig(method="random"))).n_samples == 600


def test_a_method_that_takes_gradients_at_four_points_gets_fewer_samples():
    one, four = (
        sizes(3600, 5000, replace(REQUEST, attribute=AttributeConfig(method=method))) for method in ("cosine", "less")
    )
    assert four.method == "less" and four.n_samples < one.n_samples / 3 and four.expected_s <= 3600


def test_few_samples_make_fewer_parts():
    assert sizes(n_samples=12).k == 3


def test_k_is_not_raised():
    assert sizes(request=replace(REQUEST, partition=PartitionConfig(k=2))).k == 2


# #14
def test_a_set_that_is_gone_on_from_keeps_its_parts():
    assert sizes(n_samples=12, request=training(init_from="mine")).k == 8


# #14
def test_fewer_samples_than_the_set_has_parts_are_refused():
    with pytest.raises(BadInput, match="'mine' has 8 adapters, and there are 7 samples"):
        sizes(n_samples=7, request=training(init_from="mine"))


# #14
@pytest.mark.parametrize(("most", "found"), [(1, 1), (30, 30), (500, 259), (None, MAX_STEPS)])
def test_steps_are_at_most_those_that_were_asked_for(most, found):
    request = replace(REQUEST, most_steps=most, attribute=AttributeConfig(method="random"))
    assert sizes(3000, request=request).steps == found


# #14
@pytest.mark.parametrize("left_s", [120, 300, 1800, 3600])
@pytest.mark.parametrize("checks", [{"evaluate_every": 1}, {"evaluate_every": 7}, {"patience": 3}])
def test_checks_of_the_held_out_loss_take_time(left_s, checks):
    found = sizes(left_s, request=training(**checks))
    n_checks = FinetuneConfig(**checks, steps=found.steps).n_checks
    n_seconds = 10 * found.steps + 2 * found.holdout * (1 + n_checks)
    assert n_seconds < found.expected_s <= left_s


# #14
def test_samples_that_are_too_long_for_a_gradient_cost_none():
    half = replace(COSTS, gradient_share=0.5)
    assert sizes(1200, costs=half).n_samples == pytest.approx(2 * sizes(1200).n_samples, abs=1)


# #14
def test_where_no_sample_is_short_enough_there_are_no_gradients():
    assert sizes(costs=replace(COSTS, gradient_share=0)).method == "bm25"


# #14
@pytest.mark.parametrize("name", ["warm_up_s", "anchor_s"])
def test_warm_up_and_anchors_have_prices_of_their_own(name):
    assert sizes(1200, costs=replace(COSTS, **{name: 2})).n_samples < sizes(1200).n_samples


def test_too_little_time_is_refused_with_what_would_do():
    with pytest.raises(BadInput, match="10 s are left, the smallest run takes 50 s"):
        sizes(10)


def test_the_time_that_is_said_to_do_does():
    assert sizes(51).steps >= MIN_STEPS


# --- one call ---


@pytest.fixture
def db():
    database = Database(memory=True)
    MIGRATIONS.apply(database)
    for n in range(24):
        add_sample(database, n)
    return database


def add_sample(db, n, *, solution=None):
    code = f"def add_{n}(a, b):\n    total = a + b\n    if total > {n}:\n        total -= {n}\n    return total\n"
    fields = {"lang": "python", "problem": f"Add {n}.", "solution": solution or f"```python\n{code}```", "extra": "{}"}
    db.table("samples").insert({"n": n, "id": f"s{n}", **fields, "problem_key": f"p{n}", "solution_key": f"s{n}"})


def call(*, costs=COSTS, now=lambda: 0.0, **changes):
    budget = begin_budget(replace(REQUEST, **changes))
    clock = Clock(budget.clock.budget_s, now)
    return replace(budget, clock=clock, measure=lambda samples, anchors, request: costs)


def cut(db, **changes):
    return call(**changes).cut_to_size(db, load_anchors())


@pytest.mark.usefixtures("tiny_base")
def test_the_same_call_after_a_break_has_the_same_sizes(db):
    before = cut(db)
    assert cut(db, costs=replace(COSTS, step_s=1000)) == before


@pytest.mark.usefixtures("tiny_base")
def test_a_broken_call_goes_on_without_new_samples(db):
    cut(db)
    assert call().is_broken(db)


@pytest.mark.usefixtures("tiny_base")
def test_other_samples_are_another_call(db):
    cut(db)
    add_sample(db, 99)
    assert not call().is_broken(db)


@pytest.mark.usefixtures("tiny_base")
def test_another_budget_is_another_call(db):
    cut(db)
    assert not call(budget_s=60.0).is_broken(db)


# #14
@pytest.mark.usefixtures("tiny_base")
@pytest.mark.parametrize(("left_s", "n_samples"), [(260, 10), (3600, 24)])
def test_samples_without_code_take_the_place_of_none_that_fits(db, left_s, n_samples):
    for n in range(-3, 0):
        add_sample(db, n, solution="Nothing that a loop could do.")
    items, seconds = ItemsConfig(infill_share=1.0), [0.0]
    asked = {"items": items, "attribute": AttributeConfig(warmup_samples=1), "partition": PartitionConfig(k=2)}
    budget = call(now=lambda: seconds[0], **asked)
    seconds[0] = 3600 - left_s
    limit = budget.cut_to_size(db, load_anchors()).limit
    assert len(usable_samples(db, items, "python", limit, 0)) == n_samples


# #14
@pytest.mark.usefixtures("tiny_base")
@pytest.mark.parametrize(
    "changes",
    [
        {"sources": SourcesConfig(packages=("pytest",))},
        {"synthesize": SynthesizeConfig(responses=3)},
        {"n_seeds": 5},
    ],
)
def test_samples_of_something_else_are_another_call(db, changes):
    cut(db)
    assert not call(**changes).is_broken(db)
    cut(db, **changes)
    assert call(**changes).is_broken(db)


# #14
def test_a_source_is_told_by_its_commit_and_a_package_by_its_version(tmp_path):
    sources = SourcesConfig(folders=(tmp_path,), packages=("pytest",))
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "one"], check=True)
    before = source_states(sources)
    assert source_states(sources) == before and before[1] == f"pytest {pytest.__version__}"
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "two"], check=True)
    assert source_states(sources)[0] != before[0] and source_states(sources)[1] == before[1]


def test_samples_are_made_for_their_share_of_the_time():
    seconds = [0.0]
    budget = call(now=lambda: seconds[0])
    seconds[0] = time_budget.SYNTHESIS_SHARE * 3600
    assert not budget.are_samples_over(0)
    seconds[0] += 1
    assert budget.are_samples_over(0)


def test_a_block_that_would_end_further_from_the_share_is_not_begun():
    seconds = [0.0]
    budget = call(now=lambda: seconds[0])
    seconds[0] = time_budget.SYNTHESIS_SHARE * 3600 - 100
    assert not budget.are_samples_over(199)
    assert budget.are_samples_over(201)


@pytest.mark.usefixtures("tiny_base")
def test_what_is_left_counts_and_not_what_there_was(db):
    seconds = [0.0]
    budget = call(now=lambda: seconds[0])
    seconds[0] = 3400.0
    budget.cut_to_size(db, load_anchors())
    assert latest_run(db, SIZES).figures.expected_s <= 200


def measure(db, *, k=2, items=LONG_ITEMS, **changes):
    samples = usable_samples(db, items, "python", None, 0)
    return measure_costs(samples, ANCHORS, replace(REQUEST, partition=PartitionConfig(k=k), items=items, **changes))


@pytest.mark.usefixtures("tiny_base")
def test_costs_are_measured_on_the_samples(db):
    found = measure(db, k=3)
    assert min(asdict(found).values()) > 0
    assert found.gradient_s < found.step_s  # one item against a dozen


# #14
@pytest.mark.usefixtures("tiny_base")
def test_costs_of_gradients_are_those_of_items_that_get_one(db):
    assert measure(db, attribute=AttributeConfig(max_tokens=1)).gradient_share == 0


# #14
@pytest.mark.usefixtures("tiny_base")
def test_where_there_are_none_they_are_not_measured(db):
    found = measure(db, attribute=AttributeConfig(method="bm25"))
    assert (found.warm_up_s, found.gradient_s, found.anchor_s) == (0, 0, 0) and found.step_s > 0


# #14
@pytest.mark.usefixtures("base_without_infill")
@pytest.mark.parametrize(("share", "way_out"), [(0.8, "pass --infill-share 0"), (0.0, "pass --method bm25")])
def test_a_base_that_cannot_infill_is_refused_before_it_is_loaded(db, monkeypatch, share, way_out):
    monkeypatch.setattr(costs, "load_base", None)
    with pytest.raises(BadInput, match=way_out):
        measure(db, items=ItemsConfig(infill_share=share))


# #14
@pytest.mark.usefixtures("tiny_base")
def test_samples_that_are_all_too_long_are_refused_before_the_base_is_loaded(db, monkeypatch):
    monkeypatch.setattr(costs, "load_base", None)
    with pytest.raises(BadInput, match="none of 24 samples has an item of at most 16 tokens; raise --max-tokens"):
        measure(db, items=ItemsConfig(max_tokens=16))


# #14
@pytest.mark.usefixtures("tiny_base")
@pytest.mark.parametrize(("asked", "free", "n_rows"), [(0, 1 << 40, 3), (0, 1, 1), (2, 1 << 40, 2)])
def test_a_step_is_measured_with_as_many_adapters_at_once_as_it_is_trained_with(db, monkeypatch, asked, free, n_rows):
    def seen(*args, rows, **kwargs):
        n_seen.append(rows.stop - rows.start)
        return losses(*args, rows=rows, **kwargs)

    n_seen, losses = [], training_loop.item_losses
    monkeypatch.setattr(training_loop, "item_losses", seen)
    monkeypatch.setattr(memory, "free_bytes", lambda device: free)
    measure(db, k=3, attribute=AttributeConfig(method="bm25"), finetune=FinetuneConfig(at_once=asked))
    assert max(n_seen) == n_rows


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="only Linux has it")
def test_the_work_has_the_lowest_priority():
    code = "import os; from trainer.pipeline.time_budget import give_way; give_way(); print(os.sched_getscheduler(0))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(answer.stdout) == os.SCHED_IDLE
