"""The completer on the tiny base with a set of PEFT adapters: requests in, alternatives out, and what it refuses."""

import itertools
import json
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file, save

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.writing import describe_adapter, write_set
from spa_lsp.bases.catalog import find_base, installed_base
from spa_lsp.completion import CompletionRequest, ContextPiece, request_from_json
from spa_lsp.errors import AdapterMismatch, BadInput, NotFound, SpaError, TooLong
from spa_lsp.lm.likelihood import log_likelihoods
from spa_lsp.lm.prefix_cache import WholePrompts
from spa_lsp.lm.speed import PromptSpeed
from spa_lsp.prompt import encode_text
from tests.conftest import TINY_ID
from trainer.configs import ALL_LINEARS

REQUEST = CompletionRequest(prefix="def add(a, b):\n    ", suffix="\n    return a\n", max_tokens=6, stop="none")


@pytest.fixture
def files(tiny_peft_adapters):
    return {name: save(load_file(folder / "adapter_model.safetensors")) for name, folder in tiny_peft_adapters.items()}


@pytest.fixture
def adapter_set(tiny_base, files, tmp_path):
    """The eight tiny adapters as a set in a folder."""
    return make_set(files, tmp_path)


def make_set(files, tmp_path, **changes):
    installed = installed_base(find_base(TINY_ID))
    fields = {
        "name": "tiny",
        "base_id": TINY_ID,
        "base_sha256": installed.weights_sha256,
        "tokenizer_sha256": installed.tokenizer_sha256,
        "rank": 4,
        "alpha": 8,
        "target_modules": ALL_LINEARS,
        "activation": "completion",
        "layouts": ("infill",),
        "method": "random",
        "run_id": "r",
        "data": {},
        "figures": {},
        "adapters": tuple(describe_adapter(name, data, label=f"way {name}") for name, data in files.items()),
    }
    made = AdapterSet(**{**fields, **changes})
    return write_set(tmp_path / TINY_ID / made.name, made, files)


@pytest.fixture
def completer(adapter_set):
    from spa_lsp.lm.completer import LocalCompleter

    return LocalCompleter.load(TINY_ID, adapter_set=adapter_set, quantization="fp32")


def test_every_adapter_gives_one_alternative_in_the_order_of_the_set(completer, files):
    result = completer.complete(REQUEST)
    assert [alternative.adapter for alternative in result.alternatives] == list(files)
    assert [alternative.label for alternative in result.alternatives] == [f"way {name}" for name in files]
    assert not result.is_cancelled


def test_adapters_can_be_chosen_by_name_and_keep_their_place_in_the_set(completer):
    whole = completer.complete(REQUEST)
    chosen = completer.complete(replace(REQUEST, adapters=("a5", "a2")))
    assert [(a.adapter, a.index) for a in chosen.alternatives] == [("a5", 4), ("a2", 1)]
    assert [a.text for a in chosen.alternatives] == [whole.alternatives[n].text for n in (4, 1)]


def test_a_set_is_served_at_its_temperature_unless_another_is_asked_for(tiny_base, files, tmp_path):
    from spa_lsp.lm.completer import LocalCompleter

    sets = [make_set(files, tmp_path, name=name, temperature=t) for name, t in (("greedy", 0.0), ("sampled", 2.0))]
    greedy, sampled = (LocalCompleter.load(TINY_ID, adapter_set=one, quantization="fp32") for one in sets)

    def texts(completer, **changes):
        return [a.text for a in completer.complete(replace(REQUEST, **changes)).alternatives]

    assert texts(sampled) == texts(sampled) == texts(greedy, temperature=2.0) != texts(greedy)
    assert texts(sampled, temperature=0.0) == texts(greedy)
    assert texts(sampled, use_base=True) == texts(greedy, use_base=True)


def test_a_sampled_adapter_says_the_same_whoever_is_asked_beside_it_and_twice_something_else(completer):
    sampled = replace(REQUEST, temperature=2.0)
    whole = [a.text for a in completer.complete(sampled).alternatives]
    chosen = completer.complete(replace(sampled, adapters=("a5", "a2", "a5"))).alternatives
    assert [a.text for a in chosen[:2]] == [whole[4], whole[1]]
    assert chosen[2].text != chosen[0].text


