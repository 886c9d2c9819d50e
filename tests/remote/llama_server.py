"""A real llama-server, from the prebuilt wheel: python llama_server.py GGUF N_ROWS N_THREADS [LORA ...].

It says its address, and ends when its standard input does. Its threads spin at barriers while they wait for each
other: with as many as there are cores a token takes seconds beside other work.
"""

import sys

import xllamacpp


def main(model, n_rows, n_threads, *loras):
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.n_parallel = int(n_rows)
    parameters.n_ctx = 4096 * int(n_rows)  # as `adapters export` says
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = int(n_threads)
    parameters.n_batch = parameters.n_ubatch = 128  # between two of these it sees who has gone
    parameters.n_gpu_layers = 0
    parameters.cache_ram_mib = 0  # else it keeps what it has read, up to 8 GiB
    parameters.verbosity = 0
    parameters.endpoint_slots = parameters.endpoint_metrics = True
    parameters.lora_adapters = [adapter(path) for path in loras]
    parameters.lora_init_without_apply = True
    server = xllamacpp.Server(parameters)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


def adapter(path):
    found = xllamacpp.CommonAdapterLoraInfo()
    found.path, found.scale = path, 0.0
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
