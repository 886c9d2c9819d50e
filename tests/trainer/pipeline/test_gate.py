"""The gate of a partition: noise is told from signal, and something better is proposed. (#14)"""

import numpy as np
import pytest
from sqlite_utils import Database

from trainer.attribute.anchors import anchors_digest, load_anchors
from trainer.configs import AttributeConfig, ItemsConfig, PartitionConfig
from trainer.pipeline.gate import ID_LENGTH, advice, by_solution, is_signal, stabilities
from trainer.rows.runs import begin_run, finish_run
from trainer.rows.stages import (
    ATTRIBUTE,
    AttributeFigures,
    AttributeParents,
    AttributeSettings,
    PartitionFigures,
    PartitionSettings,
)
from trainer.rows.tables import MIGRATIONS

BUNDLED = anchors_digest(load_anchors())
CONFIG = PartitionConfig(k=3, normalize="zscore")


def source(method, anchors):
    """A finished attribute run on these anchors."""
    db = Database(memory=True)
    MIGRATIONS.apply(db)
    settings = AttributeSettings(attribute=AttributeConfig(method=method), items=ItemsConfig(max_tokens=99))
    run = begin_run(db, ATTRIBUTE, settings, parents=AttributeParents(samples="s", anchors=anchors), seed=3)
    figures = AttributeFigures(
        method=method, language="python", n_samples=3, n_skipped=0, anchors=("q",), labels=("Q",), n_items=1,
        correlation=0,
    )  # fmt: skip
    return finish_run(db, run, figures)


def judge(influence, *, sizes=(40, 40, 40), config=CONFIG, method="datainf", anchors=BUNDLED, limit=None, seed=0):
    own, by_chance = stabilities(influence, config, 0)
    named = dict(zip("abc", sizes, strict=True))
    figures = PartitionFigures(
        sizes=named, smallest_share=0, largest_share=1, names=tuple("abc"), labels=tuple("abc"),
        attribute_method=method, stability=own, stability_by_chance=by_chance,
    )  # fmt: skip
    settings = PartitionSettings(partition=config, limit=limit)
    run = source(method, anchors)
    return advice(figures, influence, run, settings, seed).replace(run.id[:ID_LENGTH], "RUN")


def noise():
    return np.random.default_rng(0).normal(size=(120, 3, 4)).astype(np.float32)


def styles():
    """Every sample helps one anchor, whichever item is asked."""
    return noise() + 5 * np.eye(3, dtype=np.float32)[np.arange(120) % 3][:, :, None]


def test_parts_that_items_agree_on_pass():
    assert judge(styles()) == ""


def test_noise_is_told_and_another_way_is_proposed():
    said = judge(noise())
    rest = "--normalize zscore --k 3`"
    words = "`trainer attribute --method bm25 --max-tokens 99 --language python --seed 3 && trainer partition"
    assert "hardly more stable" in said and f"{words} --method balanced {rest}" in said
    assert f"`trainer partition RUN --method whole {rest}" in said


def test_a_command_repeats_all_that_was_asked_for():
    config = PartitionConfig(k=3, method="kmeans", normalize="rank")
    said = judge(noise(), config=config, limit=50, seed=7, method="bm25")
    assert "`trainer partition RUN --method whole --normalize rank --k 3 --limit 50 --seed 7`" in said


def test_words_are_not_compared_on_other_anchors():
    assert "bm25" not in judge(noise(), anchors="my own")


def test_who_has_tried_words_is_not_sent_there_again():
    assert "bm25" not in judge(noise(), method="bm25")


def test_a_random_division_is_not_blamed_for_being_random():
    assert judge(noise(), method="random") == ""


def test_a_normalisation_that_finds_the_signal_is_proposed():
    """One item of huge noise decides alone, unless every item is brought to ranks."""
    influence = styles()
    influence[:, :, 0] = 1e3 * noise()[:, :, 0]
    said = judge(influence, config=PartitionConfig(k=3, normalize="none"))
    assert "steadier: `trainer partition RUN --method balanced --normalize contrast --k 3`" in said


@pytest.mark.parametrize("n", [0, 3])
def test_a_part_of_hardly_any_sample_is_named(n):
    said = judge(styles(), sizes=(60, 60 - n, n), config=PartitionConfig(method="argmax", k=3))
    command = "`trainer partition RUN --method balanced --normalize contrast --k 3`"
    assert f"parts of hardly any sample: c ({n}); try {command}" in said


def test_what_cannot_be_measured_is_no_lack_of_signal():
    assert is_signal(None, None)


def test_a_division_by_solution_is_proposed_with_all_that_was_asked_for():
    settings = PartitionSettings(partition=PartitionConfig(k=12), limit=50)
    said = by_solution(source("datainf", "my own"), settings, 7)
    words = "`trainer attribute --method approach --max-tokens 99 --language python --seed 3"
    assert f"{words} && trainer partition --method solutions --normalize contrast --k 12 --limit 50 --seed 7`" in said
