"""One frozen dataclass per stage: the only home of an option, with its default, its help and its bounds.

A new option is one line here, `name: type = option(default, "Help.", low=1)`, and nothing else:
- `trainer.cli.options.of_config(FinetuneConfig, "config")` makes click options of all fields that have a help text (int
  and float with bounds, a `Literal` is a choice, a tuple may be given several times) and hands the command the config
  itself, as its argument `config`; `only=("k",)` takes some of them, `flags={"method": "--partition-method"}` renames.
- the config is part of the stage's settings (`trainer.rows.stages`, the home of what a stage's run says), and those are
  its key. A field that is added later says `is_added=True`: it counts only where it is not the default, so that runs
  from before are found again. One that changes how it is computed and not what says `is_in_key=False`.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from spa_lsp.adapters.manifest import MAX_TEMPERATURE

# behaviour: the exercise is what a pure function does, and its behaviour says what is right · self-align: an exercise
# about a function's concepts · oss-instruct: one that a snippet inspires; tests and solutions bear each other out
Recipe = Literal["behaviour", "self-align", "oss-instruct"]
# datainf, lissa (the paper's), cosine, less: of gradients · embedding: of hidden states · bm25: of words · approach: of
# the means of a program (`for`, `.append`, recursion) · random: of nothing
AttributeMethod = Literal["datainf", "lissa", "cosine", "less", "embedding", "bm25", "approach", "random"]
GRADIENT_METHODS: tuple[AttributeMethod, ...] = ("datainf", "lissa", "cosine", "less")
BASE_METHODS: tuple[AttributeMethod, ...] = (*GRADIENT_METHODS, "embedding")  # that ask a base
# balanced: parts of one size, each sample where it helps most · argmax: the paper's, of any size · kmeans: parts of one
# size, alike in their influence · solutions: of each task's solutions every part gets one · whole: no partition, every
# adapter gets all samples
PartitionMethod = Literal["balanced", "argmax", "kmeans", "solutions", "whole"]
Normalize = Literal["none", "zscore", "rank", "contrast"]
Activation = Literal["completion", "all"]
# parts: each adapter learns its own part · mcl: all see every item, and who finds it likeliest learns most of it
Objective = Literal["parts", "mcl"]

# the seven linears of a Llama-like block; LoRA on all of them
ALL_LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, kw_only=True)
class Option:
    """What a command line says of a field: its help, its bounds (`is_open`: without the lower one) and its name.

    `only_with` are another field and the values of it without which this one has no effect.
    """

    help: str
    low: float | None = None
    high: float | None = None
    is_open: bool = False
    metavar: str | None = None
    flag: str | None = None  # where it is not called as the field
    only_with: tuple[str, tuple[str, ...]] | None = None


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    is_open: bool = False,
    metavar: str | None = None,
    flag: str | None = None,
    only_with: tuple[str, tuple[str, ...]] | None = None,
    is_in_key: bool = True,
    is_added: bool = False,
) -> Any:
    """A field of a config that commands have as an option."""
    shown = Option(help=help, low=low, high=high, is_open=is_open, metavar=metavar, flag=flag, only_with=only_with)
    return field(default=default, metadata={"option": shown, "is_in_key": is_in_key, "is_added": is_added})


def as_options(config: Any, *, always: tuple[str, ...] = ()) -> list[str]:
    """What one types for a config of single values: the options that are not the default, and those of `always`."""
    typed: list[str] = []
    for each in fields(config):
        value, shown = getattr(config, each.name), each.metadata.get("option")
        if shown and (each.name in always or value != each.default):
            flag = shown.flag or f"--{each.name.replace('_', '-')}"
            typed += [flag] if value is True else [flag, str(value)]
    return typed


@dataclass(frozen=True, kw_only=True)
class SourcesConfig:
    """What samples are made of."""

    folders: tuple[Path, ...] = option(
        (), "Git repository, or a folder of one; may be given several times.", flag="--from", metavar="DIR"
    )
    packages: tuple[str, ...] = option(
        (),
        "Installed package with a permissive licence; may be given several times.",
        flag="--package",
        metavar="NAME",
    )


@dataclass(frozen=True, kw_only=True)
class SynthesizeConfig:
    """From seeds to tasks with several right solutions."""

    recipe: Literal["all", Recipe] = option("all", "How an exercise is made of a seed; all: the first that can.")
    responses: int = option(10, "Solutions that are tried for each exercise.", low=1, high=64)
    temperature: float = option(0.9, "Temperature at which solutions are sampled.", low=0, high=MAX_TEMPERATURE)

    @property
    def recipe_names(self) -> tuple[Recipe, ...]:
        """The recipes that may be used."""
        return get_args(Recipe) if self.recipe == "all" else (self.recipe,)


@dataclass(frozen=True, kw_only=True)
class ItemsConfig:
    """How samples become training items (`samples.py`)."""

    infill_share: float = option(0.8, "Share of infill items; the rest are instruct items.", low=0, high=1)
    infill_per_sample: int = 2  # different middles taken from one sample's code
    single_line_share: float = 0.1  # of the spans; the others have 2 to 8 lines
    editor_share: float = (
        0.4  # of the infill items: the cursor stands after the indentation; the others are whole lines
    )
    typed_share: float = 0.5  # of the infill items: the cursor stands some characters further, at any place
    # longer items are skipped and counted: cutting one would teach a false end
    max_tokens: int = option(320, "Longest item, in tokens; longer ones are left out.", low=16)
    holdout: int = 48  # samples never trained on: held-out loss


@dataclass(frozen=True, kw_only=True)
class AttributeConfig:
    """Influence of every sample on every anchor."""

    method: AttributeMethod = option("datainf", "Method of attribution.")
    # LESS warms up on 5 % of the data; a converged adapter destroys the signal
    warmup_samples: int = option(
        48, "Gradients: samples of the warm-up adapter.", low=1, only_with=("method", GRADIENT_METHODS)
    )
    warmup_rank: int = 4
    learning_rate: float = option(
        5e-4,
        "Gradients: learning rate of the warm-up adapter.",
        low=0,
        is_open=True,
        only_with=("method", GRADIENT_METHODS),
    )
    projected: int = 8  # columns kept of each LoRA gradient: 4 x 8 numbers per tensor
    batch: int = 8  # samples per backward pass
    # its gradient would cost too much
    max_tokens: int = option(
        220,
        "Gradients and embeddings: samples whose shortest item is longer are left out.",
        low=1,
        flag="--gradient-tokens",
        only_with=("method", BASE_METHODS),
    )
    # λ, DataInf's own constant
    damping: float = option(
        0.1, "datainf: share of the mean squared gradient.", low=0, is_open=True, only_with=("method", ("datainf",))
    )
    differences: bool = option(
        False,
        "Gradients and embeddings: less their mean over the solutions of the same task.",
        only_with=("method", BASE_METHODS),
        is_added=True,
    )
    # as many as LESS has; the cost is as many times that of datainf
    checkpoints: int = option(
        4,
        "less: points of the warm-up at which gradients are taken.",
        low=1,
        only_with=("method", ("less",)),
        is_added=True,
    )
    layer: Literal["middle", "last"] = option(
        "last", "embedding: the base's layer.", only_with=("method", ("embedding",)), is_added=True
    )


# Of the sets that are published. Sampled, the shipped set has half as much again that is distinct and correct as
# greedily, and its likeliest alternative is about as often correct; the figures are in its card.
SERVED_TEMPERATURE = 0.8


@dataclass(frozen=True, kw_only=True)
class PartitionConfig:
    """From influence `[N, Q]` to k disjoint parts."""

    method: PartitionMethod = option("balanced", "Method of partition.")
    normalize: Normalize = option(
        "contrast",
        "How the anchors' columns are made comparable.",
        only_with=("method", ("balanced", "argmax", "kmeans", "solutions")),
    )
    k: int = option(8, "Parts, each of which gets an adapter.", low=1, high=64)


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """One adapter per part, all k in one pass where memory allows."""

    init_from: str | None = option(
        None,
        "Adapter set that the adapters go on from; its rank, alpha and linears are kept.",
        metavar="SET",
        is_added=True,
    )
    rank: int = option(4, "LoRA rank r.", low=1, high=256)
    alpha: int = option(8, "LoRA scale; the adapter counts alpha / rank times.", low=1)
    target_modules: tuple[str, ...] = ALL_LINEARS
    activation: Activation = option(
        "completion", "Where adapters act: on the completion (one shared prompt pass) or on all tokens."
    )
    steps: int = option(20, "Optimizer steps of each adapter.", low=1)
    accumulate: int = option(4, "Items per adapter and step.", low=1)
    learning_rate: float = option(1e-3, "Learning rate at its highest.", low=0, is_open=True)
    warmup_steps: int = 3
    weight_decay: float = 0.01
    checkpoint_every: int = option(4, "Steps between checkpoints.", low=1, is_in_key=False)  # changes no weight
    at_once: int = option(  # neither does this
        0, "Adapters in one pass; 0: as many as memory allows.", low=0, is_in_key=False
    )
    objective: Objective = option(
        "parts",
        "Who learns an item: the adapter of its part, or mostly the one that finds it likeliest.",
        is_added=True,
    )
    mcl_epsilon: float = option(
        0.1,
        "mcl: share of an item that all others learn together.",
        low=0,
        high=1,
        only_with=("objective", ("mcl",)),
        is_added=True,
    )
    mcl_load: float = option(
        1.5,
        "mcl: items that one adapter may win, as a multiple of its fair share.",
        low=1,
        only_with=("objective", ("mcl",)),
        is_added=True,
    )
    shared_rank: int = option(0, "Of the rank so much is one core that all adapters share.", low=0, is_added=True)
    evaluate_every: int = option(
        0, "Steps between checks of the held-out loss.  [default: none; with --patience a tenth]", low=0, is_added=True
    )
    patience: int = option(
        0,
        "Stop after so many checks without a lower held-out loss, keep the best; 0: train to the end.",
        low=0,
        is_added=True,
    )

    @property
    def check_every(self) -> int:
        """Steps between two points of the loss curve."""
        return self.evaluate_every or max(1, self.steps // 10)

    @property
    def n_checks(self) -> int:
        """How often the held-out loss is measured on the way, if nothing stops it."""
        return -(-self.steps // self.check_every) if self.has_checks else 0

    @property
    def has_checks(self) -> bool:
        """Whether the held-out loss is measured on the way."""
        return self.evaluate_every > 0 or self.patience > 0


@dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """Whether a partition gives more than chance: a short training of its parts, and of random ones of their sizes."""

    steps: int = option(8, "Optimizer steps of each adapter.", low=1)
    held_out: int = option(48, "Samples that none is trained on, at most a fifth of all.", low=2)
    n_random: int = option(3, "Random partitions to compare with.", low=1, high=20, flag="--random")


@dataclass(frozen=True, kw_only=True)
class PublishConfig:
    """The set that is served."""

    name: str | None = option(None, "Name of the adapter set.  [default: method and run]", metavar="NAME")
    temperature: float = option(
        SERVED_TEMPERATURE, "Temperature at which the set is served; 0 is greedy.", low=0, high=MAX_TEMPERATURE
    )
    limit: int | None = None  # only that many adapters, the first ones


@dataclass(frozen=True, kw_only=True)
class ArmRecipe:
    """How the adapters of an evaluation's arm are made; everything not here is the budget, equal for all arms."""

    attribute: AttributeMethod
    partition: PartitionMethod
    is_single: bool = False  # one adapter that alone sees as many items as the k of another arm together


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What every arm that is trained gets alike; `finetune.steps` are those of one of k adapters."""

    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    items: ItemsConfig = field(default_factory=ItemsConfig)
    n_samples: int | None = None  # at most so many of the store's; None: all
    anchors_path: Path | None = None  # None: the bundled ones
    seed: int = 0