def test_the_same_request_gives_the_same_answer(completer):
    first, second = completer.complete(REQUEST), completer.complete(REQUEST)
    assert first.alternatives == second.alternatives
    assert second.timing.cached_tokens == second.timing.prompt_tokens - 1


def test_alternatives_are_announced_as_they_finish(completer):
    announced = []
    result = completer.complete(REQUEST, on_alternative=announced.append)
    assert sorted(announced, key=lambda a: a.index) == list(result.alternatives)


# #11
def test_an_alternative_says_which_of_the_sets_of_that_name_it_is_from(completer):
    assert {each.set_sha256 for each in completer.complete(REQUEST).alternatives} == {completer.adapter_set.set_id}
    assert completer.complete(replace(REQUEST, use_base=True)).alternatives[0].set_sha256 == ""


# #12
def test_the_lead_comes_first_and_greedily(completer):
    announced = []
    led = completer.complete(replace(REQUEST, temperature=0.9, lead_first=True), on_alternative=announced.append)
    greedy = completer.complete(replace(REQUEST, temperature=0.0)).alternatives[0]
    assert announced[0] == led.alternatives[0] and led.alternatives[0].text == greedy.text


# #15
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_the_others_branch_off_the_lead_and_so_begin_apart(completer, temperature):
    request = replace(REQUEST, temperature=temperature, max_tokens=8, stop="none", lead_first=True)
    lead, *others = (each.text for each in completer.complete(request).alternatives)
    assert len({lead, *others}) == 1 + len(others) == 8


# #15
@pytest.mark.parametrize("told_before", [False, True])
def test_each_is_told_once_those_that_tried_again_too(completer, told_before):
    request = replace(REQUEST, temperature=0.9, max_tokens=8, lead_first=True)
    if told_before:
        lead, *_ = completer.complete(request).alternatives
        request = replace(request, lead_first=False, behind=lead.adapter)
    told = []
    result = completer.complete(request, on_alternative=told.append)
    assert sorted(told, key=lambda each: each.index) == list(result.alternatives)


# #15
def test_others_may_end_what_was_typed_with_another_token(completer):
    completer.swap_set(None)
    half = replace(REQUEST, prefix="def add(a, b):\n    return ", temperature=0.0, max_tokens=1, lead_first=True)
    assert len({each.text for each in completer.complete(half).alternatives}) > 1


# #15
def test_others_that_are_asked_for_later_are_the_same(completer):
    request = replace(REQUEST, temperature=0.9, lead_first=True)
    lead, *others = completer.complete(request).alternatives
    names = tuple(each.adapter for each in others)
    later = replace(request, lead_first=False, behind=lead.adapter, adapters=names)
    assert completer.complete(later).alternatives == tuple(others)
    completer._leads.clear()  # as when other documents were asked about meanwhile
    assert completer.complete(later).alternatives == tuple(others)
    (many,) = completer.complete_many([later])
    assert many.alternatives == tuple(others)


# #15
def test_an_adapter_has_its_own_branch_whichever_others_are_asked_for(completer):
    """So those that are asked for as too few differ begin otherwise."""
    request = replace(REQUEST, temperature=0.0, max_tokens=8, lead_first=True)
    names = [each.adapter for each in completer.complete(REQUEST).alternatives]
    whole = completer.complete(replace(request, adapters=(names[3], *names[:3], *names[4:])))
    texts = {each.adapter: each.text for each in whole.alternatives}
    few = completer.complete(replace(request, adapters=(names[3], names[0], names[5]))).alternatives
    later = replace(request, lead_first=False, behind=names[3], adapters=(names[6], names[1]))
    assert {
        each.adapter: each.text for each in (*few, *completer.complete(later).alternatives)
    }.items() <= texts.items()


# #15
def test_a_lead_that_a_deadline_has_cut_is_not_branched_off_later(completer):
    request = replace(REQUEST, temperature=0.9, lead_first=True)
    lead, *others = completer.complete(request).alternatives
    completer._leads.clear()
    late = completer.complete(replace(request, deadline_s=0.0)).alternatives[0]
    later = replace(request, lead_first=False, behind=lead.adapter, adapters=tuple(each.adapter for each in others))
    assert late.finish == "deadline" and completer.complete(later).alternatives == tuple(others)


