"""Our reading of a tokenizer against transformers'."""

import json
from functools import cache

import pytest
from transformers import AutoTokenizer

from spa_lsp.bases.catalog import DEFAULT_BASE, find_base, installed_base
from spa_lsp.errors import Damaged
from spa_lsp.lm.load import load_base, load_tokens
from spa_lsp.lm.tokenizer import read_tokenizer
from tests.conftest import TINY_ID

BASES = ["of Qwen2's kind", "of another kind", pytest.param(DEFAULT_BASE, marks=pytest.mark.model)]
# an accent that is joined with its letter; characters that a slice cuts in two; special and other added tokens
TEXTS = [
    "def größe(a):\r\n\treturn a  # 日本語 😋 e\u0301",
    "don't <|fim_middle|> x <|im_end|>\n\n\n    x = 10_000.5e-3\n",
    "  <tool_call>\n\t\tif not self.items[-1]:  # WE'LL see\n",
]


@pytest.fixture(params=BASES)
def both(request):
    """The tokenizer of a base as we read it, and as transformers does."""
    if request.param == DEFAULT_BASE:
        folder = installed_base(find_base(DEFAULT_BASE)).folder
    else:
        folder = request.getfixturevalue("tiny_copy")
    if request.param == "of another kind":
        name_kind(folder, "PreTrainedTokenizerFast")
    return read_both(folder)


@cache  # that of the default base takes seconds
def read_both(folder):
    return read_tokenizer(folder), AutoTokenizer.from_pretrained(folder, local_files_only=True)


def name_kind(folder, kind):
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": kind}))


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_transformers(both, text):
    ours, theirs = both
    assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("start", [0, 1, 5])
def test_texts_are_those_of_transformers(both, text, start):
    ours, theirs = both
    ids = ours.encode(text)[start:-1]
    expected = theirs.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert ours.decode(ids) == expected


def test_pieces_are_those_of_transformers_but_for_special_and_added_ones(both):
    ours, theirs = both
    special = {*theirs.all_special_ids, *theirs.added_tokens_decoder}
    assert ours.pieces() == {n: piece for piece, n in theirs.get_vocab().items() if n not in special}


@pytest.mark.parametrize("token", ["<|fim_middle|>", "a", "no such token"])
def test_ids_of_tokens_are_those_of_transformers(both, token):
    ours, theirs = both
    assert ours.id_of(token) == theirs.convert_tokens_to_ids(token)


@pytest.mark.parametrize("kind", ["Qwen2Tokenizer", "PreTrainedTokenizerFast"])
@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("load", [load_tokens, load_base])
def test_files_that_cannot_be_read_are_named_with_the_way_out(tiny_copy, kind, name, load):
    name_kind(tiny_copy, kind)
    path = tiny_copy / name
    path.write_bytes(b"\xff" * path.stat().st_size)
    with pytest.raises(Damaged, match="pull"):
        load(TINY_ID)


@pytest.mark.parametrize("said", ["[]", "null", "{}"])
def test_settings_that_say_nothing_of_use_are_named_with_the_way_out(tiny_copy, said):
    for name in ("config.json", "tokenizer_config.json"):
        (tiny_copy / name).write_text(said)
    with pytest.raises(Damaged, match="pull"):
        load_base(TINY_ID, quantization="int8")
