"""The compiled decode step against the modules that it stands for, over the same int8 weights, on every path."""

from dataclasses import replace

import pytest
import torch

from spa_lsp.lm.attention import Group, KeyValues
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.forward import forward
from spa_lsp.lm.kernel import PATHS, NoKernel, find_kernel
from spa_lsp.lm.step import CompiledStep, compile_step
from tests.conftest import TINY_ID

# activations are rounded to 15 bits in every product, and what differs in its last bit may be rounded another way
CLOSE = {"atol": 2e-3, "rtol": 1e-2}
LONG = 150  # more keys than are looked at in one block


@pytest.fixture(params=PATHS)
def base(request, tiny_base):
    from spa_lsp.lm.load import load_base

    loaded = load_base(TINY_ID, quantization="int8", device="cpu")
    try:
        kernel = find_kernel(request.param)
    except (NoKernel, ValueError) as error:
        pytest.skip(str(error))
    return replace(loaded, step=CompiledStep(loaded.model, kernel))


@pytest.fixture
def bank(base, adapters):
    bank = AdapterBank(base.model)
    bank.load(adapters, [2.0] * len(adapters))
    return bank


def prompt(base, n_tokens, seed=0):
    ids = torch.randint(0, 200, (1, n_tokens), generator=torch.Generator().manual_seed(seed))
    key_values = KeyValues(base.n_layers)
    with torch.inference_mode():
        forward(replace(base, step=None), ids, key_values)
    return key_values


def steps(base, key_values, n_rows, n_steps=3):
    """Hidden states of some steps, each row with tokens of its own."""
    with torch.inference_mode():
        tokens = torch.arange(n_rows * n_steps).view(n_steps, n_rows, 1)
        return torch.stack([forward(base, ids, key_values) for ids in tokens])


def assert_same(base, make_key_values, n_rows):
    compiled, known = make_key_values(), make_key_values()
    torch.testing.assert_close(steps(base, compiled, n_rows), steps(replace(base, step=None), known, n_rows), **CLOSE)
    torch.testing.assert_close(compiled.own(1), known.own(1), **CLOSE)


@pytest.mark.parametrize("n_rows", [1, 3, 8, 9])
def test_rows_behind_a_prefix_are_as_without_the_compiled_step(base, n_rows):
    prefix = prompt(base, LONG)
    assert_same(base, lambda: KeyValues(base.n_layers, prefix=prefix, capacity=2), n_rows)


def test_a_row_without_a_prompt_is_as_without_the_compiled_step(base):
    assert_same(base, lambda: KeyValues(base.n_layers), 2)


def test_prompts_of_several_requests_stay_apart(base):
    groups = [Group(prefix=prompt(base, n, seed=n), n_rows=n_rows) for n, n_rows in ((5, 2), (LONG, 1), (9, 3))]
    assert_same(base, lambda: KeyValues(base.n_layers, groups=groups), 6)


def test_every_row_has_its_adapter(base, bank):
    prefix = prompt(base, 7)
    bank.select(torch.tensor([5, 0, 3]))
    with bank.on():
        assert_same(base, lambda: KeyValues(base.n_layers, prefix=prefix), 3)


def test_adapters_that_are_off_change_nothing(base, bank):
    prefix = prompt(base, 7)
    with bank.on():
        steps(base, KeyValues(base.n_layers, prefix=prefix), bank.n_adapters)
    assert_same(base, lambda: KeyValues(base.n_layers, prefix=prefix), 2)


def test_a_set_that_is_loaded_later_is_seen(base, bank, adapters):
    prefix = prompt(base, 7)
    with bank.on():
        steps(base, KeyValues(base.n_layers, prefix=prefix), bank.n_adapters)
    bank.load(adapters[:2], [1.0, 1.0])
    with bank.on():
        assert_same(base, lambda: KeyValues(base.n_layers, prefix=prefix), 2)


@pytest.mark.parametrize("selected", [None, [0], [0, 1, 2, 9]])
def test_rows_without_an_adapter_of_their_own_are_refused(base, bank, adapters, selected):
    bank.load(adapters[:3], [1.0] * 3)
    bank.switch.selected = selected
    with bank.on(), pytest.raises(AssertionError):
        steps(base, KeyValues(base.n_layers), 4, n_steps=1)


def test_a_row_whose_numbers_are_not_finite_spoils_no_other(base, bank, adapters):
    spoilt = {name: torch.full_like(tensor, torch.nan) for name, tensor in adapters[1].items()}
    bank.load([adapters[0], spoilt], [1.0, 1.0])
    prefix = prompt(base, 7)
    with bank.on():
        hidden = steps(base, KeyValues(base.n_layers, prefix=prefix), 2)
    assert hidden[:, 0].isfinite().all() and hidden[:, 1].isnan().all()


def test_sizes_that_the_step_does_not_have_are_left_to_the_modules(base, monkeypatch):
    monkeypatch.setattr(base.model, "config", replace(base.model.config, intermediate_size=65))
    assert compile_step(base.model, find_kernel()) is None


def test_an_int8_base_has_the_compiled_step(base):
    from spa_lsp.lm.load import load_base

    loaded = load_base(TINY_ID, quantization="int8", device="cpu")
    assert (loaded.step is not None) == (loaded.kernel in PATHS)
