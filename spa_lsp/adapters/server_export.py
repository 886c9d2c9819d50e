"""An exported set at a server elsewhere: what its adapters are called there, and the command that starts the server.

The set's digest is in the names, so that no other set answers for it.
"""

import shlex
from pathlib import Path

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.errors import AdapterMismatch

_VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that it has room for; others are refused
_CONTEXT = 4096  # tokens of one row: a prompt has about 2000


def served_name(adapter_set: AdapterSet, adapter: str) -> str:
    """`oss-python.1a2b3c4d.loops`; names have no dots."""
    return f"{adapter_set.name}.{adapter_set.set_id[:8]}.{adapter}"


def check_servable(adapter_set: AdapterSet) -> None:
    """Refuse a set that such servers would serve wrongly: they let adapters act on the prompt, too.

    Raises:
        AdapterMismatch: its adapters were trained to act on the completion alone.
    """
    if adapter_set.activation == "completion":
        what = f"the adapters of {adapter_set.name} act on the completion alone, and a server applies them to all"
        way_out = 'train a set for it (trainer finetune --activation all), or use the base alone (adapterSet = "")'
        raise AdapterMismatch(f"{what}; {way_out}")


def vllm_command(adapter_set: AdapterSet, folder: Path) -> str:
    """The command line for a set exported to this folder, to be run beside it; it listens on this machine only."""
    rank = next(rank for rank in _VLLM_RANKS if rank >= min(adapter_set.rank, _VLLM_RANKS[-1]))
    names = [info.name for info in adapter_set.adapters]
    modules = [shlex.quote(f"{served_name(adapter_set, name)}={folder.absolute() / name}") for name in names]
    limits = f"--max-loras {adapter_set.k} --max-lora-rank {rank}"
    base = f'"$(spa-lsp models path {adapter_set.base_id})"'
    return f"vllm serve {base} --host 127.0.0.1 --port 8000 --enable-lora {limits} --lora-modules {' '.join(modules)}"


def llama_command(adapter_set: AdapterSet, folder: Path) -> str:
    """As `vllm_command`, for llama-server."""
    names = [served_name(adapter_set, info.name) for info in adapter_set.adapters]
    files = " ".join(f"--lora {shlex.quote(str(folder.absolute() / f'{name}.gguf'))}" for name in names)
    base = f'"$(spa-lsp models path {adapter_set.base_id} --source)"'
    slots = f"--parallel {adapter_set.k} --ctx-size {_CONTEXT * adapter_set.k}"
    return f"llama-server --model {base} --host 127.0.0.1 --port 8080 {slots} {files} --lora-init-without-apply"