# #15
def test_a_lead_of_another_set_is_not_branched_off(completer, files, tmp_path):
    request = replace(REQUEST, temperature=0.9, lead_first=True, k=1)
    completer.complete(request)
    completer.swap_set(make_set({"a1": files["a5"], "a2": files["a2"]}, tmp_path, name="other"))
    later = replace(request, lead_first=False, behind="a1", adapters=("a2",), k=None)
    found = completer.complete(later).alternatives
    completer._leads.clear()
    assert found == completer.complete(later).alternatives


def test_the_set_says_who_leads(adapter_set, completer, files, tmp_path):
    completer.swap_set(make_set(files, tmp_path, name="led", lead="a3"))
    led = completer.complete(replace(REQUEST, lead_first=True, k=2)).alternatives
    assert [alternative.adapter for alternative in led] == ["a3", "a1"]


def test_of_adapters_asked_for_by_name_the_first_leads(completer):
    announced = []
    completer.complete(replace(REQUEST, lead_first=True, adapters=("a5", "a2")), on_alternative=announced.append)
    assert announced[0].adapter == "a5"


def test_where_adapters_act_on_the_prompt_the_lead_is_told_first_too(adapter_set, completer, files, tmp_path):
    """All rows are computed together, and others are done before it."""
    completer.swap_set(make_set(files, tmp_path, name="everywhere", activation="all"))
    request = replace(REQUEST, temperature=2.0, lead_first=True, stop="single")

    def first_told(lead):
        announced = []
        others = [name for name in files if name != lead]
        completer.complete(replace(request, adapters=(lead, *others)), on_alternative=announced.append)
        return announced[0].adapter

    assert [first_told(name) for name in files] == list(files)


def test_base_rows_use_no_adapter(completer):
    result = completer.complete(replace(REQUEST, use_base=True, k=2))
    assert [alternative.adapter for alternative in result.alternatives] == ["base", "base"]
    assert result.alternatives[0].text == result.alternatives[1].text


def test_the_lead_is_told_as_it_grows(completer):
    told = []
    request = replace(REQUEST, lead_first=True, tells_growing=True, max_tokens=8, stop="none")
    lead = completer.complete(request, on_alternative=told.append).alternatives[0]
    growing = [each for each in told if each.finish == "growing"]
    assert len(growing) > 1 and told[: len(growing) + 1] == [*growing, lead]
    assert all(lead.text.startswith(each.text) for each in growing)
    assert [len(each.text) for each in growing] == sorted(len(each.text) for each in growing)


def test_a_base_without_a_set_has_others_behind_a_greedy_lead(completer):
    greedy = completer.complete(replace(REQUEST, use_base=True)).alternatives[0]
    completer.swap_set(None)
    told = []
    found = completer.complete(replace(REQUEST, lead_first=True), on_alternative=told.append).alternatives
    assert len(found) == 8 and len({each.text for each in found}) > 1
    assert found[0] == told[0] == greedy
    assert completer.complete(replace(REQUEST, lead_first=True, k=1)).alternatives == (greedy,)


def test_sampled_base_rows_differ_and_come_again_with_the_same_seed(completer):
    request = replace(REQUEST, use_base=True, k=4, temperature=1.5, seed=1)
    texts = [alternative.text for alternative in completer.complete(request).alternatives]
    assert len(set(texts)) > 1
    assert texts == [alternative.text for alternative in completer.complete(request).alternatives]


def test_a_cancel_ends_the_work_with_what_was_finished(completer):
    result = completer.complete(REQUEST, is_cancelled=lambda: True)
    assert result.is_cancelled and result.alternatives == ()


def test_a_deadline_gives_what_there_is(completer):
    completer.complete(REQUEST)  # the prompt is known: the time goes into the decoding
    result = completer.complete(replace(REQUEST, max_tokens=440, deadline_s=0.02))
    assert "deadline" in {alternative.finish for alternative in result.alternatives}
    assert not result.is_cancelled


LONG = replace(REQUEST, prefix="x = 1\n" * 300)


# #11
def test_a_deadline_within_the_prompt_gives_empty_alternatives_and_is_no_cancel(completer):
    result = completer.complete(replace(LONG, deadline_s=0.0))
    assert {(each.finish, each.text) for each in result.alternatives} == {("deadline", "")}
    assert len(result.alternatives) == completer.adapter_set.k and not result.is_cancelled


