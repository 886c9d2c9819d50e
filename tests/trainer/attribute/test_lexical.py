"""BM25+ against its formula, written out slowly."""

import math

import numpy as np
import pytest

from trainer.attribute.anchors import Anchor
from trainer.attribute.lexical import DELTA, K1, B, lexical_influence, words
from trainer.data.samples import Item, Sample

TEXTS = [
    "sort the list of words",
    "count words in a list, list by list",
    "read a file",
    "open the file and count the words",
]


def sample(text):
    return Sample(id=text, lang="python", problem=text, solution="return x")


def anchor(name, *texts):
    items = (Item(id=t, sample_id=name, layout="infill", prefix=t, suffix="", completion="") for t in texts)
    return Anchor(name=name, label=name, items=tuple(items))


def slow_bm25plus(documents, query):
    mean_length = sum(map(len, documents)) / len(documents)

    def part(word, document):
        n_documents = sum(word in other for other in documents)
        tf = document.count(word)
        saturated = (K1 + 1) * tf / (K1 * (1 - B + B * len(document) / mean_length) + tf)
        return math.log((len(documents) + 1) / n_documents) * (saturated + DELTA) if n_documents else 0.0

    return [sum(part(word, document) for word in query) for document in documents]


@pytest.mark.parametrize(
    "query", ["count the words", "list list list", "file", "nothing of this", "a file and unknown things"]
)
def test_influence_is_bm25plus(query):
    documents = [words(f"{text}\nreturn x") for text in TEXTS]
    found = lexical_influence([sample(text) for text in TEXTS], [anchor("a", query)])
    np.testing.assert_allclose(found[:, 0, 0], slow_bm25plus(documents, words(query)), rtol=1e-5)


def test_influence_has_a_column_for_each_item_of_each_anchor():
    found = lexical_influence(
        [sample(text) for text in TEXTS], [anchor("a", "x", "file", "of"), anchor("b", "x", "y", "z")]
    )
    alone = lexical_influence([sample(text) for text in TEXTS], [anchor("a", "file")])
    assert found.shape == (4, 2, 3) and found.dtype == np.float32
    np.testing.assert_array_equal(found[:, 0, 1], alone[:, 0, 0])


def test_a_sample_is_nearest_to_the_anchor_with_its_words():
    found = lexical_influence([sample(text) for text in TEXTS], [anchor("a", "sort list"), anchor("b", "open file")])
    assert found[0, 0, 0] > found[3, 0, 0] and found[3, 1, 0] > found[0, 1, 0]


def test_samples_without_a_word_count_nothing():
    nothing = Sample(id="1", lang="python", problem="???", solution="...")
    assert lexical_influence([nothing, nothing], [anchor("a", "sort")]).tolist() == [[[0.0]], [[0.0]]]


def test_words_are_lower_case_and_identifiers_whole():
    assert words("Return my_List[0], é") == ["return", "my_list", "0", "é"]
