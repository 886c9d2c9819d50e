"""Attribution by approach: how far a sample's code gets there by the means of an anchor's. Syntax only, no model.

It knows no topic, so it is made for a partition by solution; see `trainer.evaluate.sameness.approach` for the means.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.attribute.anchors import Anchor
from trainer.data.middles import python_code_of
from trainer.data.samples import Sample
from trainer.evaluate.sameness.approach import program_means


def sample_means(sample: Sample) -> frozenset[str]:
    """The means of a sample's code; none where it is not Python."""
    found = python_code_of(sample.solution)
    return program_means(found[0]) if found else frozenset()


def approach_influence(samples: Sequence[Sample], anchors: Sequence[Anchor]) -> NDArray[np.float32]:
    """The means that sample and item share, as a part of all that the two have, `[N, Q, items]`: from 0 to 1."""
    wanted = [
        [program_means(item.prefix + item.begun + item.completion + item.suffix) for item in anchor.items]
        for anchor in anchors
    ]
    return np.array(
        [[[_overlap(own, other) for other in items] for items in wanted] for own in map(sample_means, samples)],
        dtype=np.float32,
    )


def _overlap(own: frozenset[str], other: frozenset[str]) -> float:
    return len(own & other) / max(1, len(own | other))
