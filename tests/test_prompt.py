"""What a prompt is made of: order of the parts, neutral text, and what is dropped when it is too long."""

from dataclasses import replace

import pytest

from spa_lsp.prompt import PromptTokens, clean_text, encode_text, infill_prompt, instruct_prompt, neutral_pieces

SPECIAL = {"<P>": 1001, "<S>": 1002, "<M>": 1003}


def encode(text):
    """One id a character, but special tokens as one id, as real tokenizers do it."""
    for literal, token in SPECIAL.items():
        text = text.replace(literal, chr(token))
    return [ord(character) for character in text]


TOKENS = PromptTokens(
    encode=encode,
    fim_prefix=1001,
    fim_suffix=1002,
    fim_middle=1003,
    instruct_head=(1, 2),
    instruct_tail=(3,),
    neutral=tuple(SPECIAL),
)


def decode(ids):
    return "".join(chr(token) for token in ids)


def test_an_infill_prompt_is_prefix_suffix_middle():
    assert infill_prompt(TOKENS, "ab", "c", max_tokens=99) == [1001, 97, 98, 1002, 99, 1003]


def test_special_tokens_in_text_become_ordinary_text():
    ids = encode_text(TOKENS, "x<P>y<S><M>")
    assert not set(ids) & set(SPECIAL.values())
    assert decode(ids) == "x<P>y<S><M>"


def test_pieces_of_text_without_special_tokens_are_the_text():
    assert neutral_pieces("plain < text >", ["<P>"]) == ["plain < text >"]
    assert neutral_pieces("", ["<P>"]) == []


def test_a_long_prefix_loses_its_first_lines():
    prefix = "".join(f"line {n}\n" for n in range(20))
    ids = infill_prompt(TOKENS, prefix, "", max_tokens=3 + 30)
    assert decode(ids[1:-2]) == "line 17\nline 18\nline 19\n"


def test_a_long_suffix_loses_its_last_lines_and_leaves_three_quarters_to_the_prefix():
    suffix = "".join(f"\nline {n}" for n in range(20))
    ids = infill_prompt(TOKENS, "x" * 30, suffix, max_tokens=3 + 40)
    assert decode(ids[1:31]) == "x" * 30
    assert decode(ids[32:-1]) == "\nline 0"


def test_a_short_prefix_leaves_its_room_to_the_suffix():
    ids = infill_prompt(TOKENS, "ab", "y" * 50, max_tokens=3 + 40)
    assert decode(ids[4:-1]) == "y" * 38


def test_a_line_that_is_too_long_does_not_take_the_others_with_it():
    long_line = "DATA = [" + "1, " * 60 + "]\n"
    ids = infill_prompt(TOKENS, "import os\n" + long_line, "\n" + long_line, max_tokens=3 + 40)
    assert decode(ids[1:31]) == ("import os\n" + long_line)[-30:]
    assert decode(ids[32:-1]) == "\nDATA = [1"


def test_characters_of_several_tokens_do_not_cost_more_lines_than_they_must():
    def bytewise(text):
        return list(text.encode())

    text = "".join(f"# 😋😋😋😋 {n}\n" for n in range(50))
    ids = infill_prompt(replace(TOKENS, encode=bytewise), text, "", max_tokens=3 + 500)
    assert len(ids) > 3 + 500 - 25  # a line has 23 bytes at most


def test_one_line_that_is_too_long_is_cut_inside():
    ids = infill_prompt(TOKENS, "abc" * 50, "", max_tokens=3 + 6)
    assert decode(ids[1:-2]) == "abcabc"


@pytest.mark.parametrize("room", [4, 10, 33, 64])
def test_a_prompt_never_exceeds_its_limit(room):
    text = "".join(f"line {n}\n" for n in range(30))
    assert len(infill_prompt(TOKENS, text, text, max_tokens=room)) <= room


WITH_FILES = replace(TOKENS, repository=1010, file=1011)


def test_files_stand_before_the_prompt_each_behind_its_path():
    ids = infill_prompt(WITH_FILES, "ab", "c", max_tokens=99, context=[("x.py", "X = 1")], path="y.py")
    head = [1010, ord("\n"), 1011, *encode("x.py\nX = 1\n"), 1011, *encode("y.py\n")]
    assert ids == [*head, 1001, 97, 98, 1002, 99, 1003]


def test_without_context_the_prompt_is_as_ever():
    assert infill_prompt(WITH_FILES, "ab", "c", max_tokens=99, path="y.py") == [1001, 97, 98, 1002, 99, 1003]


def test_a_base_that_takes_no_files_gets_none():
    ids = infill_prompt(TOKENS, "ab", "c", max_tokens=99, context=[("x.py", "X = 1")], path="y.py")
    assert ids == [1001, 97, 98, 1002, 99, 1003]


def test_files_take_a_quarter_of_the_room_at_most_and_the_first_come_first():
    files = [("a", "a" * 9), ("b", "b" * 90), ("c", "c" * 9)]
    ids = infill_prompt(WITH_FILES, "x" * 300, "", max_tokens=200, context=files, path="p")
    head = ids[: ids.index(1001)]
    assert decode(head).count("a") == 10 and "b" not in decode(head) and decode(head).count("c") == 10
    assert len(head) <= 50 and len(ids) == 200


def test_special_tokens_in_files_and_paths_become_ordinary_text():
    ids = infill_prompt(WITH_FILES, "ab", "c", max_tokens=199, context=[("<P>.py", "<M>")], path="<S>")
    assert [token for token in ids if token in SPECIAL.values()] == [1001, 1002, 1003]


def test_while_one_types_all_before_the_cursor_stays_the_same():
    files = [("x.py", "X = 1")]
    one = infill_prompt(WITH_FILES, "a = ", "\n", max_tokens=199, context=files, path="y.py")
    two = infill_prompt(WITH_FILES, "a = X", "\n", max_tokens=199, context=files, path="y.py")
    end = one.index(1002)
    assert one[:end] == two[:end] and end == len("..x.py.X = 1..y.py.") + 1 + len("a = ") + 1


def test_an_instruct_prompt_stands_between_head_and_tail():
    assert instruct_prompt(TOKENS, "hi", max_tokens=99) == [1, 2, 104, 105, 3]


def test_the_beginning_of_an_answer_stands_behind_the_tail_and_is_never_cut():
    assert instruct_prompt(TOKENS, "hi", max_tokens=99, begun="A:") == [1, 2, 104, 105, 3, 65, 58]
    assert instruct_prompt(TOKENS, "hi", max_tokens=6, begun="A:") == [1, 2, 105, 3, 65, 58]


def test_a_base_without_infill_tokens_is_refused():
    with pytest.raises(ValueError, match="instruct"):
        infill_prompt(replace(TOKENS, fim_middle=None), "a", "b", max_tokens=9)


def test_half_an_emoji_is_replaced():
    assert clean_text("a\ud83db😋") == "a\ufffdb😋"
