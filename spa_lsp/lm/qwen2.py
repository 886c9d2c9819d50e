"""The forward pass of Qwen2 as it is served: RMSNorm, rotary positions, grouped attention, a gated MLP.

Ours because an engine would otherwise wait four to five seconds for transformers to be imported. It is the oracle
(`tests/lm/test_qwen2.py`), and everything else goes through it: training, floats, CUDA, other architectures.

Source: arXiv:2407.10671, and transformers' `modeling_qwen2`, whose names of modules adapters and weights have.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spa_lsp.lm.attention import KeyValues

_KNOWN = {"model_type": "qwen2", "hidden_act": "silu", "use_sliding_window": False}


@dataclass(frozen=True, kw_only=True)
class Qwen2Config:
    """The sizes, named as in `config.json`."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float

    @property
    def head_dim(self) -> int:
        """Of queries, keys and values."""
        return self.hidden_size // self.num_attention_heads


def read_config(folder: Path) -> Qwen2Config | None:
    """The sizes of the model in this folder; None where it is of another kind, varies this one, or leaves a size out.

    Raises:
        ValueError, OSError: the file cannot be read.
    """
    found: Any = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    rope = found.get("rope_parameters") if isinstance(found, dict) else None
    if not isinstance(rope, dict) or rope.get("rope_type") != "default" or "head_dim" in found:
        return None
    is_known = all(found.get(name) == value for name, value in _KNOWN.items())
    if not is_known or set(found.get("layer_types") or ()) != {"full_attention"}:
        return None
    sizes = {name: (found | rope).get(name) for name in Qwen2Config.__dataclass_fields__}
    return None if None in sizes.values() else Qwen2Config(**sizes)


class Qwen2(nn.Module):
    """Decoder and head, for activations in float32. Made on the meta device; weights come later."""

    def __init__(self, config: Qwen2Config) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def get_decoder(self) -> "Decoder":
        """As transformers' models."""
        return self.model

    def get_input_embeddings(self) -> nn.Module:
        """As transformers' models."""
        return self.model.embed_tokens


class Decoder(nn.Module):
    """Ids in, hidden states out."""

    def __init__(self, config: Qwen2Config) -> None:
        super().__init__()
        # without random numbers, for which torch would import its compiler, in three seconds
        empty = torch.empty(config.vocab_size, config.hidden_size)
        self.embed_tokens: nn.Module = nn.Embedding.from_pretrained(empty)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.layers = nn.ModuleList(Layer(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = RMSNorm(config)
        self.rotary_emb = RotaryEmbedding(config)

    def forward(self, ids: Tensor, positions: Tensor, key_values: KeyValues) -> Tensor:
        """Hidden states `[B, T, D]` of ids at positions, `[B, T]` both; keys and values are added, not counted."""
        x: Tensor = self.embed_tokens(ids)
        rotation = self.rotary_emb(x, positions)
        for layer in self.layers:
            x = layer(x, rotation, key_values)
        normed: Tensor = self.norm(x)
        return normed


class Layer(nn.Module):
    """Attention, then the MLP, each on what is normed and added to what came in."""

    def __init__(self, config: Qwen2Config, layer: int) -> None:
        super().__init__()
        self.self_attn = Attention(config, layer)
        self.mlp = MLP(config)
        self.input_layernorm = RMSNorm(config)
        self.post_attention_layernorm = RMSNorm(config)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], key_values: KeyValues) -> Tensor:
        """`[B, T, D]` to `[B, T, D]`."""
        x = x + self.self_attn(self.input_layernorm(x), rotation, key_values)
        mixed: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return mixed


class Attention(nn.Module):
    """Queries of H heads, keys and values of fewer; what they look at is in `KeyValues`."""

    def __init__(self, config: Qwen2Config, layer: int) -> None:
        super().__init__()
        D, width = config.hidden_size, config.head_dim
        self.layer, self.width = layer, width
        self.q_proj = nn.Linear(D, config.num_attention_heads * width)
        self.k_proj = nn.Linear(D, config.num_key_value_heads * width)
        self.v_proj = nn.Linear(D, config.num_key_value_heads * width)
        self.o_proj = nn.Linear(config.num_attention_heads * width, D, bias=False)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], key_values: KeyValues) -> Tensor:
        """`[B, T, D]` to `[B, T, D]`.

        Raises:
            Interrupted: nobody wants the rest.
        """
        query = _rotate(self._heads(self.q_proj(x)), rotation)
        key = _rotate(self._heads(self.k_proj(x)), rotation)
        value = self._heads(self.v_proj(x))
        key_values.raise_if_cancelled()
        seen = key_values.attend(self.layer, query, key, value, self.width**-0.5)
        mixed: Tensor = self.o_proj(seen.transpose(1, 2).flatten(2))
        return mixed

    def _heads(self, x: Tensor) -> Tensor:
        """`[B, T, heads * width]` to `[B, heads, T, width]`."""
        return x.view(*x.shape[:-1], -1, self.width).transpose(1, 2)


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self, config: Qwen2Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[..., D]` to `[..., D]`."""
        made: Tensor = self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return made


class RMSNorm(nn.Module):
    """Each state divided by its root mean square, then weighted."""

    def __init__(self, config: Qwen2Config) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config.hidden_size))
        self.epsilon = config.rms_norm_eps

    def forward(self, x: Tensor) -> Tensor:
        """`[..., D]` to `[..., D]`."""
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.epsilon))


class RotaryEmbedding(nn.Module):
    """Cosines and sines of the angles by which positions turn queries and keys."""

    def __init__(self, config: Qwen2Config) -> None:
        super().__init__()
        halves = torch.arange(0, config.head_dim, 2, dtype=torch.float, device="cpu") / config.head_dim
        self._frequencies = 1.0 / (config.rope_theta**halves)

    def forward(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Two `[B, T, width]` of positions `[B, T]`, in the precision of x."""
        angles = positions[..., None].float() * self._frequencies
        angles = torch.cat((angles, angles), -1)
        return angles.cos().to(x.dtype), angles.sin().to(x.dtype)


def _rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Queries or keys `[B, heads, T, width]`, each pair of halves turned by its position's angle."""
    cos, sin = (part[:, None] for part in rotation)
    first, second = x.chunk(2, -1)
    return (x * cos) + (torch.cat((-second, first), -1) * sin)