# #12
def test_the_speed_of_prompts_is_learned_from_them_and_told(completer):
    completer.speed = PromptSpeed()
    told = completer.complete(LONG).prompt_tokens_per_s
    assert told > 0 and told == completer.describe()["prompt_tokens_per_s"]


# #12
def test_a_prompt_that_is_given_up_tells_the_speed_of_what_was_read(completer):
    completer.speed = PromptSpeed()
    steps = itertools.count()
    completer.complete(LONG, is_cancelled=lambda: next(steps) > completer.base.n_layers)
    assert completer.speed.tokens_per_s > 0


def test_a_cancel_within_the_prompt_is_one_whatever_the_deadline(completer):
    result = completer.complete(replace(LONG, deadline_s=0.0), is_cancelled=lambda: True)
    assert result.is_cancelled and result.alternatives == ()


def test_a_refused_set_leaves_the_adapters_of_the_one_before(completer, monkeypatch):
    before = completer.complete(REQUEST)
    monkeypatch.setattr(torch.Tensor, "to", lambda *_, **__: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.raises(torch.OutOfMemoryError):
        completer.swap_set(completer.adapter_set)
    monkeypatch.undo()
    assert completer.complete(REQUEST).alternatives == before.alternatives


def test_no_half_character_is_left_at_the_end(completer):
    request = replace(REQUEST, use_base=True, k=40, temperature=2.0, max_tokens=8)
    result = completer.complete(request)
    assert not any(alternative.text.endswith("\ufffd") for alternative in result.alternatives)


def test_a_set_for_every_token_is_served_too(adapter_set, completer, files, tmp_path):
    before = completer.complete(REQUEST)
    completer.swap_set(make_set(files, tmp_path, name="everywhere", activation="all"))
    after = completer.complete(REQUEST)
    assert len(after.alternatives) == 8
    assert [a.text for a in after.alternatives] != [a.text for a in before.alternatives]


def test_the_instruct_layout_is_answered(completer):
    result = completer.complete(CompletionRequest(prefix="add two numbers", layout="instruct", k=2, max_tokens=4))
    assert len(result.alternatives) == 2


def test_the_beginning_of_an_answer_is_a_part_of_the_prompt(completer):
    asked = CompletionRequest(prefix="add two numbers", layout="instruct", k=1, max_tokens=4)
    plain, begun = (completer.complete(replace(asked, begun=text)).timing for text in ("", "def add(a, b):"))
    assert begun.prompt_tokens > plain.prompt_tokens


def test_special_tokens_and_half_an_emoji_in_the_text_do_no_harm(completer):
    request = replace(REQUEST, prefix="x = '<|fim_middle|>\ud83d'\n")
    assert len(completer.complete(request).alternatives) == 8


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"k": 0}, BadInput, "1 to"),
        ({"adapters": ("a9",)}, NotFound, "choose one of: a1"),
        ({"layout": "instruct", "prefix": " "}, BadInput, "empty"),
        ({"layout": "instruct", "begun": "x = 1\n" * 2000}, TooLong, "beginning of the answer"),
        ({"temperature": 1e-40}, BadInput, "temperature 1e-40"),
        ({"max_tokens": 500}, BadInput, "choose 1 to 448"),
        ({"temperature": -1}, BadInput, "temperature"),
        ({"top_p": 0}, BadInput, "top_p"),
        ({"seed": 10**30}, BadInput, "seed"),
        ({"adapters": ("a1",) * 100}, BadInput, "at most 64"),
        ({"max_tokens": 0}, BadInput, "choose 1 to"),
    ],
)
def test_a_request_that_cannot_be_served_says_why(completer, changes, error, words):
    with pytest.raises(error, match=words):
        completer.complete(replace(REQUEST, **changes))


def test_a_set_for_other_weights_is_refused_and_the_one_before_stays(completer, files, tmp_path):
    with pytest.raises(AdapterMismatch):
        completer.swap_set(make_set(files, tmp_path, name="other", base_sha256="0" * 64))
    assert completer.describe()["adapter_set"] == "tiny"
    assert len(completer.complete(REQUEST).alternatives) == 8


def test_an_adapter_with_nan_is_refused_at_loading(completer, files, tmp_path, tiny_peft_adapters):
    tensors = load_file(tiny_peft_adapters["a1"] / "adapter_model.safetensors")
    name = next(iter(tensors))
    tensors[name] = torch.full_like(tensors[name], float("nan"))
    with pytest.raises(SpaError):
        completer.swap_set(make_set({**files, "a1": save(tensors)}, tmp_path, name="broken"))


