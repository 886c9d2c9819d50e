"""What sets a part apart. (#14)"""

from trainer.pipeline.explain import Mean, telling_means, telling_words


def samples(*texts):
    return [frozenset(text.split()) for text in texts]


def test_words_of_one_part_only_are_telling_and_common_ones_are_not():
    loops = samples(*["def while total"] * 6)
    recursion = samples(*["def return itself"] * 6)
    found = telling_words({0: loops, 1: recursion})
    assert found == {0: ["total", "while"], 1: ["itself", "return"]}


def test_equal_parts_have_no_telling_word():
    assert telling_words({0: samples("a b", "a c"), 1: samples("a b", "a c")}) == {0: [], 1: []}


def test_a_word_of_a_single_sample_says_nothing_about_a_part():
    assert telling_words({0: samples("once x", "x"), 1: samples("x", "x")})[0] == []


def test_one_part_has_nothing_to_be_told_from():
    assert telling_words({0: samples("a", "a")}) == {0: []}


def test_the_means_of_a_part_come_with_their_shares_here_and_elsewhere():
    means = telling_means({0: samples(*["for table"] * 4, "set"), 1: samples(*["set"] * 4, "for")})
    assert means[0][0] == Mean(name="table", share=0.8, share_elsewhere=0.0)
