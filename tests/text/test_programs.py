"""Which of several texts at one cursor make other programs. (#15)"""

import pytest

from spa_lsp.text.programs import Programs, program_at
from spa_lsp.text.site import Site

SITE = Site(prefix="def total(items):\n    ", suffix="\n    return amount\n", language="python")


def test_a_program_that_is_there_already_is_no_other_one():
    programs = Programs(SITE, "amount = sum(items)")
    found = [programs.add(text) for text in ("amount=sum( items )", "amount = len(items)", "amount = len( items)")]
    assert found == [False, True, False]


@pytest.mark.parametrize("text", ["", "   ", "\n\n", ")"])
def test_nothing_to_insert_is_none(text):
    assert not Programs(SITE, "amount = sum(items)").add(text)


def test_broken_syntax_is_none_where_the_first_one_is_sound():
    programs = Programs(SITE, "amount = sum(items)")
    assert not programs.add("amount = = 0")
    assert Programs(SITE, "amount = (").add("amount = = 0")


def test_where_nothing_parses_broken_syntax_is_a_program_too():
    around = Site(prefix="def total(items:\n    ", suffix="", language="python")
    programs = Programs(around, "amount = 0")
    assert [programs.add(text) for text in ("amount = 1", "amount = 1")] == [True, False]


def test_half_a_last_line_does_not_count_when_the_length_ended_it():
    programs = Programs(SITE, "amount = 0\n    for i in it", is_open=True)
    assert not programs.add("amount = 0")
    assert not programs.add("amount = 0\n    while Tr", is_open=True)


def test_a_program_is_the_text_that_an_editor_inserts_and_what_that_replaces():
    call = Site(prefix="print(tot", suffix=")", language="python")
    program = program_at("al(items))", call)
    assert (program.text, program.n_replaced) == ("al(items)", 0)
    assert program.form == program_at("al( items)", call).form


@pytest.mark.parametrize("line", ["total = 0\n", "def f(x):\n    return x\n\n\n"])
def test_of_a_long_text_what_is_near_the_cursor_is_enough(line):
    long = Site(prefix=line * 500 + SITE.prefix, suffix=SITE.suffix + line * 500, language="python")
    programs = Programs(long, "amount = sum(items)")
    found = [programs.add(text) for text in ("amount=sum( items )", "amount = = 0", "amount = len(items)")]
    assert found == [False, False, True]


def test_a_long_line_is_no_reason_to_fail():
    long = Site(prefix="x = " + "1 + " * 2000, suffix=" + 1" * 2000, language="python")
    programs = Programs(long, "a")
    assert [programs.add("b"), programs.add("a")] == [True, False]
