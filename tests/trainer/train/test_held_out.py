"""What is measured on items that nobody learns."""

import pytest

from tests.trainer.train.test_training import new_bank
from trainer.data.items import PartItems
from trainer.train.held_out import held_out_base, held_out_losses


# #15
def test_it_says_how_far_it_is_with_the_adapters_and_with_the_base(base, items, capsys):
    """With a large base each takes minutes."""
    data = [PartItems(train=tuple(items[:1]), held=tuple(items[1:3]))]
    bank = new_bank(base, [1])
    adapted, plain = held_out_losses(base, bank, data, "completion"), held_out_base(base, data)
    said = capsys.readouterr().err
    assert "held-out loss: done" in said and "held-out loss of the base: done" in said
    assert adapted[:, 0].tolist() == pytest.approx(plain.tolist())  # a fresh adapter changes nothing
