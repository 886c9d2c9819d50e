from dataclasses import fields

import pytest

from spa_lsp.settings import Settings, read_settings


def test_without_options_all_is_default():
    assert read_settings(None) == (Settings(), []) == read_settings({})


def test_names_may_be_written_both_ways():
    settings, complaints = read_settings({"maxTokens": 9, "adapter_set": "mine"})
    assert (settings.max_tokens, settings.adapter_set, complaints) == (9, "mine", [])


def test_a_list_becomes_a_tuple():
    assert read_settings({"disabledLanguages": ["markdown"]})[0].disabled_languages == ("markdown",)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("base", ""),
        ("base", 3),
        ("adapterSet", ["a"]),
        ("quantization", "nf3"),
        ("alternatives", 0),
        ("alternatives", True),
        ("maxTokens", 1e3),
        ("maxTokens", "64"),
        ("deadlineS", 0),
        ("deadlineS", float("nan")),
        ("stop", None),
        ("prefixChars", 10),
        ("suffixChars", -1),
        ("disabledLanguages", "markdown"),
        ("disabledLanguages", [1]),
        ("recordOutcomes", "yes"),
        ("engineIdleS", 0),
    ],
)
def test_a_value_that_cannot_be_used_is_reported_and_the_rest_kept(key, value):
    settings, complaints = read_settings({key: value, "stop": "single"} if key != "stop" else {key: value})
    assert settings == (Settings(stop="single") if key != "stop" else Settings())
    assert len(complaints) == 1 and repr(key) in complaints[0] and "is kept" in complaints[0]


def test_an_unknown_key_is_reported_with_the_known_ones():
    settings, (complaint,) = read_settings({"maxToken": 9})
    assert settings == Settings() and "'maxToken'" in complaint and "maxTokens" in complaint


@pytest.mark.parametrize("options", [[], "x", 3])
def test_options_of_another_kind_are_reported(options):
    settings, complaints = read_settings(options)
    assert settings == Settings() and len(complaints) == 1


def test_there_are_few_settings():
    assert len(fields(Settings)) <= 20
