"""Attention over a shared prefix against the slow and obvious version, and the bookkeeping of keys and values."""

import torch

from spa_lsp.lm.attention import Group, KeyValues, attend

B, H, HKV, T, S, P, D = 3, 4, 2, 2, 5, 7, 8


def slow_attention(query, key, value, prefix, scaling):
    """Copies the prefix to every row and repeats the heads, with an explicit mask."""
    if prefix is not None:
        key = torch.cat([prefix[0].expand(len(key), -1, -1, -1), key], dim=2)
        value = torch.cat([prefix[1].expand(len(value), -1, -1, -1), value], dim=2)
    key, value = (x.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for x in (key, value))
    scores = query @ key.transpose(-1, -2) * scaling
    n_new, n_all = scores.shape[-2:]
    for t in range(n_new):
        scores[..., t, n_all - n_new + t + 1 :] = float("-inf")
    return scores.softmax(-1) @ value


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_attention_with_a_shared_prefix_equals_copying_it():
    query, key, value = random(B, H, T, D), random(B, HKV, S, D), random(B, HKV, S, D)
    prefix = random(1, HKV, P, D), random(1, HKV, P, D) + 1
    expected = slow_attention(query, key, value, prefix, D**-0.5)
    torch.testing.assert_close(attend(query, key, value, prefix, D**-0.5), expected, atol=1e-5, rtol=1e-5)


def test_attention_without_a_prefix_is_causal():
    query, key, value = random(B, H, S, D), random(B, HKV, S, D), random(B, HKV, S, D)
    expected = slow_attention(query, key, value, None, 0.3)
    torch.testing.assert_close(attend(query, key, value, None, 0.3), expected, atol=1e-5, rtol=1e-5)


def test_keys_grow_past_their_capacity_without_loss():
    kept = KeyValues(1, capacity=2)
    pieces = [random(1, HKV, n, D) + n for n in (1, 2, 4)]
    for piece in pieces:
        kept.append(0, piece, piece)
        kept.advance(piece.shape[2])
    torch.testing.assert_close(kept.own(0)[0], torch.cat(pieces, dim=2))


def test_truncated_room_is_written_again():
    kept = KeyValues(1)
    kept.append(0, torch.ones(1, HKV, 4, D), torch.ones(1, HKV, 4, D))
    kept.advance(4)
    kept.truncate(2)
    kept.append(0, torch.zeros(1, HKV, 1, D), torch.zeros(1, HKV, 1, D))
    kept.advance(1)
    assert kept.own(0)[0][0, 0, :, 0].tolist() == [1, 1, 0]


def test_a_position_counts_the_prefix():
    prefix = KeyValues(1)
    prefix.advance(5)
    rows = KeyValues(1, prefix=prefix)
    rows.advance(2)
    assert rows.position == 7


def test_groups_keep_their_rows_and_positions_when_some_finish():
    prefixes = [KeyValues(1), KeyValues(1)]
    for n_tokens, prefix in zip((5, 2), prefixes, strict=True):
        prefix.append(0, torch.zeros(1, 1, n_tokens, 4), torch.zeros(1, 1, n_tokens, 4))
        prefix.advance(n_tokens)
    rows = KeyValues(1, groups=[Group(prefix=prefix, n_rows=2) for prefix in prefixes])
    assert rows.next_positions(1).flatten().tolist() == [5, 5, 2, 2]
    rows.append(0, torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 1, 4), torch.zeros(4, 1, 1, 4))
    rows.advance(1)
    rows.select(torch.tensor([1, 2, 3]))
    assert rows.next_positions(1).flatten().tolist() == [6, 3, 3]
    rows.select(torch.tensor([1, 2]))
    assert rows.next_positions(2).tolist() == [[3, 4], [3, 4]]
    assert rows.own(0)[0][:, 0, 0, 0].tolist() == [2.0, 3.0]