def test_without_any_set_the_base_answers_alone(tiny_base):
    from spa_lsp.lm.completer import LocalCompleter

    completer = LocalCompleter.load(TINY_ID, quantization="fp32")
    assert {alternative.adapter for alternative in completer.complete(REQUEST).alternatives} == {"base"}


def test_one_adapter_may_be_asked_for_several_rows_that_draw_apart(completer):
    sampled = replace(REQUEST, adapters=("a3",) * 4, k=4, temperature=2.0)
    alternatives = completer.complete(sampled).alternatives
    assert [alternative.adapter for alternative in alternatives] == ["a3"] * 4
    assert len({alternative.text for alternative in alternatives}) > 1


# #15
@pytest.mark.parametrize("activation", ["completion", "all"])
def test_the_only_adapter_of_a_set_has_others_behind_its_greedy_answer(completer, files, tmp_path, activation):
    completer.swap_set(make_set(files, tmp_path, name="several", activation=activation))
    greedy = completer.complete(replace(REQUEST, adapters=("a2", "a3"), temperature=0.0)).alternatives[1]
    completer.swap_set(make_set({"a3": files["a3"]}, tmp_path, name="one", activation=activation))
    found = completer.complete(replace(REQUEST, lead_first=True)).alternatives
    assert found[0].text == greedy.text and len({each.text for each in found}) == len(found) == 8
    assert [each.index for each in found] == [
        64 * n for n in range(8)
    ]  # each has its own, as the front tells them apart


# #15
def test_a_prompt_that_one_adapter_read_is_kept_for_it_alone(completer, files, tmp_path):
    def cached(adapter):
        return completer.complete(replace(REQUEST, adapters=(adapter,))).timing.cached_tokens

    completer.swap_set(make_set(files, tmp_path, name="everywhere", activation="all"))
    n_prompt = completer.complete(REQUEST).timing.prompt_tokens
    assert [cached(name) for name in ("a3", "a3", "a2", "a3")] == [0, n_prompt - 1, 0, 0]
    completer.swap_set(make_set(files, tmp_path, name="another", activation="all"))
    assert cached("a3") == 0


def test_a_given_text_has_log_probabilities_under_every_adapter_warm_or_cold(completer):
    def logprobs(**changes):
        return torch.cat(list(completer.next_token_logprobs(replace(REQUEST, **changes), "a + b")), dim=1)

    cold = logprobs()
    completer.complete(REQUEST)
    assert len(cold) == 8 and len(logprobs(use_base=True)) == 1
    torch.testing.assert_close(logprobs(), cold, atol=1e-5, rtol=1e-5)


def test_choices_have_log_likelihoods_by_adapter_and_by_the_base_alone(completer):
    choices = [("Which is it?\nAnswer:", " A"), ("Which is it?\nAnswer:", " B and C")]
    found = completer.log_likelihoods(choices)
    assert found.shape == (8, 2)
    for column, (context, text) in enumerate(choices):
        prompt, tokens = (encode_text(completer.base.prompt, piece) for piece in (context, text))
        slow = log_likelihoods(completer.base, completer._bank, [(prompt, tokens)])
        torch.testing.assert_close(found[:, column], slow[:, 0], atol=1e-4, rtol=1e-5)
    completer.swap_set(None)
    assert completer.log_likelihoods(choices).shape == (1, 2)


