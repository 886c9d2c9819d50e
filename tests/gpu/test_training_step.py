"""The training steps that the GPU's script times, on the processor."""

from spa_lsp.lm.load import load_base
from tests.conftest import TINY_ID
from tests.gpu.training_step import train_steps


def test_every_step_has_its_time_and_a_loss_for_each_adapter(tiny_base):
    trained = train_steps(load_base(TINY_ID, quantization="fp32", device="cpu"), n_adapters=2, n_steps=3)
    assert len(trained.step_ms) == 3 and [len(losses) for losses in trained.losses] == [2, 2, 2]
