"""llama.cpp as a rival: samples of the base over one prompt, in a process that lives only while it is timed.

What is timed is the server in the prebuilt wheel `xllamacpp`, called inside its own process, without HTTP. It gets a
prompt of ids that it has not seen and is asked for `n_cmpl` completions: it reads the prompt once, and all rows go on
from it in one batch over one unified cache. Rows have all their tokens (`ignore_eos`); they are sampled with the
server's own defaults. The whole is the wall time of the call, the prefill what the server says of it (`prompt_ms`), the
decoding the rest. Between two calls its slots are emptied, untimed: it would look past what they keep. Weights are the
GGUF that the base was converted from, threads as many as ours.
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from spa_lsp.bench.figures import Times, run_rounds
from spa_lsp.child import own_python
from spa_lsp.errors import Unavailable

_COMMAND = ("-m", "spa_lsp.bench.llama_cpp")
_TIMEOUT_S = 1800.0
_SPARE_TOKENS = 256  # of the context: the server keeps some for itself
_SAMPLED = {"temperature": 0.8, "top_k": 40}  # llama.cpp's own defaults


@dataclass(frozen=True, kw_only=True)
class LlamaPlan:
    """What one such process does: a round per prompt, the first uncounted."""

    gguf: str
    n_threads: int
    n_rows: int  # that go on from each prompt
    n_new: int
    prompts: Sequence[Sequence[int]]  # ids


def find_llama_cpp() -> None:
    """Return if llama.cpp can be asked here.

    Raises:
        Unavailable: its wheel is not installed.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise Unavailable("xllamacpp is not installed; run: pip install 'spa-lsp[bench]'")


def time_llama_cpp(plan: LlamaPlan) -> Times:
    """Milliseconds `llama_cpp_N`, `llama_cpp_N_prefill` and `llama_cpp_N_decode` for N rows, of each counted round.

    Raises:
        Unavailable: the process failed; the message has its last words.
    """
    asked = json.dumps(asdict(plan))
    try:
        done = subprocess.run(own_python(*_COMMAND), input=asked, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"llama.cpp was not done after {_TIMEOUT_S:.0f} s; leave it out with --no-rivals") from error
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise Unavailable(f"llama.cpp failed ({words[-1]}); leave it out with --no-rivals")
    times: Times = json.loads(done.stdout)
    return times


def main() -> None:
    """Read a plan from standard input, write the times to standard output."""
    answer = _keep_stdout()
    plan = LlamaPlan(**json.load(sys.stdin))
    server = _start_server(plan)

    def time_round(number: int) -> dict[str, float]:
        _ask(server, plan.prompts[number][:1], plan.n_rows, 1)  # empties the slots
        total_ms, prefill_ms = _ask(server, plan.prompts[number], plan.n_rows, plan.n_new)
        name = f"llama_cpp_{plan.n_rows}"
        return {name: total_ms, f"{name}_prefill": prefill_ms, f"{name}_decode": total_ms - prefill_ms}

    json.dump(run_rounds({"llama.cpp": time_round}, len(plan.prompts) - 1), answer)
    answer.flush()
    os._exit(0)  # what the server's threads still want to tidy up is no matter


def _start_server(plan: LlamaPlan) -> Any:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = plan.gguf
    parameters.n_parallel = plan.n_rows
    parameters.n_ctx = 2 * max(map(len, plan.prompts)) + 2 * plan.n_rows * plan.n_new + _SPARE_TOKENS
    parameters.kv_unified = True  # one prompt for all rows, not a copy for each
    parameters.cache_ram_mib = 0  # no copies of old prompts, which cost time
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = plan.n_threads
    parameters.n_gpu_layers = 0  # the wheel that is compared computes on the processor
    parameters.verbosity = 0
    return xllamacpp.Server(parameters)


def _ask(server: Any, prompt: Sequence[int], n_rows: int, n_new: int) -> tuple[float, float]:
    """Milliseconds of the whole call, and of its one prefill."""
    request = {"prompt": list(prompt), "n_predict": n_new, "ignore_eos": True, "cache_prompt": False, **_SAMPLED}
    started = time.perf_counter()
    answer = server.handle_completions(request | {"n_cmpl": n_rows})
    total_ms = (time.perf_counter() - started) * 1000
    if "error" in answer:
        sys.exit(str(answer["error"].get("message", answer["error"])))
    n_found = (len(answer["choices"]), answer["timings"]["predicted_n"])
    if n_found != (n_rows, n_new):
        sys.exit(f"rows and tokens of each were {n_found}, asked for were {(n_rows, n_new)}")
    return total_ms, float(answer["timings"]["prompt_ms"])


def _keep_stdout() -> TextIO:
    """A file that writes where standard output went; all that llama.cpp says goes to standard error instead."""
    kept = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return kept


def gguf_for(path: Path, base_id: str) -> str:
    """The path of the weights.

    Raises:
        Unavailable: they were not kept.
    """
    if not path.exists():
        raise Unavailable(f"{path} is not kept here; run: spa-lsp models pull {base_id} --force")
    return str(path)


if __name__ == "__main__":
    main()
