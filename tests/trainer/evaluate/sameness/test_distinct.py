"""The four levels on one function, each level against a case of its own and a slow version."""

import random
from itertools import combinations

import pytest

from trainer.evaluate.sameness.approach import approach_key
from trainer.evaluate.sameness.distinct import LEVELS, ComparedText, classify, numbered
from trainer.evaluate.sameness.winnowing import NEAR, fingerprints, jaccard, near_classes, tokens

HEAD = "def total(numbers):\n"
LOOP = "    result = 0\n    for number in numbers:\n        result += number\n    return result\n"
RENAMED = "    s = 0\n    for n in numbers:\n        s += n  # add\n    return s\n"
ZERO = "    result = int()\n    for number in numbers:\n        result = result + number\n    return result\n"
BUILTIN = "    return sum(numbers)\n"
BROKEN = "    return (\n"


def classes(*completions):
    return classify([ComparedText(text=text, code=text, program=HEAD + text) for text in completions], "total")


def approach(body):
    return approach_key(HEAD + body, "total")


def test_every_level_calls_its_own_things_the_same():
    found = classes(LOOP, LOOP, RENAMED, ZERO, BUILTIN, BROKEN)
    assert found["exact"] == [0, 0, 1, 2, 3, 4]
    assert found["ast"] == [0, 0, 0, 1, 2, None]
    assert found["near"] == [0, 0, 0, 1, 2, None]
    assert found["approach"] == [0, 0, 0, 1, 2, None]


def test_a_changed_constant_is_another_program_and_near():
    long = "".join(f"    a{n} = numbers[{n}] + {n}\n" for n in range(12))
    found = classes(f"{long}    return a0\n", f"{long}    return a0 + 1\n")
    assert [len(set(found[level])) for level in LEVELS] == [2, 2, 1, 1]


def test_an_adapter_without_a_program_has_only_a_text():
    found = classify([ComparedText(text="", code="", program=None)], "total")
    assert [found[level] for level in LEVELS] == [[0], [None], [None], [None]]


def test_classes_of_the_ast_level_lie_within_near_and_approach():
    found = classes(LOOP, RENAMED, ZERO, BUILTIN, f"    return ({'(' * 9}sum(numbers)){')' * 9}\n")
    for level in ("near", "approach"):
        pairs = set(zip(found["ast"], found[level], strict=True))
        assert len(pairs) == len(set(found["ast"]))


def test_numbers_are_given_by_first_appearance():
    assert numbered(["b", None, "a", "b"]) == [0, None, 1, 0]


# --- winnowing


def test_tokens_leave_out_names_texts_and_comments():
    assert tokens("x = f.read('a', 1)  # why") == ["V", "=", "V", ".", "read", "(", "S", ",", "1", ")"]


def test_an_open_quote_does_not_hang():
    assert tokens("x = 'abc\ny") == ["V", "=", "S", "V"]


def test_few_grams_are_all_kept():
    assert len(fingerprints("return a + b * c")) == 4  # return V + V * V


def test_equal_runs_of_six_tokens_are_always_seen():
    rng = random.Random(0)
    run = "p[0] <= q"  # V [ 0 ] <= V
    for _ in range(50):
        first, second = (" ".join(rng.choices("+-*/%&|^~:", k=60)) for _ in range(2))
        assert fingerprints(f"{first} {run} {first}") & fingerprints(f"{second} {run} {second}")


def test_jaccard_of_a_hand_computed_case():
    assert jaccard(frozenset({1, 2, 3}), frozenset({2, 3, 4})) == 0.5
    assert jaccard(frozenset(), frozenset()) == 1


def test_near_classes_agree_with_a_slow_single_linkage():
    rng = random.Random(3)
    lines = [f"a = f{n}(b) + {n}" for n in range(30)]
    texts = []
    for start in (0, 0, 0, 10, 10, 20):
        own = lines[start : start + 12]
        own[rng.randrange(12)] = "c = 0"
        texts.append("\n".join(own))
    found = near_classes(texts, list(range(6)))
    marks = [fingerprints(text) for text in texts]
    label = list(range(6))
    for _ in range(6):  # spread the least label over every near pair until nothing changes
        for a, b in combinations(range(6), 2):
            if jaccard(marks[a], marks[b]) >= NEAR:
                label[a] = label[b] = min(label[a], label[b])
    assert [(found[a] == found[b]) for a, b in combinations(range(6), 2)] == [
        label[a] == label[b] for a, b in combinations(range(6), 2)
    ]
    assert 1 < len(set(found)) < 6


def test_single_linkage_joins_what_a_third_one_joins():
    base = [f"a = f{n}(b)" for n in range(30)]
    first, middle, last = (["x = 0"] * n + base[n:] for n in (0, 3, 6))
    ends = ["\n".join(first), "\n".join(last)]
    assert len(set(near_classes(ends, [0, 1]))) == 2
    assert set(near_classes([*ends, "\n".join(middle)], [0, 1, 2])) == {0}


# --- approach


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("    for a in numbers:\n        while a:\n            pass\n", "for, for>while"),
        ("    return total(numbers[1:])\n", "own(), recursion, slice"),
        ("    import math\n    return math.gcd(*numbers)\n", "math.gcd"),
        ("    t = {}\n    t[0] = sorted(numbers)\n    return t.pop()\n", ".pop, dict, sorted, table"),
        ("    def f(x):\n        return f(x)\n    return [f(a) for a in numbers]\n",
         "function, list comprehension, own(), recursion"),
        ("    return numbers[0]\n", ""),
    ],
)  # fmt: skip
def test_the_approach_names_the_means(body, expected):
    assert approach(body) == expected


def test_names_numbers_and_branches_are_no_approach():
    assert approach("    a = 1\n    if a:\n        return a\n") == approach("    b = 2\n    return b * b\n")


def test_a_loop_after_a_loop_is_not_a_loop_in_a_loop():
    after = "    for a in numbers:\n        pass\n    for b in numbers:\n        pass\n"
    assert approach(after) == "for"


def test_what_does_not_parse_or_is_not_there_has_no_approach():
    assert approach(BROKEN) is None
    assert approach_key("x = 1\n", "total") is None
