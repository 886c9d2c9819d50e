"""A set as folders that PEFT reads: the configuration that makes PEFT do as we serve, and what must be said besides.

Our adapters act from the prompt's last token on, in every layout. PEFT finds that place by a token (aLoRA): from the
last such token of the prompt on, and nowhere in a prompt that has none.
"""

import json
from pathlib import Path

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.bases.catalog import Base, find_base, installed_base
from spa_lsp.completion import TOP_P
from spa_lsp.storage.private_files import write_private_file

_NOTE_BEGINS = "\n<!-- written by spa-lsp adapters export --peft -->\n## In PEFT\n\n"


def write_peft_folder(folder: Path, adapter_set: AdapterSet, adapter: bytes) -> None:
    """Make the folder that `PeftModel.from_pretrained` takes for one adapter of the set.

    Raises:
        NotFound: the base is not in the catalog, or not on this machine where its tokenizer is needed.
    """
    config = json.dumps(_config(adapter_set, find_base(adapter_set.base_id)), indent=2)
    folder.mkdir(mode=0o700, parents=True)
    write_private_file(folder / "adapter_config.json", f"{config}\n".encode())
    write_private_file(folder / "adapter_model.safetensors", adapter)


def with_note(card: str | None, adapter_set: AdapterSet) -> str:
    """The card of a set, followed by how PEFT makes it answer as it is served, and by what PEFT cannot be told.

    Raises:
        NotFound: the catalog does not have the base.
    """
    return f"{without_note(card) or ''}{_NOTE_BEGINS}{_note(adapter_set, find_base(adapter_set.base_id))}"


def without_note(card: str | None) -> str | None:
    """The card as it was before `with_note`."""
    return (card or "").partition(_NOTE_BEGINS)[0] or None


def _config(adapter_set: AdapterSet, base: Base) -> dict[str, object]:
    config: dict[str, object] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.repo,
        "revision": base.revision,
        "r": adapter_set.rank,
        "lora_alpha": adapter_set.alpha,
        "target_modules": list(adapter_set.target_modules),
        "bias": "none",
        "lora_dropout": 0.0,
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    if adapter_set.activation == "completion":
        config["alora_invocation_tokens"] = _last_token(_before_completion(adapter_set, base), base)
    return config


def _before_completion(adapter_set: AdapterSet, base: Base) -> str:
    """The text that ends a prompt; PEFT can be told of one layout alone, and an infilling's token is its own."""
    if base.infill and "infill" in adapter_set.layouts:
        return base.infill.middle
    return base.instruct.partition("{instruction}")[2]


def _last_token(text: str, base: Base) -> list[int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(installed_base(base).folder / "tokenizer.json"))
    return list(tokenizer.encode(text, add_special_tokens=False).ids[-1:])


def _note(adapter_set: AdapterSet, base: Base) -> str:
    file = f', gguf_file="{base.file}"' if base.format == "gguf" else ""
    name = adapter_set.adapters[0].name
    served = f"sampled at {adapter_set.temperature:g} with top-p {TOP_P}" if adapter_set.temperature else "greedily"
    return f"""Each adapter has a folder of its own. These are the weights it was trained on:

```python
base = AutoModelForCausalLM.from_pretrained("{base.repo}", revision="{base.revision}"{file})
model = PeftModel.from_pretrained(base, "{name}")
```

{_where_it_acts(adapter_set, base)}

PEFT cannot be told the rest: spa-lsp serves these adapters {served}, ends a completion at {len(base.stop_tokens)} stop
tokens (`eos_token_id` of `generate`) and where the code around the cursor goes on, and takes a half-typed word before
the cursor back.
"""


def _where_it_acts(adapter_set: AdapterSet, base: Base) -> str:
    if adapter_set.activation == "all":
        return "The adapters act on the whole prompt, as PEFT does by itself."
    ends = _before_completion(adapter_set, base).encode("unicode_escape").decode()
    layout = "an infilling" if base.infill and ends == base.infill.middle else "a chat turn"
    return f"""The adapters act from the prompt's last token on; what stands before is computed by the base alone. PEFT
(0.21 or newer) does so by itself for {layout} whose prompt ends with `{ends}` (`alora_invocation_tokens`).
Of other prompts its configuration can say nothing: one of another layout, or one with a part of the answer at its end,
is answered otherwise, or by the base alone. Pass `alora_offsets=[1]` to `generate` there, a 1 for each prompt."""
