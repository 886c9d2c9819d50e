"""What is taken back before the cursor, drawn as ‸, and behind the anchor, drawn as ⚓. One id a piece of `PIECES`."""

from random import Random

import pytest

from spa_lsp.prompt import PromptTokens, encode_text
from spa_lsp.text.healing import HealedText, heal, taken_back
from tests.test_prompt import TOKENS

# from long to short: a greedy tokenizer that takes the longest piece
PIECES = sorted(
    [" return", " ret", "   ", ".lower", ".low", "_id", "().", "()", "):", '"""', "日本"],
    key=len,
    reverse=True,
)


def encode(text):
    ids = []
    while text:
        piece = next((piece for piece in PIECES if text.startswith(piece)), text[0])
        ids.append(1000 + PIECES.index(piece) if piece in PIECES else ord(piece))
        text = text[len(piece) :]
    return ids


GREEDY = PromptTokens(
    encode=encode, fim_prefix=1, fim_suffix=2, fim_middle=3, instruct_head=(), instruct_tail=(), neutral=("<P>",)
)


def healed(drawn):
    """The text with ‸ where the prompt is to end; all behind it is owed."""
    text = heal(GREEDY, drawn)
    assert not text.begun
    return f"{text.prefix}‸{text.owed}"


@pytest.mark.parametrize(
    "expected",
    [
        "x = 1\n   ‸ retu",  # a word, with the space that belongs to its token
        "word.strip‸().low",  # with the whole token that its point stands in
        "user‸_id",
        "x‸_",  # one token
        "f‸(",
        "f(x‸):",
        "f(x):\n‸    ",  # spaces, all of them
        "x =‸  ",
        "x = 1‸2",
        "x\r\n‸\t\t",
        "#‸ 日本語のコード",  # letters of any script
        "'‸\ufffd",  # what is left of half a surrogate pair
        "x = '<P‸>",
    ],
)
def test_what_may_still_be_cut_otherwise_is_owed(expected):
    assert healed(expected.replace("‸", "")) == expected


@pytest.mark.parametrize("text", ["", "x = 1\n", "x = 1\r\n", "x = 1\r", "\n\n"])
def test_behind_a_line_end_nothing_is_owed(text):
    assert heal(GREEDY, text) == HealedText(prefix=text, begun="", owed="")


def test_a_long_run_of_letters_is_not_taken_back_whole():
    assert len(taken_back(GREEDY, "x" * 500)) == 24


def test_what_is_owed_at_the_anchor_stands_before_what_has_been_typed():
    assert heal(GREEDY, "    retu", "rn x.low") == HealedText(prefix="   ", begun=" return x", owed=".low")


def test_the_prefix_stays_while_one_types():
    typed = "rn word.lower()\n    # and on"
    assert {heal(GREEDY, "    retu", typed[:n]).prefix for n in range(len(typed))} == {"   "}


def test_spaces_at_the_end_of_what_is_typed_are_owed():
    assert heal(GREEDY, "x", " =  ") == HealedText(prefix="", begun="x =", owed="  ")


def test_nothing_is_lost_wherever_a_text_is_cut():
    rng = Random(0)
    text = 'def f(x):\r\n\treturn word.strip().lower()  # <P> 日本語 😋\n    user_id = """x"""\n' * 3
    for _ in range(300):
        anchor, cursor = sorted(rng.choices(range(len(text)), k=2))
        found = heal(GREEDY, text[:anchor], text[anchor:cursor])
        assert found.prefix + found.begun + found.owed == text[:cursor]
        ids = encode_text(GREEDY, found.begun + found.owed)
        assert ids[: len(encode_text(GREEDY, found.begun))] == encode_text(GREEDY, found.begun)


def test_tokens_of_one_character_are_owed_too():
    assert taken_back(TOKENS, "x = low") == " low"
