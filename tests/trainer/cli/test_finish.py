"""`trainer lead` and `trainer rank` on the tiny base: what is published, and what is not."""

import json

import pytest

from spa_lsp.adapters.finding import find_set
from spa_lsp.text.ranking import FEATURES
from tests.conftest import TINY_ID
from tests.tiny_serving import install_set
from tests.trainer.cli.running import sentence, trainer, trainer_json
from trainer.evaluate.figures.bootstrap import Interval
from trainer.evaluate.ranker import RankerFigures


@pytest.fixture(autouse=True)
def tiny_set(tiny_base, tiny_peft_adapters):
    """Three random adapters as the imported set `mine`."""
    return install_set("mine", list(tiny_peft_adapters.values())[:3])


# #15
@pytest.mark.parametrize("command", ["lead", "rank"])
def test_help_ends_in_an_example(command):
    assert f"trainer {command} oss-python" in trainer(command, "-h").output


# #15
def test_a_set_is_published_with_its_mean_as_lead():
    (told,) = trainer_json("lead", "mine", "--of", "mean", "--name", "led", "--base", TINY_ID)
    found = find_set("led", TINY_ID)
    assert (found.set_id, found.lead, found.k, found.folder) == (told["set_id"], "lead", 4, None)
    assert 0.3 < told["share"] < 1


# #15
def test_a_set_of_one_adapter_leads_another(tiny_peft_adapters):
    one = install_set("whole", [list(tiny_peft_adapters.values())[3]])
    trainer_json("lead", "mine", "--of", "whole", "--name", "led", "--base", TINY_ID)
    led = find_set("led", TINY_ID)
    assert (led.lead, led.k, led.adapters[3].sha256) == ("lead", 4, one.adapters[0].sha256)


# #15
@pytest.mark.parametrize("named", [[], ["--name", "mine"]])
def test_a_set_that_an_imported_one_would_hide_is_not_published(named):
    said = sentence(trainer("lead", "mine", "--of", "base", *named, "--base", TINY_ID))
    assert said.endswith("an imported set is named mine, and would be served instead; pass another --name")


# #15
def test_an_adapter_that_is_none_is_one_sentence():
    assert "no adapter 'x'" in sentence(trainer("lead", "mine", "--of", "x", "--base", TINY_ID))


@pytest.fixture
def rank(sandbox, tiny_data, monkeypatch):
    """The command on the tiny gaps, where the ranker's worth is as given: two of them would teach it nothing."""

    def run(*options, low):
        worth = Interval(mean=0.2, low=low, high=0.3)
        figures = RankerFigures(
            n_problems=2, n_pairs=9, best=1, today=0, trust=0, ranker=worth, minus_today=worth, minus_trust=worth
        )
        monkeypatch.setattr("trainer.pipeline.finish.measure", lambda ranked, seed: figures)
        monkeypatch.setattr("trainer.pipeline.finish.fit", lambda ranked: [1.0] * len(FEATURES))
        asked = ["mine", "--data", tiny_data, "--base", TINY_ID, "--k", 3, "--quantization", "fp32"]
        return trainer("rank", *asked, "--name", "ranked", *options)

    return run


# #15
def test_a_ranker_that_is_better_is_published_with_the_set(rank):
    result = rank("--json", low=0.1)
    assert result.exit_code == 0, result.output
    found = find_set("ranked", TINY_ID)
    assert found.ranker == json.loads(result.stdout)["weights"] and found.k == 3


# #15
@pytest.mark.parametrize(("options", "is_published"), [((), False), (("--force",), True)])
def test_one_that_is_not_better_is_published_only_by_force(rank, options, is_published):
    result = rank(*options, low=-0.1)
    assert result.exit_code == 0 and ("nothing was published" in result.stdout) != is_published
    assert (trainer("lead", "ranked", "--of", "a1", "--base", TINY_ID).exit_code == 0) == is_published
