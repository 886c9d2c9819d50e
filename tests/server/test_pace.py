"""A request waits for a pause while keys come faster than answers."""

import pytest

from spa_lsp.server.pace import MAX_WAIT_S, MIN_WAIT_S, Pace


def typed(gap_s, n_keys=20, answer_s=None):
    """The pace of a user with this time between two keys, on a machine that answers in `answer_s`."""
    pace = Pace()
    for n in range(n_keys):
        pace.key(n * gap_s)
    if answer_s is not None:
        pace.answered(answer_s)
    return pace


def test_the_wait_is_a_little_longer_than_most_of_the_users_pauses_between_keys():
    pace = Pace()
    at = 0.0
    for gap in [0.1] * 15 + [0.2] * 4 + [0.9]:
        pace.key(at := at + gap)
    pace.answered(1.0)
    assert pace.wait_s == pytest.approx(0.2)


def test_nobody_waits_where_the_machine_answers_before_the_next_key():
    assert typed(0.15, answer_s=0.1).wait_s == 0


def test_the_wait_has_bounds():
    assert (typed(0.01, answer_s=1.0).wait_s, typed(1.5, answer_s=2.0).wait_s) == (MIN_WAIT_S, MAX_WAIT_S)


def test_a_long_pause_says_nothing_of_the_pace():
    pace = typed(0.1, answer_s=1.0)
    before = pace.wait_s
    pace.key(1e6)
    assert pace.wait_s == before


def test_a_few_keys_say_nothing():
    assert typed(0.25, n_keys=3, answer_s=1.0).wait_s == MIN_WAIT_S


def test_the_machines_time_follows_slowly():
    pace = typed(0.15, answer_s=0.1)
    pace.answered(0.2)
    assert pace.wait_s == 0  # one slow answer is none
    for _ in range(10):
        pace.answered(0.4)
    assert pace.wait_s > 0
