"""For the benchmark only: what others make of the same adapters or base, PEFT's mixed batch and llama.cpp's samples."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.transfer import export_set
from spa_lsp.errors import Unavailable
from spa_lsp.lm.load import load_base

_SAMPLED_TOP_K = 40  # llama.cpp's own defaults
_SAMPLED_TEMPERATURE = 0.8


def device_name(device: str) -> str:
    """What the figures should be read against, and how many threads a processor uses."""
    return torch.cuda.get_device_name() if device == "cuda" else f"cpu, {torch.get_num_threads()} threads"


class PeftRival:
    """PEFT's `generate(adapter_names=...)`: one row per adapter, and one copy of the prompt per row."""

    def __init__(self, base_id: str, adapter_set: AdapterSet, quantization: str) -> None:
        from peft import PeftModel

        self._names = [info.name for info in adapter_set.adapters]
        self._base = load_base(base_id, quantization=quantization, is_training=True)
        self._base.model.set_attn_implementation("sdpa")  # ours is for ours
        with TemporaryDirectory() as parent:
            folder = Path(parent) / "set"
            export_set(adapter_set, folder, is_peft=True)
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


class LlamaCppRival:
    """llama.cpp: k samples of the base in one batch, over one prompt whose keys and values they share."""

    def __init__(self, gguf: Path, *, n_rows: int, n_context: int) -> None:
        """Load the weights.

        Raises:
            Unavailable: llama-cpp-python is not here, lacks what is needed, or cannot read the file.
        """
        self._cpp = cpp = _import_llama_cpp()
        self._n_rows = n_rows
        cpp.llama_backend_init()
        self._model = cpp.llama_model_load_from_file(str(gguf).encode(), cpp.llama_model_default_params())
        parameters = cpp.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = n_context
        parameters.n_seq_max = n_rows
        parameters.kv_unified = True  # one prefix for all rows, not a copy for each
        parameters.n_threads = parameters.n_threads_batch = torch.get_num_threads()
        self._context = cpp.llama_init_from_model(self._model, parameters) if self._model else None
        if not self._context:
            raise Unavailable(f"llama.cpp cannot load {gguf}; run: spa-lsp models pull --force")
        self._memory = cpp.llama_get_memory(self._context)
        self._batch = cpp.llama_batch_init(n_context, 0, 1)
        self._samplers = [self._sampler(seed) for seed in range(n_rows)]

    def time_ms(self, prompt: Sequence[int], n_new: int) -> tuple[float, float]:
        """Milliseconds of the one prefill, and of `n_new` steps of all rows."""
        cpp = self._cpp
        cpp.llama_memory_clear(self._memory, True)
        started = time.perf_counter()
        self._run([(token, position, 0) for position, token in enumerate(prompt)], n_outputs=1)
        for row in range(1, self._n_rows):
            cpp.llama_memory_seq_cp(self._memory, 0, row, -1, -1)
        tokens = [cpp.llama_sampler_sample(sampler, self._context, len(prompt) - 1) for sampler in self._samplers]
        prefilled = time.perf_counter()
        for step in range(n_new - 1):  # the prefill gave the first token
            position = len(prompt) + step
            self._run([(token, position, row) for row, token in enumerate(tokens)], n_outputs=self._n_rows)
            tokens = [cpp.llama_sampler_sample(s, self._context, row) for row, s in enumerate(self._samplers)]
        ended = time.perf_counter()
        return (prefilled - started) * 1000, (ended - prefilled) * 1000

    def _run(self, tokens: Sequence[tuple[int, int, int]], *, n_outputs: int) -> None:
        """Decode `(token, position, row)`s; the last `n_outputs` of them give logits."""
        batch = self._batch
        batch.n_tokens = len(tokens)
        for n, (token, position, row) in enumerate(tokens):
            batch.token[n] = token
            batch.pos[n] = position
            batch.n_seq_id[n] = 1
            batch.seq_id[n][0] = row
            batch.logits[n] = n >= len(tokens) - n_outputs
        status = self._cpp.llama_decode(self._context, batch)
        if status:
            raise Unavailable(f"llama.cpp could not decode, status {status}; leave it out with --no-rivals")

    def _sampler(self, seed: int) -> Any:
        cpp = self._cpp
        chain = cpp.llama_sampler_chain_init(cpp.llama_sampler_chain_default_params())
        cpp.llama_sampler_chain_add(chain, cpp.llama_sampler_init_top_k(_SAMPLED_TOP_K))
        cpp.llama_sampler_chain_add(chain, cpp.llama_sampler_init_temp(_SAMPLED_TEMPERATURE))
        cpp.llama_sampler_chain_add(chain, cpp.llama_sampler_init_dist(seed))
        return chain


def _import_llama_cpp() -> Any:
    logging.getLogger("llama-cpp-python").setLevel(logging.ERROR)  # it tells about every tensor
    try:
        import llama_cpp
    except (ImportError, OSError, RuntimeError) as error:
        raise Unavailable(f"llama-cpp-python is not usable ({error}); run: pip install 'spa-lsp[bench]'") from error
    if not hasattr(llama_cpp, "llama_memory_seq_cp"):
        raise Unavailable("this llama-cpp-python is too old; run: pip install -U llama-cpp-python")
    return llama_cpp