def test_log_probabilities_are_those_of_the_moment_they_were_asked_for(completer):  # (#11)
    expected = torch.cat(list(completer.next_token_logprobs(REQUEST, "a + b")), dim=1)
    blocks = completer.next_token_logprobs(REQUEST, "a + b")
    completer.complete(replace(REQUEST, prefix=REQUEST.prefix[:-3]))  # takes the place of its prompt in the cache
    torch.testing.assert_close(torch.cat(list(blocks), dim=1), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("contexts", [("x", "x = 1; the"), ("x = 1; the", "x")])  # (#11)
def test_a_choice_may_have_a_context_of_one_token(completer, contexts):
    assert [len(encode_text(completer.base.prompt, context)) > 1 for context in sorted(contexts)] == [False, True]
    found = completer.log_likelihoods([(context, " rest") for context in contexts])
    for column, context in enumerate(contexts):
        prompt, tokens = (encode_text(completer.base.prompt, piece) for piece in (context, " rest"))
        slow = log_likelihoods(completer.base, completer._bank, [(prompt, tokens)])
        torch.testing.assert_close(found[:, column], slow[:, 0], atol=1e-4, rtol=1e-5)


# --- several requests in one batch

OTHERS = (
    REQUEST,
    CompletionRequest(prefix="x = [1, 2", suffix="]\n", max_tokens=9, stop="single", adapters=("a7", "a1", "a3")),
    CompletionRequest(prefix="class A:\n    def f(self):\n        return ", max_tokens=3, stop="multi", k=2),
)


def without_logprobs(result):
    return [replace(alternative, mean_logprob=0.0) for alternative in result.alternatives]


def test_requests_in_one_batch_are_answered_as_one_by_one(completer):
    together = completer.complete_many(OTHERS)
    for request, result in zip(OTHERS, together, strict=True):
        alone = completer.complete(request)
        assert without_logprobs(result) == without_logprobs(alone)
        found, expected = ([a.mean_logprob for a in answer.alternatives] for answer in (result, alone))
        assert found == pytest.approx(expected, abs=1e-5)


def test_samples_in_one_batch_are_those_of_their_own_seeds(completer):
    requests = [replace(request, adapters=(), use_base=True, k=3, temperature=0.8, seed=7) for request in OTHERS]
    together = completer.complete_many(requests)
    assert list(map(without_logprobs, together)) == [without_logprobs(completer.complete(r)) for r in requests]


def test_a_batch_of_base_and_adapter_rows_is_answered_too(completer):
    requests = [OTHERS[0], replace(OTHERS[1], adapters=(), use_base=True)]
    assert list(map(without_logprobs, completer.complete_many(requests))) == [
        without_logprobs(completer.complete(request)) for request in requests
    ]


def test_a_batch_computes_a_prompt_that_it_had_before_no_more(completer, monkeypatch):
    requests = [replace(request, prefix=f"# kept\n{request.prefix}") for request in OTHERS]
    first = completer.complete_many(requests)
    monkeypatch.setattr("spa_lsp.lm.prefix_cache.prefill", lambda *_: pytest.fail("the prompt was computed again"))
    again = completer.complete_many(requests)
    assert list(map(without_logprobs, again)) == list(map(without_logprobs, first))
    assert [result.timing.prefill_ms for result in again] == [result.timing.prefill_ms for result in first]


def test_only_so_many_tokens_of_whole_prompts_are_kept(completer):
    prompts = WholePrompts(completer.base.n_layers, max_tokens=5)
    with torch.inference_mode():
        kept = {tokens: prompts.compute(completer.base, tokens) for tokens in ((1, 2), (3, 4), (5, 6))}
    assert prompts.find((1, 2)) is None
    assert prompts.find((3, 4)) is kept[3, 4]
    assert prompts.compute(completer.base, (5, 6)) is kept[5, 6]


def test_a_batch_with_a_bad_request_is_refused_before_the_work(completer):
    with pytest.raises(BadInput, match="k is 99"):
        completer.complete_many([REQUEST, replace(REQUEST, k=99)])


def test_files_of_context_come_before_the_prompt_and_stay_cached_while_one_types(completer):
    pieces = (
        ContextPiece(path="lib.py", text="def helper(a, b): ..."),
        ContextPiece(path="odd.py", text="<|fim_middle|>"),
    )
    asked = replace(REQUEST, context=pieces, path="main.py")
    plain, first = completer.complete(REQUEST).timing, completer.complete(asked).timing
    typed = completer.complete(replace(asked, prefix=REQUEST.prefix + "r")).timing
    n_suffix = len(completer.base.prompt.encode(REQUEST.suffix))
    assert first.prompt_tokens > plain.prompt_tokens + 10
    # a new character may change the token before it; then come the suffix and the tokens around it
    assert typed.cached_tokens >= first.prompt_tokens - n_suffix - 5


def test_context_goes_through_json():
    request = replace(REQUEST, context=(ContextPiece(path="a", text="b"),), path="c")
    assert request_from_json(json.loads(json.dumps(asdict(request)))) == request
