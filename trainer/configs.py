"""One frozen dataclass per stage: the only home of a default. Flags of `trainer` read their defaults here.

All fields are part of a run's key, unless they say `is_in_key: False`: those change how it is computed, not what.
"""

from dataclasses import dataclass, field
from typing import Literal

AttributeMethod = Literal["datainf", "bm25", "random"]
# balanced: parts of one size, each sample where it helps most · argmax: the paper's, of any size · kmeans: parts of one
# size, alike in their influence · whole: no division, every adapter gets all samples
PartitionMethod = Literal["balanced", "argmax", "kmeans", "whole"]
Normalize = Literal["none", "zscore", "contrast"]
Activation = Literal["completion", "all"]

# the seven linears of a Llama-like block; LoRA on all of them
ALL_LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, kw_only=True)
class ItemsConfig:
    """How samples become training items (`samples.py`)."""

    infill_share: float = 0.8  # of the items; the rest are instruct items
    infill_per_sample: int = 2  # different middles taken from one sample's code
    single_line_share: float = 0.1  # of the spans; the others have 2 to 8 lines
    editor_share: float = (
        0.4  # of the infill items: the cursor stands after the indentation; the others are whole lines
    )
    typed_share: float = 0.5  # of the infill items: the cursor stands some characters further, at any place
    max_tokens: int = 320  # longer items are skipped and counted: cutting one would teach a false end
    holdout: int = 48  # samples never trained on: held-out loss


@dataclass(frozen=True, kw_only=True)
class AttributeConfig:
    """Influence of every sample on every anchor."""

    method: AttributeMethod = "datainf"
    warmup_samples: int = 48  # LESS warms up on 5 % of the data; a converged adapter destroys the signal
    warmup_rank: int = 4
    learning_rate: float = 5e-4
    projected: int = 8  # columns kept of each LoRA gradient: 4 x 8 numbers per tensor
    batch: int = 8  # samples per backward pass
    max_tokens: int = 220  # a sample whose shortest item is longer is left out: its gradient costs too much
    damping: float = 0.1  # λ as a fraction of the mean squared gradient, DataInf's own constant


# Of the sets that are published. Sampled, the shipped set has half as much again that is distinct and correct as
# greedily, and its likeliest alternative is about as often correct; the figures are in its card.
SERVED_TEMPERATURE = 0.8


@dataclass(frozen=True, kw_only=True)
class PartitionConfig:
    """From influence `[N, Q]` to k disjoint parts."""

    method: PartitionMethod = "balanced"
    normalize: Normalize = "contrast"
    k: int = 8


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """One adapter per part, all k in one pass."""

    rank: int = 4
    alpha: int = 8
    target_modules: tuple[str, ...] = ALL_LINEARS
    activation: Activation = "completion"
    steps: int = 20
    accumulate: int = 4  # items per adapter and step
    learning_rate: float = 1e-3
    warmup_steps: int = 3
    weight_decay: float = 0.01
    checkpoint_every: int = field(default=4, metadata={"is_in_key": False})  # steps; changes no weight
