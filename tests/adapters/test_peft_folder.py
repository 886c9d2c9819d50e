"""An exported set in PEFT's own hands: the same greedy text, the real base, and a card that says the rest."""

import json
from dataclasses import replace

import pytest

from spa_lsp.adapters.reading import CARD_NAME, read_card
from spa_lsp.adapters.transfer import export_set, import_set
from spa_lsp.bases.catalog import find_base
from spa_lsp.completion import CompletionRequest
from spa_lsp.errors import NotFound
from tests.conftest import TINY_ID
from tests.tiny_serving import install_set

INFILL = CompletionRequest(
    prefix="def add(a, b):\n", suffix="\n\nprint(add(1, 2))\n", max_tokens=24, stop="none", temperature=0.0
)
INSTRUCT = replace(INFILL, layout="instruct", prefix="Add two numbers.", suffix="")


@pytest.fixture
def served(tiny_base, tiny_peft_adapters):
    """Three adapters of the tiny base that act on the completion, in both layouts."""
    return replace(install_set("mine", list(tiny_peft_adapters.values())[:3]), layouts=("infill", "instruct"))


@pytest.fixture
def exported(served, tmp_path):
    export_set(served, tmp_path / "out", is_peft=True)
    return tmp_path / "out"


@pytest.fixture
def completer(served):
    from spa_lsp.lm.completer import LocalCompleter

    return LocalCompleter.load(TINY_ID, adapter_set=served, quantization="fp32")


def ours(completer, request):
    return {each.adapter: each.text for each in completer.complete(request).alternatives}


def in_peft(completer, folder, request, **options):
    """The greedy texts that PEFT gives for the same prompt, by adapter."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from spa_lsp import paths
    from spa_lsp.lm.decode import HALF_CHARACTER
    from spa_lsp.lm.request_plan import prompt_of

    prompt = torch.tensor([prompt_of(request, completer.base).tokens])
    base = AutoModelForCausalLM.from_pretrained(paths.bases_dir() / TINY_ID, dtype=torch.float32)
    stops = {"eos_token_id": sorted(completer.base.stop_ids), "pad_token_id": 0, "do_sample": False}
    names = [info.name for info in completer.adapter_set.adapters]
    model = PeftModel.from_pretrained(base, str(folder / names[0]), adapter_name=names[0]).eval()
    texts = {}
    for name in names:
        if name not in model.peft_config:
            model.load_adapter(str(folder / name), adapter_name=name)
        model.set_adapter(name)
        written = model.generate(input_ids=prompt, max_new_tokens=request.max_tokens, **stops, **options)
        ids = [token for token in written[0, prompt.shape[1] :].tolist() if token not in completer.base.stop_ids]
        texts[name] = completer.base.decode(ids).rstrip(HALF_CHARACTER)  # as ours where it ends by its length
    return texts


def config_of(folder, name="a1"):
    return json.loads((folder / name / "adapter_config.json").read_text())


# #13
def test_peft_writes_the_text_of_every_adapter_for_an_infilling(completer, exported):
    expected = ours(completer, INFILL)
    assert len(set(expected.values())) == 3
    assert in_peft(completer, exported, INFILL) == expected


# #13
def test_peft_writes_the_same_answer_to_a_chat_turn_when_it_is_asked_as_the_card_says(completer, exported):
    assert in_peft(completer, exported, INSTRUCT, alora_offsets=[1]) == ours(completer, INSTRUCT)


# #13
def test_peft_writes_the_same_behind_what_is_begun_when_it_is_asked_as_the_card_says(completer, exported):
    begun = replace(INFILL, begun="    if a:\n")
    assert in_peft(completer, exported, begun, alora_offsets=[1]) == ours(completer, begun)


# #13
def test_a_set_of_chat_turns_alone_acts_from_the_last_token_of_the_turn(served, tmp_path):
    from spa_lsp.lm.completer import LocalCompleter

    chat = replace(served, layouts=("instruct",))
    export_set(chat, tmp_path / "chat", is_peft=True)
    completer = LocalCompleter.load(TINY_ID, adapter_set=chat, quantization="fp32")
    assert in_peft(completer, tmp_path / "chat", INSTRUCT) == ours(completer, INSTRUCT)


# #13
def test_the_base_is_named_as_the_hub_names_it(exported):
    base, config = find_base(TINY_ID), config_of(exported)
    assert (config["base_model_name_or_path"], config["revision"]) == (base.repo, base.revision)


# #13
def test_the_card_says_what_peft_cannot_be_told(exported):
    card = (exported / CARD_NAME).read_text()
    assert "`<|fim_middle|>`" in card and "alora_offsets=[1]" in card and 'gguf_file="tiny.gguf"' in card


# #13
def test_without_the_base_there_is_no_token_to_name_and_nothing_is_written(served, tiny_base, tmp_path):
    tiny_base.unlink()
    with pytest.raises(NotFound, match=f"models pull {TINY_ID}"):
        export_set(served, tmp_path / "out", is_peft=True)
    assert not (tmp_path / "out").exists()


# #13
def test_what_peft_was_given_is_the_same_set_when_it_comes_back(served, exported):
    (card := served.folder / CARD_NAME).write_text("# mine\n\nMade here.\n")
    export_set(served, exported.parent / "again", is_peft=True)
    back = import_set(exported.parent / "again", name="mine", is_replacing=True)
    assert back.set_id == served.set_id
    assert read_card(back) == "# mine\n\nMade here.\n" == card.read_text()
