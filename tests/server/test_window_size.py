"""The window fits the machine; a number in the settings is obeyed."""

import pytest

from spa_lsp.server.window_size import MAX_CHARS, MIN_CHARS, window_size
from spa_lsp.settings.schema import Settings


def total(size):
    return size.prefix + size.suffix + size.files + size.diff


def test_a_prompt_is_what_the_machine_reads_in_a_second():
    assert total(window_size(Settings(), 600.0)) == 2160


@pytest.mark.parametrize(("tokens_per_s", "chars"), [(5.0, MIN_CHARS), (1e6, MAX_CHARS), (None, MAX_CHARS)])
def test_the_window_has_bounds(tokens_per_s, chars):
    assert total(window_size(Settings(), tokens_per_s)) == chars


def test_other_files_take_at_most_a_quarter_of_a_small_prefix():
    size = window_size(Settings(context_chars={"files": 1000, "diff": 1000}), 400.0)
    assert (size.prefix, size.suffix, size.files, size.diff) == (810, 360, 135, 135)


def test_numbers_are_obeyed_on_a_slow_machine():
    size = window_size(Settings(prefix_chars=5000, suffix_chars=0), 50.0)
    assert (size.prefix, size.suffix, size.files) == (4000, 0, 1000)


def test_context_leaves_a_small_given_prefix_alone():
    assert window_size(Settings(prefix_chars=600), 50.0).prefix == 600
