"""Where other rows leave the lead, by hand-made choices."""

import math

import pytest

from spa_lsp.text.branching import MAX_PLACES, SLIGHT_NATS, Choice, branches
from spa_lsp.text.site import Site

SPELLED = {
    1: b"a",
    2: b" =",
    3: b" b",
    4: b"\n",
    5: b"# so",
    6: b' """',
    7: b"+",
    8: b"c",
    9: b"",
    10: "é".encode()[:1],
    11: b"a\n",
    12: b" = b",
    13: b" ",
    14: b"// so",
    15: b"/* so",
    16: b'"""\n',
    17: b" +",
    18: b"d",
}


def spell(tokens):
    return b"".join(SPELLED[token] for token in tokens)


def at(**likely):
    """The choices of one place, `t7=0.2`: the token 7 with this probability."""
    return [Choice(token=int(name[1:]), logprob=math.log(p)) for name, p in likely.items()]


def branched(tokens, choices, text=None, n_owed=0, **site):
    taken = [{each.token: each.logprob for each in own} for own in choices]
    logprobs = [own.get(token, 0.0) for token, own in zip(tokens, taken, strict=False)]
    text = spell(tokens) if text is None else text
    found = branches(tokens, logprobs, choices, text=text, n_owed=n_owed, spell=spell, site=Site(**site))
    return [(*tokens[: each.place], each.choice.token) for each in found]


def test_the_likeliest_of_all_untaken_beginnings_come_first():
    """By the probability of all of it: a likely token behind an unlikely one is not likely."""
    choices = [at(t1=0.5, t7=0.3, t8=0.2), at(t2=0.6, t7=0.35), at(t3=0.5, t8=0.45)]
    assert branched([1, 2, 3], choices, suffix="a") == [(7,), (8,), (1, 7), (1, 2, 8)]


# #15
def test_another_word_for_a_name_of_the_leads_own_comes_later():
    """`c` for the `a` that the file has not: most likely only a name is another one."""
    choices = [at(t1=0.5, t8=0.4, t7=0.1), at(t2=0.9, t7=0.05)]
    assert branched([1, 2], choices) == [(7,), (1, 7), (8,)]
    assert branched([1, 2], choices, suffix="a") == [(8,), (7,), (1, 7)]


# #15
def test_nor_does_a_second_new_name_make_another_program_where_one_has_been_taken():
    choices = [at(t1=0.4, t8=0.3, t18=0.2, t7=0.02)]
    assert branched([1], choices, suffix="a") == [(8,), (7,), (18,)]


# #15
def test_an_unlikely_branch_does_not_come_before_a_likely_one_for_that():
    assert branched([1], [at(t1=0.5, t8=0.4, t7=0.4 * math.exp(-SLIGHT_NATS) / 2)]) == [(8,), (7,)]


# #15
def test_the_same_with_other_spaces_is_no_other_program():
    assert branched([1, 7, 8], [at(t1=0.9), at(t7=0.5, t17=0.4), at(t8=0.9, t3=0.05)], suffix="a") == [(1, 7, 3)]


def test_a_text_may_go_on_where_the_lead_ends():
    assert branched([1], [at(t1=0.9), at(t7=0.4)]) == [(1, 7)]


def test_whitespace_comments_and_an_earlier_end_are_no_other_program():
    assert branched([1], [at(t1=0.4, t4=0.2, t5=0.2, t6=0.1), at(t9=0.9)]) == []


@pytest.mark.parametrize(
    ("language", "expected"),
    [("", [14, 15]), ("python", [14, 15]), ("typescript", [5, 6]), ("c", [5, 6]), ("rust", [5, 6]), ("go", [5, 6])],
)
def test_what_is_a_comment_says_the_language(language, expected):
    """`// so` goes on with a division in Python, `# so` with a private field in TypeScript."""
    choices = [at(t1=0.4, t5=0.04, t6=0.03, t14=0.02, t15=0.01)]
    assert branched([1], choices, language=language) == [(token,) for token in expected]


# #15
@pytest.mark.parametrize(("opener", "closer"), [(5, 4), (6, 16)], ids=["comment", "docstring"])
def test_other_words_in_a_comment_of_the_lead_are_no_other_program(opener, closer):
    choices = [at(**{f"t{opener}": 0.9}), at(t8=0.5, t3=0.4), at(**{f"t{closer}": 0.6, "t3": 0.3}), at(t1=0.5, t8=0.4)]
    assert branched([opener, 8, closer, 1], choices) == [(opener, 8, closer, 8)]


# #15
def test_other_words_in_a_string_are():
    assert branched([1, 2, 6, 8], [at(t1=0.9), at(t2=0.9), at(t6=0.9), at(t8=0.5, t1=0.4)]) == [(1, 2, 6, 1)]


# #15
@pytest.mark.parametrize("prefix", ['"""Sum ', "# Sum ", 'print("'])
def test_other_words_where_the_user_has_begun_a_comment_or_a_string_are(prefix):
    """Who stands in one wants them. And it opens nothing there."""
    assert branched([8], [at(t8=0.5, t5=0.4)], prefix=prefix) == [(5,)]


# #15
def test_what_closes_the_docstring_of_the_user_opens_none():
    choices = [at(t4=0.9), at(t16=0.9), at(t1=0.5, t8=0.4)]
    assert branched([4, 16, 1], choices, prefix='def f():\n    """Sum') == [(4, 16, 8)]


def test_half_a_character_can_begin_one():
    assert branched([1], [at(t1=0.4, t10=0.2)]) == [(10,)]


def test_nothing_branches_off_far_behind():
    n = MAX_PLACES + 10
    found = branched([1] * n, [at(t1=0.5, t7=0.5)] * n)
    assert len(found) == MAX_PLACES and max(map(len, found)) == MAX_PLACES


def test_the_same_text_in_other_tokens_is_no_other_program():
    assert branched([11, 2, 3], [at(t11=0.5, t1=0.4), at(t2=0.5, t12=0.4), []]) == []


def test_what_was_cut_off_is_not_left():
    """Behind `a` the line may go on; another line in the place of the one that was cut off is cut off, too."""
    assert branched([1, 4, 8], [at(t1=0.9), at(t4=0.5, t7=0.2), at(t8=0.5, t7=0.4)], text=b"a") == [(1, 7)]
    assert branched([11, 8], [at(t11=0.9), at(t8=0.5, t7=0.4)], text=b"a") == []


def test_a_token_that_ends_the_owed_text_can_be_another_one():
    """What agrees with ` ` is ` =` and ` b`; ` ` alone would have the lead's token behind it."""
    assert branched([2, 3], [at(t2=0.5, t13=0.2, t3=0.1)], n_owed=1) == [(3,)]
