"""A stand-in for the wheel: what `spa_lsp.bench.llama_cpp` uses of it, without a model."""

import sys
from types import SimpleNamespace

MOST_TOKENS = 9  # rows end here
BAD_ID = 999


class CommonParams:
    def __init__(self):
        self.model = SimpleNamespace(path="")
        self.cpuparams = SimpleNamespace(n_threads=0)
        self.cpuparams_batch = SimpleNamespace(n_threads=0)


class Server:
    def __init__(self, parameters):
        self.parameters = parameters

    def handle_completions(self, request):
        sys.stdout.write("said aloud\n")
        if BAD_ID in request["prompt"]:
            return {"error": {"code": 500, "message": "Invalid input batch."}}
        n_rows, n_new = request["n_cmpl"], min(request["n_predict"], MOST_TOKENS)
        prompt_ms = 10.0 * len(request["prompt"]) + self.parameters.cpuparams.n_threads
        timings = {"prompt_ms": prompt_ms, "predicted_n": n_new}
        return {"choices": [{"text": "", "index": index} for index in range(n_rows)], "timings": timings}
