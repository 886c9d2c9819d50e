"""A tiny base whose rows fill bitsandbytes' blocks of 64: with narrower ones it leaves its own kernels."""

import pytest

from tests.conftest import TINY_ID, make_peft_adapter, make_tiny_model, save_tiny_tokenizer, write_base_record


@pytest.fixture(scope="session")
def tiny_base_folder(tmp_path_factory):
    """As everywhere, but four times as wide."""
    folder = tmp_path_factory.mktemp("wide") / TINY_ID
    save_tiny_tokenizer(folder)
    make_tiny_model(hidden_size=128).save_pretrained(folder)
    write_base_record(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_peft_adapters(tiny_base_folder, tmp_path_factory):
    """As everywhere, for this base: a fixture of the session is made once, for whichever base is asked for first."""
    parent = tmp_path_factory.mktemp("wide_adapters")
    return {f"a{n}": make_peft_adapter(tiny_base_folder, parent / f"a{n}", rank=4, seed=n) for n in range(1, 9)}
