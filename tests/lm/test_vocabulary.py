"""What tokens spell, and which of them agree with text that must come next."""

from random import Random

import pytest

from spa_lsp.lm.vocabulary import Vocabulary, read_vocabulary
from tests.conftest import SPECIAL_TOKENS

TEXT = "def add(a, b):\r\n\treturn a + b  # 日本語 😋 é\n    for item in items: pass\n"


@pytest.fixture
def vocabulary(base):
    return read_vocabulary(base.tokenizer.pieces())


def slow_agreeing(base, vocabulary, owed):
    """The same by looking at every token there is."""
    spelled = [(token, vocabulary.spell([token])) for token in sorted(base.tokenizer.pieces())]
    return [token for token, data in spelled if data and (data.startswith(owed) or owed.startswith(data))]


def test_tokens_spell_the_text_they_were_made_of(base, vocabulary):
    assert vocabulary.spell(base.prompt.encode(TEXT)).decode() == TEXT


def test_every_byte_can_be_spelled(vocabulary):
    assert vocabulary.can_spell_all


def test_special_tokens_spell_nothing(base, vocabulary):
    assert vocabulary.spell([base.tokenizer.id_of(literal) for literal in SPECIAL_TOKENS]) == b""


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
    vocabulary = read_vocabulary({1: "▁low", 2: "er", 3: "<0xE2>", 4: "[PAD4]"})
    assert vocabulary.spell([0, 1, 2, 3, 4]) == b" lower\xe2"
    assert not vocabulary.can_spell_all


def test_a_vocabulary_without_tokens_agrees_with_nothing():
    assert Vocabulary({}).agreeing(b"x").tolist() == []
