"""The gradient stage on the tiny base: columns in order, long samples left out, a broken run ends like a whole one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spa_lsp.errors import BadInput
from spa_lsp.storage.store import apply_migrations, open_store
from tests.conftest import TINY_ID
from trainer.attribute import gradients, stage
from trainer.attribute.anchors import Anchor
from trainer.attribute.stage import base_stage
from trainer.configs import AttributeConfig, ItemsConfig
from trainer.data.samples import Item, Sample
from trainer.executor import held_base
from trainer.rows.runs import begin_run
from trainer.rows.stages import ATTRIBUTE, AttributeParents, AttributeSettings
from trainer.rows.tables import MIGRATIONS

CONFIG = AttributeConfig(batch=4, warmup_samples=4, warmup_rank=2, projected=2, max_tokens=150)
ITEMS = ItemsConfig(infill_share=1.0, infill_per_sample=1, max_tokens=400)


def make_sample(n, *, length=1):
    lines = "\n".join(f"    x{i} = a * {n} + {i}" for i in range(length))
    code = f"def f{n}(a):\n{lines}\n    return a + {n}\n"
    return Sample(id=f"s{n}", lang="python", problem=f"f{n}", solution=f"```python\n{code}```")


def make_anchor(name, numbers, body="return a"):
    items = [
        Item(
            id=f"{name}{n}", sample_id=name, layout="infill", prefix=f"def {name}(a):\n", suffix="", completion=body * n
        )
        for n in numbers
    ]
    return Anchor(name=name, label=name, items=tuple(items))


ANCHORS = [make_anchor("p", (1, 2, 3)), make_anchor("q", (2, 4, 6), body="print(a)")]
SAMPLES = [make_sample(n) for n in range(10)]


@pytest.fixture
def db(tiny_base):
    store = open_store(write=True)
    apply_migrations(store, MIGRATIONS)
    yield store
    store.close()


def begin(db, key, config=CONFIG):
    settings = AttributeSettings(attribute=config, items=ITEMS)
    return begin_run(db, ATTRIBUTE, settings, parents=AttributeParents(samples=key, anchors="a"), seed=0)


def run_stage(db, samples=SAMPLES, anchors=ANCHORS, *, key="one"):
    run = begin(db, key)
    return base_stage(db, samples, anchors, CONFIG, ITEMS, run, TINY_ID).influence


def test_columns_stand_in_the_order_of_anchors_and_items(db):
    influence = run_stage(db)
    swapped = run_stage(db, anchors=ANCHORS[::-1])
    assert influence.shape == (10, 2, 3) and np.isfinite(influence).all()
    np.testing.assert_allclose(influence, swapped[:, ::-1], rtol=1e-4, atol=1e-4)


def test_a_sample_whose_items_are_too_long_is_left_out_alone(db):
    influence = run_stage(db, samples=[*SAMPLES[:5], make_sample(99, length=18), *SAMPLES[5:]])
    assert np.isnan(influence[5]).all()
    assert np.isfinite(np.delete(influence, 5, axis=0)).all()


# #14
def test_the_warm_up_learns_of_no_sample_that_is_left_out(db):
    without = run_stage(db, key="without")
    influence = run_stage(db, samples=[make_sample(99, length=18), *SAMPLES], key="with")
    np.testing.assert_array_equal(influence[1:], without)


class Broken(Exception):
    pass


@pytest.mark.resume
def test_a_broken_run_ends_like_a_whole_one(db, monkeypatch):
    whole = run_stage(db, key="whole")
    calls = []

    def break_at_the_fourth(*args, **kwargs):
        calls.append(1)
        if len(calls) == 4:
            raise Broken
        return real(*args, **kwargs)

    real = gradients.sample_gradients
    monkeypatch.setattr(gradients, "sample_gradients", break_at_the_fourth)
    with pytest.raises(Broken):
        run_stage(db, key="broken")
    np.testing.assert_array_equal(run_stage(db, key="broken"), whole)
    assert len(calls) == 4 + 2  # six queries in two blocks, ten samples in three: three of the five were kept


def test_gradients_are_not_mixed_with_those_of_another_warm_up(db, monkeypatch):
    whole = run_stage(db)
    run = begin(db, "one")
    stage._warm_up_path(run).unlink()
    db.execute("DELETE FROM gradients WHERE sample_id = 's3'")
    db.execute("UPDATE gradients SET data = (SELECT data FROM gradients WHERE sample_id = 's1') WHERE sample_id = 's2'")
    np.testing.assert_array_equal(run_stage(db), whole)


def test_a_gradient_that_is_not_finite_costs_its_sample_alone(db, monkeypatch):
    def with_one_nan(*args, **kwargs):
        found = real(*args, **kwargs)
        is_first.append(1)
        return torch.cat([found[:1] * float("nan"), found[1:]]) if len(is_first) == 4 else found

    real, is_first = gradients.sample_gradients, []
    monkeypatch.setattr(gradients, "sample_gradients", with_one_nan)
    influence = run_stage(db, samples=[make_sample(n, length=7) for n in range(10)])
    assert np.isnan(influence).all(axis=(1, 2)).sum() == 1
    assert np.isfinite(influence).all(axis=(1, 2)).sum() == 9


def test_fewer_samples_than_a_batch_are_enough(db):
    assert np.isfinite(run_stage(db, samples=SAMPLES[:2])).all()


def test_an_anchor_longer_than_the_base_can_read_is_named(db):
    with pytest.raises(BadInput, match="anchor 'long'"):
        run_stage(db, anchors=[ANCHORS[0], make_anchor("long", (1, 2, 400))])


@pytest.mark.usefixtures("base_without_infill")  # (#14)
def test_anchors_that_a_base_cannot_infill_are_refused_with_the_methods_that_do_not_ask_it(db):
    items = replace(ITEMS, infill_share=0.0)
    with pytest.raises(BadInput, match="cannot infill, as anchor 'p' asks it to; pass --method bm25 or approach"):
        base_stage(db, SAMPLES, ANCHORS, CONFIG, items, begin(db, "one"), TINY_ID)


@pytest.mark.parametrize("method", ["lissa", "cosine", "less", "embedding"])  # (#14)
def test_other_methods_give_another_influence(db, method):
    config = replace(CONFIG, method=method)
    influence = base_stage(db, SAMPLES, ANCHORS, config, ITEMS, begin(db, method, config), TINY_ID).influence
    assert influence.shape == (10, 2, 3) and np.isfinite(influence).all()
    assert not np.allclose(influence, run_stage(db))


def solutions(n):
    """Two samples that solve one task."""
    return [replace(make_sample(10 * n + m, length=m), problem=f"task {n}") for m in (1, 2)]


PAIRS = [sample for n in range(4) for sample in solutions(n)]
TASKED = [replace(anchor, tasks=("x", "y", "z")) for anchor in ANCHORS]


@pytest.mark.parametrize("method", ["datainf", "lissa", "cosine", "less", "embedding"])  # (#14)
def test_differences_of_two_solutions_point_opposite_ways(db, method):
    config = replace(CONFIG, method=method, differences=True)
    run = begin(db, method, config)
    influence = base_stage(db, PAIRS, TASKED, config, ITEMS, run, TINY_ID).influence
    np.testing.assert_allclose(influence[0::2], -influence[1::2], rtol=1e-2, atol=1e-3 * np.abs(influence).max())
    np.testing.assert_allclose(influence[:, 0], -influence[:, 1], rtol=1e-2, atol=1e-3 * np.abs(influence).max())


def test_differences_of_anchors_without_tasks_are_refused_before_any_work(db, monkeypatch):  # (#14)
    monkeypatch.setattr(stage, "load_tokens", None)
    config = replace(CONFIG, differences=True)
    with pytest.raises(BadInput, match="share their tasks, but some have none"):
        base_stage(db, PAIRS, ANCHORS, config, ITEMS, begin(db, "none", config), TINY_ID)


@pytest.mark.parametrize("samples", [SAMPLES, [make_sample(1), replace(make_sample(1, length=18), id="long")]])  # (#14)
def test_differences_where_no_task_has_two_solutions_are_refused_before_any_work(db, samples, monkeypatch):
    monkeypatch.setattr(stage, "HeldBase", None)
    config = replace(CONFIG, differences=True)
    with pytest.raises(
        BadInput, match=f"none of {len({own.problem for own in samples})} has two that are short enough"
    ):
        base_stage(db, samples, TASKED, config, ITEMS, begin(db, "alone", config), TINY_ID)


def test_of_how_many_tasks_no_difference_is_left_is_told(db, caplog):  # (#14)
    config = replace(CONFIG, method="embedding", differences=True)
    base_stage(db, [*PAIRS, *SAMPLES], TASKED, config, ITEMS, begin(db, "some", config), TINY_ID)
    assert "10 of 14 tasks have one solution, of which no difference is left" in caplog.text


@pytest.mark.resume
@pytest.mark.parametrize("method", ["less", "embedding"])  # (#14)
def test_a_broken_run_of_other_methods_ends_like_a_whole_one(db, method, monkeypatch):
    config = replace(CONFIG, method=method)
    whole = base_stage(db, SAMPLES, ANCHORS, config, ITEMS, begin(db, "whole", config), TINY_ID)
    run = begin(db, "broken", config)
    write, calls = stage.write_vectors, []

    def break_at_the_fourth(*args):
        calls.append(1)
        if len(calls) == 4:
            raise Broken
        return write(*args)

    monkeypatch.setattr(stage, "write_vectors", break_at_the_fourth)
    with pytest.raises(Broken):
        base_stage(db, SAMPLES, ANCHORS, config, ITEMS, run, TINY_ID)
    again = base_stage(db, SAMPLES, ANCHORS, config, ITEMS, run, TINY_ID)
    np.testing.assert_array_equal(again.influence, whole.influence)
    assert len(calls) == 4 + 2 and again.samples_per_s > 0


def test_a_finished_run_says_no_speed(db):  # (#14)
    run_stage(db)
    assert base_stage(db, SAMPLES, ANCHORS, CONFIG, ITEMS, begin(db, "one"), TINY_ID).samples_per_s is None


@pytest.mark.parametrize("quantization", ["bf16", "fp32"])
@pytest.mark.parametrize("method", ["datainf", "less", "embedding"])  # lissa and cosine have datainf's gradients (#14)
def test_every_method_works_on_a_base_in_each_precision(db, method, quantization, monkeypatch):
    load = held_base.load_base
    monkeypatch.setattr(
        held_base, "load_base", lambda base_id, **_: load(base_id, quantization=quantization, device="cpu")
    )
    config = replace(CONFIG, method=method)
    found = base_stage(db, SAMPLES, ANCHORS, config, ITEMS, begin(db, method, config), TINY_ID)
    assert np.isfinite(found.influence).all() and found.influence.std() > 0
