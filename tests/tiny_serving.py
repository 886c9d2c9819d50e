"""Random adapters of the tiny base as a set that can be served."""

from spa_lsp import paths
from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.writing import describe_adapter, write_set
from spa_lsp.bases.catalog import find_base, installed_base
from tests.conftest import TINY_ID
from trainer.configs import ALL_LINEARS


def install_set(name, peft_folders):
    """Write the adapters of these PEFT folders as an imported set of this name."""
    files = {folder.name: (folder / "adapter_model.safetensors").read_bytes() for folder in peft_folders}
    base = installed_base(find_base(TINY_ID))
    made = AdapterSet(
        name=name,
        base_id=TINY_ID,
        base_sha256=base.weights_sha256,
        tokenizer_sha256=base.tokenizer_sha256,
        rank=4,
        alpha=8.0,
        target_modules=ALL_LINEARS,
        activation="completion",
        layouts=("infill",),
        method="random",
        run_id="",
        data={},
        figures={},
        adapters=tuple(describe_adapter(own, data, label=own) for own, data in files.items()),
    )
    return write_set(paths.user_sets_dir() / TINY_ID / name, made, files)
