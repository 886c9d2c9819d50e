"""What must be true of an adapter's bytes before they are served; PEFT itself loads almost anything in silence.

The manifest's own fields are checked in `manifest.py`.
"""

import re
from collections.abc import Mapping

from spa_lsp.adapters.manifest import AdapterSet, check_scaling
from spa_lsp.adapters.tensor_file import TensorView, view_tensors
from spa_lsp.errors import AdapterMismatch, BadInput

_PEFT_KEY = re.compile(r"base_model\.model\.model\.layers\.(\d{1,4})\.([a-z_]+\.([a-z0-9_]+))\.lora_([AB])\.weight")


def check_base(adapter_set: AdapterSet, *, base_id: str, base_sha256: str, tokenizer_sha256: str | None) -> None:
    """Refuse a set that was made for other weights or another tokenizer; names alone prove nothing.

    `tokenizer_sha256` is None when the base is not installed and only the catalog is known.

    Raises:
        AdapterMismatch: naming both.
    """
    check_made_for(adapter_set, base_id)
    for what, made_for, here in (
        ("weights", adapter_set.base_sha256, base_sha256),
        ("tokenizer", adapter_set.tokenizer_sha256, tokenizer_sha256),
    ):
        if here is not None and made_for != here:
            raise AdapterMismatch(
                f"adapter set {adapter_set.name!r} was made for {base_id} with {what} sha256 {made_for[:12]}…, here "
                f"they are {here[:12]}…; choose another set or retrain"
            )


def check_made_for(adapter_set: AdapterSet, base_id: str) -> None:
    """Refuse a set that was made for a base of another id.

    Raises:
        AdapterMismatch: naming both.
    """
    if adapter_set.base_id != base_id:
        raise AdapterMismatch(
            f"adapter set {adapter_set.name!r} was made for {adapter_set.base_id}, the base is {base_id}; "
            f"pass --base {adapter_set.base_id} or choose another set"
        )


def check_adapter(data: bytes, adapter_set: AdapterSet, shapes: Mapping[str, tuple[int, int]] | None = None) -> None:
    """Refuse an adapter file that PEFT would load in silence: wrong keys, shapes, dtypes, or numbers not finite.

    Args:
        data: the whole file.
        adapter_set: rank, alpha and target modules that the file must have.
        shapes: the exact tensors, as `expected_shapes` makes them from the base; None: checked against itself only.

    Raises:
        BadInput: what it is cannot be used. Damaged: it is cut or overlong. AdapterMismatch: made for another base.
    """
    check_scaling(adapter_set.rank, adapter_set.alpha)
    tensors = view_tensors(data)
    found = {tensor.name: tensor.shape for tensor in tensors}
    wanted = _own_shapes(found, adapter_set) if shapes is None else shapes
    _check_tensor_names(found, wanted)
    for tensor in tensors:
        _check_tensor(tensor, tuple(wanted[tensor.name]))


def _check_tensor_names(found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    missing, unexpected = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if missing:
        raise AdapterMismatch(f"{len(missing)} tensors are missing, {missing[0]!r} is one; retrain the adapter")
    if unexpected:
        raise AdapterMismatch(f"{len(unexpected)} tensors are not of this base, {unexpected[0]!r} is one")


def _check_tensor(tensor: TensorView, shape: tuple[int, ...]) -> None:
    if tensor.shape != shape:
        raise AdapterMismatch(f"{tensor.name!r} has shape {list(tensor.shape)}, expected {list(shape)}")
    if not tensor.is_finite():
        raise BadInput(f"{tensor.name!r} has NaN or Inf in it; retrain the adapter")


def _own_shapes(found: Mapping[str, tuple[int, ...]], adapter_set: AdapterSet) -> dict[str, tuple[int, int]]:
    """The tensors of a whole adapter whose layers are all like the first one found of their kind."""
    n_out: dict[str, int] = {}
    n_in: dict[str, int] = {}
    last_layer = 0
    for name, shape in found.items():
        match = _PEFT_KEY.fullmatch(name)
        if match is None or match[3] not in adapter_set.target_modules or len(shape) != 2:
            modules = ", ".join(adapter_set.target_modules)
            raise AdapterMismatch(
                f"{name!r} {list(shape)} is not a LoRA matrix of {modules}; export it with PEFT's names"
            )
        n_in.setdefault(match[2], shape[1]) if match[4] == "A" else n_out.setdefault(match[2], shape[0])
        last_layer = max(last_layer, int(match[1]))
    linears = sorted(n_in.keys() | n_out.keys())
    absent = set(adapter_set.target_modules) - {linear.split(".")[1] for linear in linears}
    if absent:
        raise AdapterMismatch(f"there are no LoRA matrices for {', '.join(sorted(absent))}; retrain the adapter")
    shapes = {linear: (n_out.get(linear, 0), n_in.get(linear, 0)) for linear in linears}
    return expected_shapes(
        adapter_set,
        {f"model.layers.{layer}.{linear}": shapes[linear] for layer in range(last_layer + 1) for linear in linears},
    )


def expected_shapes(adapter_set: AdapterSet, linears: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, int]]:
    """The tensors an adapter of this set has on a base, by PEFT's names: A is `[rank, n_in]`, B `[n_out, rank]`.

    `linears` gives `[n_out, n_in]` by module path (`model.layers.0.mlp.up_proj`); those that are no target are ignored.
    """
    shapes: dict[str, tuple[int, int]] = {}
    for path, (n_out, n_in) in linears.items():
        if path.rsplit(".", 1)[-1] in adapter_set.target_modules:
            shapes[f"base_model.model.{path}.lora_A.weight"] = (adapter_set.rank, n_in)
            shapes[f"base_model.model.{path}.lora_B.weight"] = (n_out, adapter_set.rank)
    return shapes


def base_linears(tensor_shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The linears inside the layers of a base, `[n_out, n_in]` by module path, from `tensor_file.read_shapes`."""
    return {
        name.removesuffix(".weight"): shape
        for name, shape in tensor_shapes.items()
        if name.startswith("model.layers.") and name.endswith(".weight") and len(shape) == 2
    }
