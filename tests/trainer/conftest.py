"""The tiny base loaded once per test, a few token items, and a small training configuration."""

from pathlib import Path

import pytest

from tests.conftest import TINY_ID
from trainer.configs import FinetuneConfig
from trainer.data.items import TokenItem

OF_ATTRIBUTION = ("attribute", "partition", *(f"pipeline/test_{own}.py" for own in ("gate", "explain", "solutions")))


def pytest_collection_modifyitems(items):
    paths = [Path(__file__).parent / own for own in OF_ATTRIBUTION]
    for item in items:
        if any(item.path.is_relative_to(path) for path in paths):
            item.add_marker("attribution")


@pytest.fixture
def base(tiny_base):
    from spa_lsp.lm.load import load_base

    return load_base(TINY_ID, quantization="fp32", device="cpu")


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
