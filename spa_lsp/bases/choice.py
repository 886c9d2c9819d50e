"""Which base is served when the settings leave it to the machine: the largest that lies here and is carried in time."""

from collections.abc import Collection

import psutil

from spa_lsp.bases.catalog import DEFAULT_BASE, Base, find_base, is_ready, load_catalog
from spa_lsp.bases.speeds import expected_speed, read_speeds

# Tokens of a prompt per second. At this speed the first alternative, some thirty tokens, takes about four seconds on
# two cores; who waits longer has typed on.
SLOWEST = 60.0
MEMORY_SHARE = 1 / 3  # of the machine's, for an engine beside an editor and a browser
# of one parameter, in memory (nf4: half a byte, and what stays in 16 bits)
PARAMETER_BYTES = {"fp32": 4.0, "bf16": 2.0, "int8": 1.3, "nf4": 0.9}
ENGINE_BYTES = 450_000_000  # torch and the caches
TRANSFORMERS_BYTES = 150_000_000  # which int8 does without


def memory_needed(base: Base, quantization: str = "int8") -> int:
    """Bytes of an engine with this base."""
    modules = ENGINE_BYTES + (0 if quantization == "int8" else TRANSFORMERS_BYTES)
    return int(base.parameters * PARAMETER_BYTES[quantization] + modules)


def is_carried(base: Base) -> bool:
    """Whether this machine has the memory for a base and reads prompts with it fast enough, as far as that is known."""
    if memory_needed(base) > psutil.virtual_memory().total * MEMORY_SHARE:
        return False
    speed = expected_speed(base, read_speeds())
    return speed is None or speed >= SLOWEST


def best_base(among: Collection[str] = ()) -> str:
    """The largest base here that infills and is carried in time, of those in `among` if any of them is here.

    Where none is carried: the smallest of those; where none is here: the default base, which can be pulled.
    """
    here = [base for base in load_catalog().values() if base.infill and is_ready(base)]
    wanted = [base for base in here if base.id in among] or here
    wanted.sort(key=lambda base: base.parameters)
    carried = [base for base in wanted if is_carried(base)]
    return (carried[-1:] + wanted[:1] + [find_base(DEFAULT_BASE)])[0].id


def what_larger_brings() -> str:
    """What the next larger base would bring and cost here, and the command that fetches it; empty: there is none.

    One that is here already, cannot be pulled, or would not be carried in time, is not worth a word.
    """
    own = find_base(DEFAULT_BASE)
    larger = [
        base
        for base in load_catalog().values()
        if base.is_verified and base.infill and base.parameters > own.parameters and not is_ready(base)
    ]
    found = next((base for base in sorted(larger, key=lambda base: base.parameters) if is_carried(base)), None)
    if found is None:
        return ""
    gain = f"is right first on {found.first_right:.0%} of our gaps, {own.id} on {own.first_right:.0%}; it "
    return (
        f"{found.id} {gain if found.first_right and own.first_right else ''}takes about "
        f"{found.parameters / own.parameters:.0f} times as long and {memory_needed(found) / 1e9:.1f} GB of memory, "
        f"{found.n_bytes / 1e9:.1f} GB to fetch: spa-lsp models pull {found.id}"
    )
