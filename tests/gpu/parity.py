"""Our rows beside PEFT in the same precision, on any device: PEFT reads what a row wrote and says what it thinks of it.

Two products that round otherwise may choose otherwise where two tokens are as good as equal, and then all that follows
differs. So no texts are compared: every token of a row must be as good as the likeliest one in PEFT's eyes, too.
"""

from dataclasses import dataclass

import torch
from safetensors.torch import load_file

from spa_lsp.lm.attention import KeyValues
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.decode import RowRules, decode, new_rows
from spa_lsp.lm.load import load_base
from spa_lsp.lm.prefix_cache import PrefixCache, prefill
from spa_lsp.text.site import Site
from spa_lsp.text.stopping import make_cut
from tests.conftest import TINY_ID

N_TOKENS = 16
SCALING = 2.0  # alpha 8 / rank 4, as `make_peft_adapter` has them


@dataclass(frozen=True)
class Difference:
    """Nats, the largest of all tokens of all rows."""

    to_likeliest: float  # by which PEFT finds another token better
    of_logprobs: float  # between our logprob of a token and PEFT's
    rows: tuple[tuple[int, ...], ...]


def compare(peft_folders, *, quantization, device):
    """Decode greedily under every adapter at once, and have PEFT read it, one adapter at a time."""
    base = load_base(TINY_ID, quantization=quantization, device=device, is_training=True)
    prompt = base.prompt.encode("def add(a, b):\n    return a + ")
    adapters = [load_file(folder / "adapter_model.safetensors") for folder in peft_folders]
    rows = _our_rows(base, adapters, prompt)
    # a base of its own: PEFT cannot wrap nf4 linears that bitsandbytes has packed for a processor in their first run
    other = load_base(TINY_ID, quantization=quantization, device=device, is_training=True)
    read = _peft_logprobs(other, peft_folders, prompt, [row.ids for row in rows])
    tokens = torch.tensor([row.ids for row in rows])
    theirs = read.gather(-1, tokens[..., None])[..., 0]  # [K, T]
    ours = torch.tensor([row.logprobs for row in rows])
    return Difference(
        to_likeliest=float((read.max(-1).values - theirs).max()),
        of_logprobs=float((ours - theirs).abs().max()),
        rows=tuple(tuple(row.ids) for row in rows),
    )


def _our_rows(base, adapters, prompt):
    n_layers = base.model.config.num_hidden_layers
    bank = AdapterBank(base.model, dtype=base.dtype, device=base.device)
    bank.load(adapters, [SCALING] * len(adapters))
    rules = RowRules(max_tokens=N_TOKENS, cut=make_cut("none", "infill", Site()))
    unstoppable = type(base)(**{**vars(base), "stop_ids": frozenset()})
    rows = new_rows(range(len(adapters)), rules, prompt[-1])
    with torch.inference_mode():
        entry = PrefixCache(n_layers).entry_for(prompt[:-1])
        assert prefill(base, entry, prompt[:-1])
        key_values = KeyValues(n_layers, prefix=entry.key_values, capacity=4)
        with bank.on():
            for _ in decode(unstoppable, rows, key_values, keep_rows=bank.select, is_over=lambda: False):
                pass
    return rows


def _peft_logprobs(base, folders, prompt, written):
    """What PEFT thinks at every place of every row, `[K, T, V]`, adapters off on the prompt as in serving."""
    from peft import PeftModel
    from transformers import DynamicCache

    base.model.set_attn_implementation("sdpa")
    kwargs = {"autocast_adapter_dtype": False}
    model = PeftModel.from_pretrained(base.model, str(folders[0]), adapter_name="0", **kwargs).eval()
    for n, folder in enumerate(folders[1:], 1):
        model.load_adapter(str(folder), adapter_name=str(n), **kwargs)
    found = []
    with torch.inference_mode():
        for n, ids in enumerate(written):
            model.set_adapter(str(n))
            cache = DynamicCache()
            with model.disable_adapter():
                model(input_ids=_ids(prompt[:-1], base), past_key_values=cache, use_cache=True)
            output = model(input_ids=_ids([prompt[-1], *ids[:-1]], base), past_key_values=cache, use_cache=True)
            found.append(output.logits[0].float().log_softmax(-1).cpu())
    return torch.stack(found)


def _ids(tokens, base):
    return torch.tensor([list(tokens)], device=base.device)
