"""The sandbox, the tiny base loaded once per test or without infill, token items, and a small setting for training."""

import pytest

from spa_lsp import paths
from spa_lsp.errors import Unavailable
from tests.conftest import TINY_CATALOG, TINY_ID, TINY_INFILL
from trainer.configs import FinetuneConfig
from trainer.data.items import TokenItem
from trainer.evaluate.sandbox import require_sandbox


@pytest.fixture
def sandbox() -> str:
    """The back end that programs run in; skipped with the reason where there is none."""
    try:
        return require_sandbox()
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def base(tiny_base):
    from spa_lsp.lm.load import load_base

    return load_base(TINY_ID, quantization="fp32", device="cpu")


@pytest.fixture
def base_without_infill(tiny_base):
    """The tiny base, of which the catalog now knows no infill tokens."""
    catalog = TINY_CATALOG.replace(f"infill = {{ {TINY_INFILL} }}\n", "")
    (paths.data_dir() / "catalog.toml").write_text(catalog)


@pytest.fixture
def items():
    """Six items of different lengths."""
    return [
        TokenItem(item_id=f"i{n}", prompt=tuple(range(5 + n, 12 + 2 * n)), completion=(20 + n, 30 + n, 40, 2)[n % 3 :])
        for n in range(6)
    ]


@pytest.fixture
def small():
    return FinetuneConfig(
        rank=3, alpha=6, steps=4, accumulate=2, learning_rate=1e-2, warmup_steps=1, checkpoint_every=1
    )
