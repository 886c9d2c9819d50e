"""Rows that owe text: a cursor, drawn as ‸, inside a word or in spaces, with or without an anchor, drawn as ⚓."""

from dataclasses import replace
from random import Random

import pytest
import torch

from spa_lsp.adapters.row_plan import plan_rows
from spa_lsp.completion import CompletionRequest
from spa_lsp.lm.completer import LocalCompleter
from spa_lsp.lm.request_plan import prompt_of, rules_of
from spa_lsp.lm.vocabulary import read_vocabulary
from tests.conftest import SPECIAL_TOKENS
from tests.lm.test_completer import adapter_set, files, make_set  # noqa: F401  (fixtures)

CODE = (
    "def add(a, b):\r\n\treturn a + b  # 日本語 😋 <|fim_middle|>\n    for item in items:\n        item.lower( )\n" * 2
)
REQUEST = CompletionRequest(prefix="", suffix="\n", max_tokens=6, stop="none", use_base=True)


@pytest.fixture
def completer(adapter_set):  # noqa: F811
    return LocalCompleter.load(adapter_set.base_id, adapter_set=adapter_set, quantization="fp32")


def drawn(text, **changes):
    """The request with this cursor and anchor."""
    before, suffix = text.split("‸")
    prefix, _, begun = before.partition("⚓")
    return replace(REQUEST, prefix=prefix, begun=begun, suffix=suffix, **changes)


def random_cut(rng):
    anchor, cursor = sorted(rng.choices(range(len(CODE)), k=2))
    anchor = rng.choice([max(anchor, cursor - 30), cursor])
    return replace(REQUEST, prefix=CODE[:anchor], begun=CODE[anchor:cursor], suffix=CODE[cursor : cursor + 40])


def slow_text(completer, request):
    """Greedy, one whole forward a token, each time looking at every token there is."""
    base = completer.base
    prompt = prompt_of(request, base)
    owed, written, n_own = prompt.owed.encode(), b"", 0
    pieces = base.tokenizer.pieces()
    vocabulary = read_vocabulary(pieces)
    spelled = {token: vocabulary.spell([token]) for token in pieces}
    ids = list(prompt.tokens)
    while n_own < request.max_tokens:
        with torch.inference_mode():
            logits = base.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        allowed = range(len(logits))
        if len(written) < len(owed):
            left = owed[len(written) :]
            allowed = [t for t, data in spelled.items() if data and (data.startswith(left) or left.startswith(data))]
        token = max(allowed, key=lambda token: logits[token])
        if token in base.stop_ids:
            break
        ids.append(token)
        written += spelled.get(token, b"")
        n_own += len(written) >= len(owed)
    assert written.startswith(owed)
    return written[len(owed) :].decode(errors="replace").rstrip("\ufffd")


def test_a_row_writes_what_it_owes_and_then_what_it_likes_best(completer):
    rng = Random(1)
    requests = [random_cut(rng) for _ in range(20)]
    found = [result.alternatives[0].text for result in completer.complete_many(requests)]
    assert found == [slow_text(completer, request) for request in requests]


def test_rows_alone_and_in_a_batch_write_the_same(completer):
    rng = Random(2)
    requests = [replace(random_cut(rng), use_base=False, temperature=t) for t in (0.0, 1.0) for _ in range(5)]
    together = [[a.text for a in result.alternatives] for result in completer.complete_many(requests)]
    assert together == [[a.text for a in completer.complete(request).alternatives] for request in requests]


@pytest.mark.parametrize(
    "text",
    [
        "def add(a, b):\n    retu‸\n",
        "x = [w.low‸ for w in words]",
        "    return a‸",
        "‸",
        "def f():\n    ‸\n",
        "def f():\r\n\t‸\r\n",
        "x = '\ud83d‸'",
        "# 日本‸",
        "# 😋‸",
        "x = '<|fim_middle|>‸'",
        "x = '<|fim_mid‸'",
        "def f(x):\n⚓    retu‸",
        "de⚓f f(x‸):",
        "x = '<|fim_⚓middle|>‸'",
        "x⚓ =   ‸",
    ],
)
def test_the_text_is_what_is_written_behind_the_cursor(completer, text):
    request = drawn(text, max_tokens=8)
    (alternative,) = completer.complete(request).alternatives
    assert alternative.text == slow_text(completer, request)
    assert alternative.finish in ("stop", "length") and len(alternative.text) <= 8 * 12


