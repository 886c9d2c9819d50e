"""The gate of a partition: noise is told from signal, and something better is proposed. (#14)"""

import numpy as np
import pytest

from trainer.configs import PartitionConfig
from trainer.pipeline.gate import advice, is_signal, stabilities
from trainer.rows.stages import PartitionFigures

CONFIG = PartitionConfig(k=3, normalize="zscore")


def judge(influence, *, sizes=(40, 40, 40), config=CONFIG, method="datainf"):
    own, by_chance = stabilities(influence, config, 0)
    named = dict(zip("abc", sizes, strict=True))
    figures = PartitionFigures(
        sizes=named, smallest_share=0, largest_share=1, names=tuple("abc"), labels=tuple("abc"),
        attribute_method=method, stability=own, stability_by_chance=by_chance,
    )  # fmt: skip
    return advice(figures, influence, config, 0)


def noise():
    return np.random.default_rng(0).normal(size=(120, 3, 4)).astype(np.float32)


def styles():
    """Every sample helps one anchor, whichever item is asked."""
    return noise() + 5 * np.eye(3, dtype=np.float32)[np.arange(120) % 3][:, :, None]


def test_parts_that_items_agree_on_pass():
    assert judge(styles()) == ""


def test_noise_is_told_and_another_way_is_proposed():
    said = judge(noise())
    assert (
        "hardly more stable" in said and "trainer attribute --method bm25, or trainer partition --method whole" in said
    )


def test_who_has_tried_words_is_not_sent_there_again():
    assert "bm25" not in judge(noise(), method="bm25")


def test_a_random_division_is_not_blamed_for_being_random():
    assert judge(noise(), method="random") == ""


def test_a_normalisation_that_finds_the_signal_is_proposed():
    """One item of huge noise decides alone, unless every item is brought to ranks."""
    influence = styles()
    influence[:, :, 0] = 1e3 * noise()[:, :, 0]
    said = judge(influence, config=PartitionConfig(k=3, normalize="none"))
    assert "steadier: trainer partition --normalize contrast" in said


@pytest.mark.parametrize("n", [0, 3])
def test_a_part_of_hardly_any_sample_is_named(n):
    assert f"parts of hardly any sample: c ({n}); try: trainer partition --method balanced" in judge(
        styles(), sizes=(60, 60 - n, n)
    )


def test_what_cannot_be_measured_is_no_lack_of_signal():
    assert is_signal(None, None)
