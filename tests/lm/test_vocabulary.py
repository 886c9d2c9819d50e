"""What tokens spell, and which of them agree with text that must come next."""

from random import Random

import pytest

from spa_lsp.lm.vocabulary import Vocabulary, read_vocabulary
from tests.conftest import SPECIAL_TOKENS

TEXT = "def add(a, b):\r\n\treturn a + b  # 日本語 😋 é\n    for item in items: pass\n"


@pytest.fixture
def vocabulary(base):
    return read_vocabulary(base.tokenizer)


def slow_agreeing(base, vocabulary, owed):
    """The same by looking at every token there is."""
    spelled = [(token, vocabulary.spell([token])) for token in range(len(base.tokenizer))]
    return [token for token, data in spelled if data and (data.startswith(owed) or owed.startswith(data))]


def test_tokens_spell_the_text_they_were_made_of(base, vocabulary):
    assert vocabulary.spell(base.prompt.encode(TEXT)).decode() == TEXT


def test_every_byte_can_be_spelled(vocabulary):
    assert vocabulary.can_spell_all


def test_special_tokens_spell_nothing(base, vocabulary):
    assert vocabulary.spell(base.tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS))) == b""


def test_the_tokens_that_agree_are_those_of_a_search_of_all(base, vocabulary):
    rng, data = Random(0), TEXT.encode()
    for _ in range(200):
        start = rng.randrange(len(data))
        owed = data[start : start + rng.randint(1, 9)]
        found = vocabulary.agreeing(owed).tolist()
        assert sorted(found) == slow_agreeing(base, vocabulary, owed) and found


def test_bytes_above_all_others_have_an_end_too(base, vocabulary):
    assert sorted(vocabulary.agreeing(b"\xff").tolist()) == slow_agreeing(base, vocabulary, b"\xff")


def test_pieces_of_sentencepiece_spell_spaces_and_bytes_and_fillers_nothing():
    class Tokenizer:
        all_special_ids = (0,)
        added_tokens_decoder = {}

        def get_vocab(self):
            return {"<s>": 0, "▁low": 1, "er": 2, "<0xE2>": 3, "[PAD4]": 4}

    vocabulary = read_vocabulary(Tokenizer())
    assert vocabulary.spell([0, 1, 2, 3, 4]) == b" lower\xe2"
    assert not vocabulary.can_spell_all


def test_a_vocabulary_without_tokens_agrees_with_nothing():
    assert Vocabulary({}).agreeing(b"x").tolist() == []
