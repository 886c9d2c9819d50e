"""Attribution by approach. (#14)"""

from tests.trainer.attribute.test_lexical import anchor
from trainer.attribute.anchors import load_anchors
from trainer.attribute.approach import approach_influence, sample_means
from trainer.data.samples import Sample

LOOP = "def f(a):\n    found = []\n    for x in a:\n        found.append(x + 1)\n    return found\n"
COMPREHENSION = "def f(a):\n    found = [x + 1 for x in a]\n    return found\n"
CLASS = "class Sums:\n    def add(self, a):\n        self.n += a\n        return self\n"


def sample(code, problem="p"):
    return Sample(id=code, lang="python", problem=problem, solution=f"```python\n{code}```")


def test_influence_is_the_shared_part_of_all_means():
    found = approach_influence([sample(LOOP), sample(COMPREHENSION)], [anchor("a", LOOP, COMPREHENSION, CLASS)])
    assert found.tolist() == [[[1, 0, 0]], [[0, 1, 0]]]


def test_the_means_of_a_class_are_those_of_its_methods():
    assert sample_means(sample(CLASS)) == {"class", "function"}


def test_a_sample_without_code_helps_no_anchor():
    prose = Sample(id="1", lang="python", problem="p", solution="Use a loop.")
    assert approach_influence([prose], [anchor("a", LOOP)]).tolist() == [[[0.0]]]


def test_every_bundled_anchor_has_means_of_its_own():
    anchors = load_anchors()
    found = approach_influence([sample(i.prefix + i.completion) for a in anchors for i in a.items], anchors)
    n_items = len(anchors[0].items)
    assert all(found[n, n // n_items, n % n_items] == 1 for n in range(len(found)))
