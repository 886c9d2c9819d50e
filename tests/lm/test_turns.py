"""Who is decoded when, and who tries again; the tokens are letters. (#15)"""

from dataclasses import replace

import pytest

from spa_lsp.adapters.row_plan import RowPlan
from spa_lsp.lm.decode import RowRules
from spa_lsp.lm.turns import Turns
from spa_lsp.text.branching import Choice
from spa_lsp.text.site import Site

PLAN = RowPlan(adapters=(), n_rows=3, is_shared=True, has_lead=True)
SITE = Site(prefix="x = ", suffix="\n", language="python")


class Letters:
    """A vocabulary in which a token is a letter."""

    def spell(self, tokens):
        return bytes(tokens)


def turns_of(plan=PLAN, site=SITE, **options):
    rules = RowRules(max_tokens=8, cut=lambda text: None, temperature=0.8, site=site)
    return Turns(plan, rules, Letters(), last_token=0, **{"may_try_again": True, **options})


def end(turns, place, text, finish="stop"):
    """Let a row have written this; whether it is to be told."""
    row = turns.rows[place]
    assert text.encode().startswith(bytes(row.beginning))
    row.text, row.finish, row.ids = text, finish, list(text.encode())
    row.logprobs = [-0.1] * len(row.ids)
    return turns.note_end(row)


def lead(turns, text="a+b", others="cdefgh"):
    """Let the lead have written this, in whose first place other letters could stand."""
    row = turns.rows[0]
    row.choices = [[Choice(token=ord(each), logprob=-1.0 - n) for n, each in enumerate(others)]]
    return end(turns, 0, text)


def led(turns, **options):
    """The turns whose lead has ended, so that the others have begun."""
    turns.next()
    lead(turns, **options)
    turns.next()
    return turns


def test_the_lead_goes_first_and_the_others_begin_otherwise():
    turns = turns_of()
    assert turns.next() == [0] and lead(turns)
    assert turns.next() == [1, 2]
    assert [bytes(row.beginning) for row in turns.rows[1:]] == [b"c", b"d"]
    assert end(turns, 1, "c") and end(turns, 2, "d")
    assert turns.next() == []


@pytest.mark.parametrize("again", ["c", "c ", "c # so", "(c)"])
def test_who_repeats_another_takes_the_next_branch(again):
    turns = led(turns_of(replace(PLAN, n_rows=4)))
    turns.rows[2].beginning = turns.rows[3].beginning = ()  # as if a branch had led back
    assert end(turns, 1, "c") and not end(turns, 2, again) and not end(turns, 3, "a+b")
    assert turns.n_waiting == 2
    assert turns.next() == [2, 3]
    assert [bytes(turns.rows[place].beginning) for place in (2, 3)] == [b"f", b"g"]
    assert end(turns, 2, "f") and end(turns, 3, "g")
    assert turns.next() == [] and [row.text for row in turns.rows] == ["a+b", "c", "f", "g"]


def test_whole_lines_in_front_of_a_line_are_told_apart_whole():
    """The line behind the cursor is no rest of theirs."""
    turns = led(turns_of(site=Site(prefix="x = 0\n", suffix="print(x)\n", language="python")), text="a()\nb()\n")
    turns.rows[1].beginning = turns.rows[2].beginning = ()  # as if the branch were in the second line
    assert end(turns, 1, "a()\nc()\n") and end(turns, 2, "a()\nd()\n")
    assert turns.next() == []


def test_what_was_said_first_stays_where_the_second_try_brings_nothing():
    turns = led(turns_of())
    assert end(turns, 1, "c") and not end(turns, 2, "d = = 1")
    assert turns.next() == [2]
    assert not end(turns, 2, "e = = 1")
    assert turns.next() == [] and turns.rows[2].text == "d = = 1"


def test_a_second_try_that_a_deadline_ends_is_dropped():
    turns = led(turns_of())
    assert end(turns, 1, "c") and not end(turns, 2, "d = = 1")
    assert turns.next() == [2]
    assert not end(turns, 2, "e", finish=None)
    assert turns.next() == [] and turns.rows[2].text == "d = = 1"


def test_who_is_cut_by_a_deadline_is_told_and_does_not_try_again():
    turns = led(turns_of())
    assert end(turns, 1, "c", finish=None) and end(turns, 2, "d", finish=None)
    assert turns.next() == []


def test_where_no_branch_is_left_nobody_may_try_again():
    turns = led(turns_of(), others="cd")
    assert end(turns, 1, "c") and not end(turns, 2, "d = = 1")
    assert turns.next() == []


def test_who_may_not_try_again_is_told_whatever_it_says():
    turns = led(turns_of(may_try_again=False))
    assert end(turns, 1, "c") and end(turns, 2, "d = = 1")
    assert turns.next() == []


def test_rows_that_follow_a_lead_told_before_try_again_too():
    before, turns = turns_of(), turns_of(replace(PLAN, n_rows=2, has_lead=False))
    before.next()
    lead(before)
    turns.follow(before.rows[0])
    assert turns.next() == [0, 1]
    assert end(turns, 0, "c") and not end(turns, 1, "d = = 1")
    assert turns.next() == [1] and bytes(turns.rows[1].beginning) == b"e"


def test_without_a_lead_all_go_at_once():
    turns = turns_of(replace(PLAN, has_lead=False))
    assert turns.next() == [0, 1, 2]
    assert all(end(turns, place, "c") for place in range(3))
    assert turns.next() == []


def test_a_second_try_leaves_the_branches_of_adapters_that_may_be_asked_later():
    turns = led(turns_of(RowPlan(adapters=(0, 2), n_rows=2, is_shared=True, has_lead=True, set_size=4)))
    assert bytes(turns.rows[1].beginning) == b"d"  # the third adapter's own
    assert not end(turns, 1, "d = = 1")
    assert turns.next() == [1] and bytes(turns.rows[1].beginning) == b"f"
