"""Our reading of a tokenizer against transformers'."""

import pytest
from transformers import AutoTokenizer

from spa_lsp.bases.catalog import DEFAULT_BASE, find_base, installed_base
from spa_lsp.errors import Damaged
from spa_lsp.lm.load import load_tokens
from spa_lsp.lm.tokenizer import read_tokenizer
from tests.conftest import TINY_ID

# an accent of its own, which is joined with its letter; special tokens; what is cut in half by a slice
TEXT = "def größe(a):\r\n\treturn a  # 日本語 😋 e\u0301 <|fim_middle|> <|im_end|>\n\n\n    x = 10_000.5e-3\n" * 3


@pytest.mark.parametrize("base_id", [TINY_ID, pytest.param(DEFAULT_BASE, marks=pytest.mark.model)])
def test_ids_texts_and_pieces_are_those_of_transformers(request, base_id):
    if base_id == TINY_ID:
        request.getfixturevalue("tiny_base")
    folder = installed_base(find_base(base_id)).folder
    ours, theirs = read_tokenizer(folder), AutoTokenizer.from_pretrained(folder, local_files_only=True)
    for start in range(0, len(TEXT), 7):
        ids = ours.encode(TEXT[start:])
        assert ids == theirs.encode(TEXT[start:], add_special_tokens=False)
        for cut in (ids, ids[1:5]):
            expected = theirs.decode(cut, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            assert ours.decode(cut) == expected
    special = {*theirs.all_special_ids, *theirs.added_tokens_decoder}
    assert ours.pieces() == {n: piece for piece, n in theirs.get_vocab().items() if n not in special}
    assert ours.id_of("<|fim_middle|>") == theirs.convert_tokens_to_ids("<|fim_middle|>")


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_files_that_cannot_be_read_are_named_with_the_way_out(tiny_copy, name):
    path = tiny_copy / name
    path.write_bytes(b"\xff" * path.stat().st_size)
    with pytest.raises(Damaged, match="pull"):
        load_tokens(TINY_ID)
