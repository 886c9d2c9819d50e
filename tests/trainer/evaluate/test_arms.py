import pytest

from spa_lsp.errors import BadInput
from tests.tiny_set import make_set
from trainer.evaluate.arms import ARMS, pairs, parse_arms


def asked(text, **options):
    return [(entry.label, entry.n_rows, entry.temperature) for entry in parse_arms(text, **{"k": 8} | options)]


def test_every_arm_of_the_table_can_be_asked_for():
    assert [entry.arm for entry in parse_arms(",".join(arm.name for arm in ARMS), k=4)] == list(ARMS)


def test_one_model_that_decodes_greedily_gives_one_row():
    assert asked("base, base@0.2,single,single@0,influence") == [
        ("base", 1, 0),
        ("base@0.2", 8, 0.2),
        ("single@0.1", 8, 0.1),
        ("single", 1, 0),
        ("influence", 8, 0),
    ]


def test_the_temperature_is_for_arms_that_name_none():
    assert asked("base,random@0.2", temperature=0.5) == [("base@0.5", 8, 0.5), ("random@0.2", 8, 0.2)]


def test_a_set_may_be_named():
    (entry,) = parse_arms("influence=my-set@0.3", k=2)
    assert (entry.arm.name, entry.set_name, entry.label) == ("influence", "my-set", "influence=my-set@0.3")


# #15
def test_a_set_is_served_at_its_own_temperature():
    (entry,) = parse_arms("influence=my-set@served", k=2)
    assert entry.label == "influence=my-set@served"
    assert entry.with_set(make_set(temperature=0.6)).temperature == 0.6


def test_the_base_is_served_at_the_temperature_that_editors_get_it_at():
    (entry,) = parse_arms("base@served", k=8)
    assert (entry.label, entry.temperature, entry.n_rows) == ("base@served", 0.8, 8)


# #15
def test_a_single_adapter_is_served_in_several_rows_at_its_own_temperature():
    (entry,) = parse_arms("single=my-set@served", k=8)
    assert (entry.label, entry.n_rows) == ("single=my-set@served", 8)
    assert entry.with_set(make_set(temperature=0.6)).temperature == 0.6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "magic",
            "unknown arm 'magic'; choose from base, single, random, lexical, influence, kmeans, solutions, seeds",
        ),
        ("base@hot", "unknown arm 'base@hot'"),
        ("base,base", "arm 'base' comes twice"),
        ("single,single@0.1", "'single@0.1' comes twice"),
        (" , ", "names no arm"),
        ("base=my-set", "the base has no adapter set"),
        ("base@11", "arm 'base@11': temperature 11.0 is neither 0 nor between 0.01 and 2"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, words):
    with pytest.raises(BadInput, match=words):
        parse_arms(text, k=8)


def test_a_negative_temperature_is_refused():
    with pytest.raises(BadInput, match="neither 0 nor between"):
        parse_arms("base", k=8, temperature=-1)


def test_every_two_entries_are_compared_once():
    found = [(first.label, second.label) for first, second in pairs(parse_arms("base,random,seeds", k=2))]
    assert found == [("random", "base"), ("seeds", "base"), ("seeds", "random")]
