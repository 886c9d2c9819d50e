"""Embeddings against one forward pass of each item alone. (#14)"""

import pytest
import torch

from trainer.attribute.embedding import embedding_influence, embeddings


@pytest.mark.parametrize("layer", ["middle", "last"])
def test_an_embedding_is_the_mean_hidden_state_of_the_completion_whatever_the_batch(base, items, layer):
    found = embeddings(base, items, layer)
    for n, item in enumerate(items):
        tokens = torch.tensor([[*item.prompt, *item.completion[:-1]]])
        states = base.model(tokens, output_hidden_states=True).hidden_states
        hidden = states[-1 if layer == "last" else base.n_layers // 2]
        torch.testing.assert_close(found[n, 0], hidden[0, len(item.prompt) :].mean(0), atol=1e-5, rtol=1e-4)


def test_what_all_samples_have_in_common_does_not_count():
    train = torch.tensor([[[1.0, 0.0]], [[-1.0, 0.0]]]) + 100
    query = torch.tensor([[[2.0, 0.0]]]) + 100
    torch.testing.assert_close(embedding_influence(train, query), torch.tensor([[1.0], [-1.0]]))
