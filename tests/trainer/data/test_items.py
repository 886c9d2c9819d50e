"""Items in tokens: the prompt that is served, what the rows must write, and the stop token."""

import pytest

from spa_lsp.completion import CompletionRequest
from spa_lsp.lm.request_plan import prompt_of
from trainer.configs import ItemsConfig
from trainer.data.items import token_items
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
