"""What the adapters of a set are called at a server: the set's digest is in it, so that no other set answers for it."""

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.errors import AdapterMismatch


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
