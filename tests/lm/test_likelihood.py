"""Log-probabilities of given texts against PEFT, one adapter at a time, and against plain sums."""

import pytest
import torch

from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.likelihood import log_likelihoods, next_token_logprobs

TOKENS = list(range(40, 63))  # more than a block


@pytest.fixture
def bank(base, adapters):
    made = AdapterBank(base.model)
    made.load(adapters[:3], [2.0] * 3)
    return made


def logprobs(base, bank, prompt, tokens=TOKENS, **options):
    return torch.cat(list(next_token_logprobs(base, bank, prompt, tokens, **options)), dim=1)


def peft_logprobs(folder, tiny_base, prompt, activation):
    """What PEFT says with one adapter; with `completion` the prompt is the base's, as it is served."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, DynamicCache

    base = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, folder).eval()
    with torch.inference_mode():
        if activation == "all":
            logits = model(input_ids=torch.tensor([[*prompt, *TOKENS[:-1]]])).logits[0, len(prompt) - 1 :]
        else:
            cache = DynamicCache()
            with model.disable_adapter():
                model(input_ids=torch.tensor([prompt[:-1]]), past_key_values=cache, use_cache=True)
            logits = model(input_ids=torch.tensor([[prompt[-1], *TOKENS[:-1]]]), past_key_values=cache).logits[0]
    return torch.log_softmax(logits, -1)


@pytest.mark.parametrize("activation", ["completion", "all"])
def test_every_adapter_agrees_with_peft(base, bank, prompt, tiny_base, tiny_peft_adapters, activation):
    found = logprobs(base, bank, prompt, is_shared=activation == "completion")
    assert found.shape == (3, len(TOKENS), 320)
    for n, folder in enumerate(list(tiny_peft_adapters.values())[:3]):
        expected = peft_logprobs(folder, tiny_base, prompt, activation)
        torch.testing.assert_close(found[n], expected, atol=2e-4, rtol=1e-4)


def test_the_base_alone_is_one_row(base, bank, prompt):
    found = logprobs(base, None, prompt)
    with torch.inference_mode():
        logits = base.model(input_ids=torch.tensor([[*prompt, *TOKENS[:-1]]]), use_cache=False).logits
    expected = torch.log_softmax(logits[0, len(prompt) - 1 :], -1)
    torch.testing.assert_close(found[0], expected, atol=2e-4, rtol=1e-4)


def test_blocks_have_at_most_16_places_and_leave_no_mode_behind(base, bank, prompt):
    blocks = next_token_logprobs(base, bank, prompt, TOKENS)
    assert next(blocks).shape[1] == 16
    assert not torch.is_inference_mode_enabled()
    assert next(blocks).shape[1] == len(TOKENS) - 16


def test_a_likelihood_is_the_sum_over_its_tokens(base, bank, prompt):
    found = log_likelihoods(base, bank, [(prompt, TOKENS), (prompt[:5], [7])])
    places = logprobs(base, bank, prompt)
    slow = sum(places[:, place, token] for place, token in enumerate(TOKENS))
    torch.testing.assert_close(found[:, 0], slow, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(found[:, 1], logprobs(base, bank, prompt[:5], [7])[:, 0, 7])


def test_no_text_has_no_places(base, bank, prompt):
    assert list(next_token_logprobs(base, bank, prompt, [])) == []
