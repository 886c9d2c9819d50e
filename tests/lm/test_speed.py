"""How fast prompts are said to be, learned from what reading them took."""

import pytest

from spa_lsp.lm.speed import PromptSpeed


def learned(*seconds, n_tokens=200):
    """What is said after prompts that took this long, first measured as 100 tokens/s."""
    speed = PromptSpeed(100.0)
    for each in seconds:
        speed.learn(n_tokens, each)
    return speed.tokens_per_s


# #12
def test_the_figure_falls_while_the_machine_is_under_load_and_rises_again_behind_it():
    under_load = learned(*[8.0] * 12)
    assert under_load == pytest.approx(25.0, rel=0.25)
    assert learned(*[8.0] * 12, *[2.0] * 12) == pytest.approx(100.0, rel=0.25)


# #12
def test_a_measurement_on_a_busy_machine_is_outgrown():
    assert learned(*[0.2] * 12) == pytest.approx(1000.0, rel=0.25)


# #12
def test_a_figure_that_is_about_right_stays():
    assert learned(2.2, 1.9, 2.3, 1.8, 2.1) == 100.0


# #12
def test_a_few_tokens_say_nothing():
    assert learned(*[8.0] * 12, n_tokens=99) == 100.0


# #12
def test_one_prompt_that_took_an_hour_is_only_a_slow_one():
    assert learned(3600.0) == learned(8.0) == pytest.approx(77.5)


# #12
def test_without_a_measurement_the_first_prompt_is_believed():
    speed = PromptSpeed()
    speed.learn(200, 4.0)
    assert speed.tokens_per_s == 50.0
