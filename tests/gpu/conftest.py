"""A tiny base whose rows fill bitsandbytes' blocks of 64: with narrower ones it leaves its own kernels."""

import pytest

from tests.conftest import TINY_ID, make_tiny_model, save_tiny_tokenizer, write_base_record


@pytest.fixture(scope="session")
def tiny_base_folder(tmp_path_factory):
    """As everywhere, but four times as wide."""
    folder = tmp_path_factory.mktemp("wide") / TINY_ID
    save_tiny_tokenizer(folder)
    make_tiny_model(hidden_size=128).save_pretrained(folder)
    write_base_record(folder)
    return folder
