"""One frozen dataclass per stage: the only home of a default. Flags of `trainer` read default and help here.

All fields are part of a run's key, unless they say `is_in_key: False`: those change how it is computed, not what.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

AttributeMethod = Literal["datainf", "bm25", "random"]
# balanced: parts of one size, each sample where it helps most · argmax: the paper's, of any size · kmeans: parts of one
# size, alike in their influence · whole: no division, every adapter gets all samples
PartitionMethod = Literal["balanced", "argmax", "kmeans", "whole"]
Normalize = Literal["none", "zscore", "contrast"]
Activation = Literal["completion", "all"]

# the seven linears of a Llama-like block; LoRA on all of them
ALL_LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def _flag(default: Any, help_text: str, *, is_in_key: bool = True) -> Any:
    """A field that commands have as a flag, of which this is the help."""
    return field(default=default, metadata={"help": help_text, "is_in_key": is_in_key})


@dataclass(frozen=True, kw_only=True)
class ItemsConfig:
    """How samples become training items (`samples.py`)."""

    infill_share: float = _flag(0.8, "Share of infill items; the rest are instruct items.")
    infill_per_sample: int = 2  # different middles taken from one sample's code
    single_line_share: float = 0.1  # of the spans; the others have 2 to 8 lines
    editor_share: float = (
        0.4  # of the infill items: the cursor stands after the indentation; the others are whole lines
    )
    typed_share: float = 0.5  # of the infill items: the cursor stands some characters further, at any place
    # longer items are skipped and counted: cutting one would teach a false end
    max_tokens: int = _flag(320, "Longest item, in tokens; longer ones are left out.")
    holdout: int = 48  # samples never trained on: held-out loss


@dataclass(frozen=True, kw_only=True)
class AttributeConfig:
    """Influence of every sample on every anchor."""

    method: AttributeMethod = _flag("datainf", "Method of attribution.")
    # LESS warms up on 5 % of the data; a converged adapter destroys the signal
    warmup_samples: int = _flag(48, "datainf: samples of the warm-up adapter.")
    warmup_rank: int = 4
    learning_rate: float = _flag(5e-4, "datainf: learning rate of the warm-up adapter.")
    projected: int = 8  # columns kept of each LoRA gradient: 4 x 8 numbers per tensor
    batch: int = 8  # samples per backward pass
    # its gradient would cost too much
    max_tokens: int = _flag(220, "datainf: samples whose shortest item is longer are left out.")
    damping: float = _flag(0.1, "datainf: share of the mean squared gradient.")  # λ, DataInf's own constant


# Of the sets that are published. Sampled, the shipped set has half as much again that is distinct and correct as
# greedily, and its likeliest alternative is about as often correct; the figures are in its card.
SERVED_TEMPERATURE = 0.8


@dataclass(frozen=True, kw_only=True)
class PartitionConfig:
    """From influence `[N, Q]` to k disjoint parts."""

    method: PartitionMethod = _flag("balanced", "Method of division.")
    normalize: Normalize = _flag("contrast", "How the anchors' columns are made comparable.")
    k: int = _flag(8, "Parts, each of which gets an adapter.")


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """One adapter per part, all k in one pass."""

    rank: int = _flag(4, "LoRA rank r.")
    alpha: int = _flag(8, "LoRA scale; the adapter counts alpha / rank times.")
    target_modules: tuple[str, ...] = ALL_LINEARS
    activation: Activation = _flag(
        "completion", "Where adapters act: on the completion (one shared prompt pass) or on all tokens."
    )
    steps: int = _flag(20, "Optimizer steps of each adapter.")
    accumulate: int = _flag(4, "Items per adapter and step.")
    learning_rate: float = _flag(1e-3, "Learning rate at its highest.")
    warmup_steps: int = 3
    weight_decay: float = 0.01
    checkpoint_every: int = _flag(4, "Steps between checkpoints.", is_in_key=False)  # changes no weight