def test_sampled_rows_owe_the_same(completer):
    request = drawn("def add(a, b):\n    retu‸", k=16, temperature=2.0)
    prompt, plan = prompt_of(request, completer.base), plan_rows(request, None)
    rows = completer._turns(request, plan, prompt).rows
    key_values, _, _ = completer._prefill(prompt.tokens, plan, bool)
    with torch.inference_mode():
        assert len(list(completer._decode(rows, (), key_values, bool))) == 16
    written = {completer.base.decode(row.ids)[: len(prompt.owed)] for row in rows}
    assert written == {prompt.owed} and len({row.text for row in rows}) > 8


def test_owed_tokens_take_nothing_of_the_room_for_the_completion(completer):
    (alternative,) = completer.complete(drawn("def add(a, b):\n    retu‸", max_tokens=1)).alternatives
    assert alternative.finish == "length" and alternative.n_tokens > 1


def test_a_special_token_is_never_chosen_to_write_owed_text(completer):
    special = {completer.base.tokenizer.id_of(literal) for literal in SPECIAL_TOKENS}
    prompt = prompt_of(drawn("x = '<|fim_middle|>‸'"), completer.base)
    assert prompt.owed and not special & set(prompt.tokens[1 : prompt.tokens.index(completer.base.prompt.fim_suffix)])


def test_the_line_that_the_cursor_is_in_may_have_been_begun_behind_the_anchor():
    request = drawn("def f():\n⚓    x = ‸", stop="multi")
    assert rules_of(request, plan_rows(request, None)).cut("1\n    y = 2\nz\n") == "1\n    y = 2"


# --- anchored prompts


def test_a_key_behind_the_anchor_costs_its_own_tokens(completer):
    before, typed, behind = "def add(a, b):\n    ", "return a + b  # and more", "\n    for item in items:\n"
    requests = [drawn(f"{before}⚓{typed[:n]}‸{behind}", max_tokens=1) for n in (*range(len(typed)), 12)]
    timings = [completer.complete(request).timing for request in requests]
    costs = [timing.prompt_tokens - 1 - timing.cached_tokens for timing in timings]
    assert costs[0] > 20 and max(costs[1:]) <= 4 and sum(costs[1:]) <= len(typed)


def test_a_long_prompt_stays_where_it_was_cut_while_one_types(completer):
    text, behind = "line = 1\n" * 300, "\nother = 2" * 300
    heads = set()
    for n in range(14):
        prompt = prompt_of(drawn(f"{text}⚓{'abcd = 1 + 23 '[:n]}‸{behind}"), completer.base)
        heads.add(tuple(prompt.tokens[: prompt.tokens.index(completer.base.prompt.fim_middle) + 1]))
    assert len(heads) == 1


def test_what_is_begun_and_too_long_for_it_joins_the_prefix(completer):
    long = "x = 1\n" * 40
    anchored, plain = (prompt_of(drawn(text), completer.base) for text in (f"a = 2\n⚓{long}y‸", f"a = 2\n{long}y‸"))
    assert anchored == plain


def test_an_instruct_answer_owes_nothing(completer):
    request = replace(REQUEST, layout="instruct", prefix="add", begun="def ad")
    prompt = prompt_of(request, completer.base)
    assert prompt.owed == "" and completer.base.decode(prompt.tokens).endswith("def ad")


def test_a_given_text_is_read_behind_what_is_owed(completer):
    request = drawn("def add(a, b):\n    retu‸")
    (block,) = completer.next_token_logprobs(request, "rn a")
    prompt = prompt_of(request, completer.base)
    assert block.shape[1] == len(completer.base.prompt.encode(f"{prompt.owed}rn a"))


def test_a_tokenizer_that_cannot_spell_everything_owes_nothing(completer, monkeypatch):
    monkeypatch.setattr(completer._vocabulary, "can_spell_all", False)
    request = drawn("def add(a, b):\n    retu‸")
    assert completer._prompt(request).owed == ""
    assert completer.complete(request).alternatives[0].n_tokens == request.max_tokens
