"""Lexical attribution, the paper's rival without gradients: BM25+ between a sample's text and each query item.

A sample counts for an anchor as far as it uses the same words; nothing is trained and no model is loaded.
"""

import re
from collections.abc import Callable, Sequence

import bm25s
import numpy as np
from numpy.typing import NDArray

from trainer.attribute.anchors import Anchor, item_text
from trainer.data.samples import Sample

# BM25+ as the paper has it: the defaults of the package rank-bm25; Lv & Zhai 2011
K1, B, DELTA = 1.5, 0.75, 1.0
_WORD = re.compile(r"\w+")


def lexical_influence(samples: Sequence[Sample], anchors: Sequence[Anchor]) -> NDArray[np.float32]:
    """BM25+ of each sample for each item of each anchor, `[N, Q, items]`; higher = more of the item's words.

    A word that comes twice in the item counts twice; a word that no sample has counts nothing.
    """
    documents = [words(f"{sample.problem}\n{sample.solution}") for sample in samples]
    score = _scorer(documents)
    per_anchor = [[score(words(item_text(item))) for item in anchor.items] for anchor in anchors]
    return np.array(per_anchor, dtype=np.float32).transpose(2, 0, 1)


def words(text: str) -> list[str]:
    """Lower-case words, identifiers whole."""
    return _WORD.findall(text.lower())


def _scorer(documents: list[list[str]]) -> Callable[[list[str]], NDArray[np.float32]]:
    nothing = np.zeros(len(documents), dtype=np.float32)
    if not any(documents):
        return lambda query: nothing
    index = bm25s.BM25(method="bm25+", k1=K1, b=B, delta=DELTA)
    index.index(documents, show_progress=False)

    def score(query: list[str]) -> NDArray[np.float32]:
        known = [word for word in query if word in index.vocab_dict]
        return np.asarray(index.get_scores(known), dtype=np.float32) if known else nothing

    return score
