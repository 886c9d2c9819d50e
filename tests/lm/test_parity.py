"""Our k rows give the very tokens that PEFT gives with one adapter at a time, in fp32 on the CPU."""

import pytest
import torch

from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.decode import RowRules, decode, new_rows
from spa_lsp.lm.prefix_cache import PrefixCache, prefill, prefill_rows
from spa_lsp.text.site import Site
from spa_lsp.text.stopping import make_cut
from tests.conftest import make_peft_adapter
from tests.lm.conftest import N_TOKENS

NEVER = make_cut("none", "infill", Site())
RULES = RowRules(max_tokens=N_TOKENS, cut=NEVER)


def served(base, bank, prompt, *, k, activation="completion", cache=None, rules=RULES):
    """Rows of the k first adapters over one prompt, by index."""
    n_layers = base.n_layers
    going = torch.arange(k)
    bank.select(going)

    def keep_rows(kept):
        nonlocal going
        going = going[kept]
        bank.select(going)

    with torch.inference_mode():
        if activation == "completion":
            entry = (cache or PrefixCache(n_layers)).entry_for(prompt[:-1])
            assert prefill(base, entry, prompt[:-1])
            key_values = KeyValues(n_layers, prefix=entry.key_values, capacity=4)
        else:
            key_values = KeyValues(n_layers)
            with bank.on():
                assert prefill_rows(base, key_values, prompt[:-1], k, lambda: False)
        with bank.on():
            rows = new_rows(range(k), rules, prompt[-1])
            done = list(decode(base, rows, key_values, keep_rows=keep_rows, is_over=lambda: False))
    return sorted(done, key=lambda row: row.index)


def bank_of(base, adapters, scaling=2.0):
    bank = AdapterBank(base.model)
    bank.load(adapters, [scaling] * len(adapters))
    return bank


@pytest.mark.parametrize("k", range(1, 9))
def test_k_rows_equal_peft_on_a_base_prompt(base, adapters, prompt, oracle, k):
    rows = served(base, bank_of(base, adapters), prompt, k=k)
    assert [row.ids for row in rows] == [oracle(n, prompt, "completion") for n in range(k)]


@pytest.mark.parametrize("k", range(1, 9))
def test_k_rows_equal_peft_with_the_adapter_on_everywhere(base, adapters, prompt, oracle, k):
    rows = served(base, bank_of(base, adapters), prompt, k=k, activation="all")
    assert [row.ids for row in rows] == [oracle(n, prompt, "all") for n in range(k)]


def test_the_adapters_really_differ_and_so_do_the_activations(base, adapters, prompt, oracle):
    rows = served(base, bank_of(base, adapters), prompt, k=8)
    assert len({tuple(row.ids) for row in rows}) == 8
    assert rows[0].ids != oracle(0, prompt, "all")


def test_padded_ranks_change_nothing(base, adapters, prompt, oracle, tiny_base, tmp_path):
    from safetensors.torch import load_file

    folder = make_peft_adapter(tiny_base, tmp_path / "wide", rank=7, seed=99)
    wide = load_file(folder / "adapter_model.safetensors")
    bank = AdapterBank(base.model)
    bank.load([adapters[0], wide, adapters[2]], [2.0, 8 / 7, 2.0])
    rows = served(base, bank, prompt, k=3)
    assert rows[0].ids == oracle(0, prompt, "completion")
    assert rows[1].ids == oracle(1, prompt, "completion", folder=folder)
    assert rows[2].ids == oracle(2, prompt, "completion")


def test_a_warm_prefix_cache_gives_the_tokens_of_a_cold_one(base, adapters, prompt):
    bank = bank_of(base, adapters)
    cache = PrefixCache(base.n_layers)
    served(base, bank, [*prompt[:-4], 5, 6, 7], k=8, cache=cache)
    warm = served(base, bank, prompt, k=8, cache=cache)
    cold = served(base, bank, prompt, k=8)
    assert [row.ids for row in warm] == [row.ids for row in cold]


def test_nan_in_one_adapter_disables_its_row_and_no_other(base, adapters, prompt, oracle):
    broken = {name: tensor * float("nan") for name, tensor in adapters[1].items()}
    rows = served(base, bank_of(base, [adapters[0], broken, adapters[2]]), prompt, k=3)
    assert rows[1].finish == "disabled" and rows[1].text == ""
    assert [rows[0].ids, rows[2].ids] == [oracle(n, prompt, "completion") for n in (0, 2)]


def test_rows_that_stop_early_leave_the_others_as_they_were(base, adapters, prompt, oracle):
    from dataclasses import replace

    first_of_row_1 = oracle(1, prompt, "completion")[2]
    stopping = replace(base, stop_ids=frozenset({first_of_row_1}))
    rows = served(stopping, bank_of(base, adapters), prompt, k=8)
    for row in rows:
        full = oracle(row.index, prompt, "completion")
        end = full.index(first_of_row_1) if first_of_row_1 in full else N_TOKENS
        assert row.ids == full[:end]
        assert row.finish == ("stop" if end < N_TOKENS else "length")


def test_a_long_prompt_is_prefilled_in_chunks_with_the_same_result(base, adapters, oracle):
    prompt = [7 + n % 250 for n in range(300)]
    rows = served(base, bank_of(base, adapters), prompt, k=2)
    assert [row.ids for row in rows] == [oracle(n, prompt, "completion") for n in range(2)]


def test_a_sampled_row_does_not_depend_on_how_many_others_there_are(base, adapters, prompt):
    rules = RowRules(max_tokens=N_TOKENS, cut=NEVER, temperature=0.9, top_p=0.95, seed=3)
    bank = bank_of(base, adapters)
    few, many = (served(base, bank, prompt, k=k, rules=rules) for k in (2, 8))
    assert [row.ids for row in few] == [row.ids for row in many[:2]]


def test_the_mean_logprob_is_that_of_a_teacher_forced_forward(base, adapters, prompt):
    row = served(base, bank_of(base, adapters[:1]), prompt, k=1, activation="all")[0]
    bank = bank_of(base, adapters[:1])
    with torch.inference_mode(), bank.on():
        hidden = base.decoder(input_ids=torch.tensor([prompt + row.ids]), use_cache=False).last_hidden_state
        logprobs = base.model.lm_head(hidden)[0, len(prompt) - 1 : -1].log_softmax(-1)
    expected = logprobs[torch.arange(N_TOKENS), torch.tensor(row.ids)].mean()
    assert row.mean_logprob == pytest.approx(float(expected), abs=1e-4)
