"""For the benchmark only: what PEFT makes of the same adapters, and what the times should be read against."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.peft_folder import write_peft_folder
from spa_lsp.adapters.reading import read_adapter
from spa_lsp.errors import Unavailable
from spa_lsp.lm.load import load_base


def device_name(device: str) -> str:
    """What the figures should be read against, and how many threads a processor uses."""
    return torch.cuda.get_device_name() if device == "cuda" else f"cpu, {n_threads()} threads"


def n_threads() -> int:
    """How many threads our products use."""
    return torch.get_num_threads()


class PeftRival:
    """PEFT's `generate(adapter_names=...)`: one row per adapter, and one copy of the prompt per row."""

    def __init__(self, adapter_set: AdapterSet, quantization: str, *, device: str, k: int) -> None:
        """Load the base again, for the set's first k adapters.

        Raises:
            Unavailable: PEFT is not installed.
        """
        try:
            from peft import PeftModel
        except ImportError as error:
            raise Unavailable(f"PEFT is not usable ({error}); run: pip install peft") from error
        self._names = [info.name for info in adapter_set.adapters][:k]
        # it wraps plain linears: `is_training` gives it those instead of our int8 on a CPU
        self._base = load_base(adapter_set.base_id, quantization=quantization, device=device, is_training=True)
        self._base.model.set_attn_implementation("sdpa")  # ours is for ours
        with TemporaryDirectory() as parent:
            folder = Path(parent)
            # acting everywhere, which PEFT batches with the least work: its aLoRA looks for tokens and masks rows
            everywhere = replace(adapter_set, activation="all")
            for name in self._names:
                write_peft_folder(folder / name, everywhere, read_adapter(adapter_set, name))
            first, *others = self._names
            # in the base's own precision, as ours: PEFT would otherwise compute the adapters in float32
            self._model: Any = PeftModel.from_pretrained(
                self._base.model, str(folder / first), adapter_name=first, autocast_adapter_dtype=False
            )
            for name in others:
                self._model.load_adapter(str(folder / name), adapter_name=name, autocast_adapter_dtype=False)
        self._model.eval()

    def time_ms(self, prompt: Sequence[int], n_new: int) -> float:
        """Milliseconds until every adapter has `n_new` tokens."""
        ids = torch.tensor([list(prompt)] * len(self._names), device=self._base.device)
        started = time.perf_counter()
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                adapter_names=self._names,
                max_new_tokens=n_new,
                min_new_tokens=n_new,
                do_sample=False,
                pad_token_id=self._base.end_id,
            )
        assert output.shape[1] == len(prompt) + n_new
        return (time.perf_counter() - started) * 1000
