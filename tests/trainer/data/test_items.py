"""Items in tokens: the prompt that is served, what the rows must write, and the stop token."""

from dataclasses import replace

import pytest

from spa_lsp.completion import CompletionRequest
from spa_lsp.lm.request_plan import prompt_of
from trainer.configs import ItemsConfig
from trainer.data.items import part_items, token_items, with_equal_budget
from trainer.data.samples import Item, Sample, make_items

CODE = "def add(a, b):\n    total = a + b\n    for item in items:\n        total += item  # 日本\n    return total\n"


def make_item(prefix, begun, completion, suffix=""):
    return Item(
        id="i", sample_id="s", layout="infill", prefix=prefix, begun=begun, completion=completion, suffix=suffix
    )


def in_tokens(base, *items):
    return token_items(items, base.prompt, stop_id=base.end_id, max_tokens=500)


@pytest.mark.parametrize("begun", ["", " ret", " return", " = 1\n  "])
def test_an_item_is_the_prompt_that_is_served_and_what_a_row_must_write(base, begun):
    item = make_item("def f():\n    tot", f"al{begun}", "urn total\n", "\nx = 1\n")
    (found,) = in_tokens(base, item)
    prompt = prompt_of(CompletionRequest(prefix=item.prefix, begun=item.begun, suffix=item.suffix), base)
    assert found.prompt == tuple(prompt.tokens)
    assert found.completion == (*base.prompt.encode(prompt.owed + item.completion), base.end_id)


def test_half_a_word_is_learned_as_the_tokens_of_the_whole_one(base):
    (found,) = in_tokens(base, make_item("def f(a, b):\n    ret", "", "urn a"))
    assert base.decode(found.completion[:-1]).lstrip() == "return a"
    assert found.completion[:-1] == tuple(base.prompt.encode(base.decode(found.completion[:-1])))


def test_items_that_are_typed_on_give_the_code_again_without_the_tokens_between(base):
    sample = Sample(id="s", lang="python", problem="Add.", solution=f"```python\n{CODE}```")
    config = ItemsConfig(infill_share=1.0, typed_share=1.0, editor_share=0.0)
    made = [item for seed in range(30) for item in make_items(sample, config=config, seed=seed)]
    for item, found in zip(made, in_tokens(base, *made), strict=True):
        start, middle = (found.prompt.index(token) for token in (base.prompt.fim_suffix, base.prompt.fim_middle))
        before = base.decode(found.prompt[1:start]) + base.decode((*found.prompt[middle + 1 :], *found.completion[:-1]))
        assert before + item.suffix == CODE


def test_an_instruct_item_is_cut_nowhere(base):
    item = Item(id="i", sample_id="s", layout="instruct", prefix="add tw", suffix="", completion="def add")
    (found,) = in_tokens(base, item)
    assert found.completion == (*base.prompt.encode("def add"), base.end_id)


# issue 14
def test_weights_of_items_have_the_mean_1(items):
    weighted = with_equal_budget(
        [replace(item, weight=weight) for item, weight in zip(items, (1, 1, 2, 4), strict=False)]
    )
    assert [item.weight for item in weighted] == [0.5, 0.5, 1.0, 2.0]


# issue 14
def test_samples_of_weight_0_are_neither_learned_nor_held_out(base):
    def sample(n, weight):
        code = f"def f{n}(a):\n    b = a + {n}\n    return b\n"
        return Sample(id=f"s{n}", lang="python", problem=f"Add {n}.", solution=code, weight=weight)

    config = ItemsConfig(infill_share=1.0, max_tokens=400)
    all_in = part_items([sample(n, 2.0) for n in range(6)], base, config, n_held=1, seed=0)
    none_in = part_items([sample(n, 0.0) for n in range(6)], base, config, n_held=1, seed=0)
    assert {item.weight for item in all_in.train} == {2.0} and len(all_in.held) == 1
    assert (none_in.train, none_in.held) == ((), ())
