"""The stages and what a run of each says: its settings and parents, which are its key, and the figures it ends with.

The only home of these facts; a stage hands its run to the next one, which reads them here. Fields of settings and
parents that are added later must be `is_added` (see `trainer.configs`), fields of figures must have a default: the
stores of older versions lack them.
"""

from dataclasses import dataclass, field

from trainer.configs import (
    ArmRecipe,
    AttributeConfig,
    AttributeMethod,
    Budget,
    CheckConfig,
    FinetuneConfig,
    ItemsConfig,
    PartitionConfig,
    PublishConfig,
    SynthesizeConfig,
)
from trainer.rows.runs import Run, Stage


@dataclass(frozen=True, kw_only=True)
class SynthesizeSettings:
    """What a synthesize run was asked for; not of which sources: another one, or a new commit, only adds its seeds."""

    synthesize: SynthesizeConfig
    base: str
    quantization: str


@dataclass(frozen=True, kw_only=True)
class SynthesizeParents:
    """The digest of the base."""

    base: str


@dataclass(frozen=True, kw_only=True)
class SynthesizeFigures:
    """Of all seeds that the run has done, in this call and before; times and rates of the work without the loading."""

    n_seeds_found: int  # in the sources of the last call
    n_seeds: int
    n_tasks: int
    n_samples: int
    n_by_model: int  # samples that are not a seed's own code
    n_tasks_of_two: int  # with two solutions or more
    recipes: dict[str, int]  # tasks of each
    outcomes: dict[str, int]  # seeds by what became of them
    left_out: dict[str, int]  # files by the reason, in the last call
    n_answers: int
    n_unreadable: int  # answers without a program
    n_wrong: int  # different programs that are not right
    n_masked: int  # personal data
    n_tokens: int
    work_s: float
    tokens_per_s: float | None = None
    tasks_per_minute: float | None = None
    samples_per_minute: float | None = None
    decontaminated: tuple[str, ...]  # benchmarks that were compared with
    benchmarks_missing: tuple[str, ...]
    sandbox: str


@dataclass(frozen=True, kw_only=True)
class SizesSettings:
    """What a call with a budget was asked for: the stages' configs before they were cut to size."""

    budget_s: float
    base: str
    attribute: AttributeConfig
    partition: PartitionConfig
    finetune: FinetuneConfig
    items: ItemsConfig
    most_steps: int | None = field(default=None, metadata={"is_added": True})  # None: as many as help
    may_choose: bool = field(default=False, metadata={"is_added": True})  # other methods, by what the samples are
    # what samples are made of: each folder with its commit, each package with its version
    sources: tuple[str, ...] = field(default=(), metadata={"is_added": True})
    synthesize: SynthesizeConfig = field(default=SynthesizeConfig(), metadata={"is_added": True})
    n_seeds: int | None = field(default=None, metadata={"is_added": True})  # None: all


@dataclass(frozen=True, kw_only=True)
class SizesParents:
    """Digests of the samples that there are, and of the base."""

    samples: str
    base: str


@dataclass(frozen=True, kw_only=True)
class SizesFigures:
    """What fits into the time."""

    method: AttributeMethod
    n_samples: int
    k: int
    steps: int
    warmup_steps: int
    holdout: int
    expected_s: float


@dataclass(frozen=True, kw_only=True)
class AttributeSettings:
    """What an attribute run was asked for."""

    attribute: AttributeConfig
    items: ItemsConfig


@dataclass(frozen=True, kw_only=True)
class AttributeParents:
    """Digests of what attribution reads; a base only where the method asks one."""

    samples: str
    anchors: str
    base: str | None = None


@dataclass(frozen=True, kw_only=True)
class AttributeFigures:
    """Of the samples whose influence is known; `correlation` is the mean one between anchors."""

    method: AttributeMethod
    language: str
    n_samples: int
    n_skipped: int
    anchors: tuple[str, ...]
    labels: tuple[str, ...]
    n_items: int  # of each anchor
    correlation: float
    samples_per_s: float | None = None  # gradients or embeddings of the last call; None: it computed none


@dataclass(frozen=True, kw_only=True)
class PartitionSettings:
    """What a partition run was asked for."""

    partition: PartitionConfig
    limit: int | None = None


@dataclass(frozen=True, kw_only=True)
class PartitionParents:
    """The run whose influence is divided; of its samples those that another attribute run has too."""

    attribute_run: str
    within_run: str | None = None


@dataclass(frozen=True, kw_only=True)
class PartitionFigures:
    """The parts and how much they can be trusted; None is not known, or has no meaning for the method."""

    sizes: dict[str, int]  # samples of each part by its name
    smallest_share: float
    largest_share: float
    moved_share: float | None = None  # samples that are not with the anchor they help most
    stability: float | None = None  # what it means: `trainer.partition.stability`
    stability_by_chance: float | None = None
    names: tuple[str, ...]
    labels: tuple[str, ...]
    attribute_method: AttributeMethod
    n_tasks: int | None = None  # by solution: all tasks, and those with two solutions or more
    n_tasks_of_two: int | None = None
    advice: str = ""  # what is wrong with the parts and what would be better


@dataclass(frozen=True, kw_only=True)
class CheckSettings:
    """What a check of a partition run was asked for; the steps are in `check`."""

    check: CheckConfig
    finetune: FinetuneConfig
    items: ItemsConfig
    base: str
    limit: int | None = None  # samples of each part


@dataclass(frozen=True, kw_only=True)
class CheckParents:
    """The run whose parts are checked, and the digests of the base and of the weights of its samples."""

    partition_run: str
    base: str
    weights: str | None = None


@dataclass(frozen=True, kw_only=True)
class CheckFigures:
    """How much lower the loss of a held-out sample is under its own part's adapter than under the others.

    In nats per token, with its 95 % interval over tasks: what it means is said in `trainer.partition.advantage`.
    """

    advantage: float
    low: float
    high: float
    parts: dict[str, float | None]  # of each part by its name; None: none of its samples is held out
    random: tuple[float, ...]  # of each random partition
    chance: float  # share of other deals of the held-out samples to the same parts that are as good
    is_more_than_chance: bool
    verdict: str  # one sentence for people, with the command that would be better where there is one
    n_held_out: int
    n_tasks: int  # that these solve
    items_per_adapter: int
    held_out_base: float
    held_out_mean: float  # of all adapters of the partition
    quantization: str
    device: str


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """What a finetune run was asked for."""

    finetune: FinetuneConfig
    items: ItemsConfig
    base: str
    limit: int | None = None  # samples of each part


@dataclass(frozen=True, kw_only=True)
class FinetuneParents:
    """The run whose parts are learned, and the digest of the base; of samples that do not count alike their weights.

    Of a set that the adapters go on from its digest, and the run that made it: what it had seen they have seen too.
    """

    partition_run: str
    base: str
    init_set: str | None = None
    init_run: str | None = None
    weights: str | None = None


@dataclass(frozen=True, kw_only=True)
class AdapterFigures:
    """Mean losses of one adapter in nats per token; None where no sample is held out."""

    train_loss_first: float | None = None
    train_loss_last: float | None = None
    held_out_own: float | None = None
    held_out_others: float | None = None
    held_out_base_own: float | None = None
    held_out_all: float | None = None


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """After so many steps: each adapter's mean loss since the point before, and its held-out loss, if it was measured.

    With the objective `mcl` the held-out loss is that of the best adapter for each item, and the same for all.
    """

    step: int
    train: tuple[float, ...]
    held_out: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FinetuneFigures:
    """The adapters by the number of their part, and what they took."""

    files: dict[int, str]
    sha256: dict[int, str]
    adapters: dict[int, AdapterFigures]
    held_out_base: float | None = None
    held_out_matrix: tuple[tuple[float | None, ...], ...] = ()  # [adapter][part]
    n_items: tuple[int, ...] = ()
    n_instruct_items: int = 0
    n_held_out: int = 0
    items_per_adapter: int = 0
    quantization: str = ""
    device: str = ""
    at_once: int = 0  # adapters in one pass
    curve: tuple[CurvePoint, ...] = ()
    best_steps: tuple[int, ...] = ()  # that each adapter's weights have seen
    n_won: tuple[int, ...] = ()  # items that each adapter won, with the objective `mcl`


@dataclass(frozen=True, kw_only=True)
class PublishParents:
    """The run whose adapters are served."""

    finetune_run: str


@dataclass(frozen=True, kw_only=True)
class PublishFigures:
    """The set that is served."""

    set_id: str
    name: str
    base: str
    n_bytes: int


@dataclass(frozen=True, kw_only=True)
class ArmSettings:
    """What an evaluation's arm is made by."""

    arm: str
    recipe: ArmRecipe
    k: int
    budget: Budget
    base: str


@dataclass(frozen=True, kw_only=True)
class ArmParents:
    """Digests of what all arms learn from; of samples that do not count alike their weights."""

    samples: str
    anchors: str
    base: str
    weights: str | None = None


@dataclass(frozen=True, kw_only=True)
class ArmFigures:
    """The arm's set, which lies in the run's folder, and the run that trained it."""

    name: str
    finetune_run: str


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """All that one attempt of an arm on a benchmark depends on."""

    arm: str
    benchmark: str
    layout: str
    answer_start: str = field(default="", metadata={"is_added": True})
    k: int
    temperature: float
    top_p: float
    max_tokens: int
    stop: str
    base: str
    quantization: str
    adapter_set: str
    lead: str = field(default="", metadata={"is_added": True})  # the adapter that answers first and greedily
    others: str = field(default="", metadata={"is_added": True})  # how the engine makes the rows behind a lead


@dataclass(frozen=True, kw_only=True)
class EvaluateParents:
    """Digests of the adapters; of the base none."""

    adapters: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EvaluateFigures:
    """Headline figures over the problems that were asked for last; None where they are not measured."""

    n_problems: int
    dc_near: float | None = None
    pass_first: float | None = None
    pass_at_1: float | None = None
    pass_at_k: float | None = None
    accuracy_loglik: float | None = None


SynthesizeRun = Run[SynthesizeSettings, SynthesizeParents, SynthesizeFigures]
SizesRun = Run[SizesSettings, SizesParents, SizesFigures]
AttributeRun = Run[AttributeSettings, AttributeParents, AttributeFigures]
PartitionRun = Run[PartitionSettings, PartitionParents, PartitionFigures]
CheckRun = Run[CheckSettings, CheckParents, CheckFigures]
FinetuneRun = Run[FinetuneSettings, FinetuneParents, FinetuneFigures]
PublishRun = Run[PublishConfig, PublishParents, PublishFigures]
ArmRun = Run[ArmSettings, ArmParents, ArmFigures]
EvaluateRun = Run[EvaluateSettings, EvaluateParents, EvaluateFigures]

SYNTHESIZE = Stage("synthesize", SynthesizeSettings, SynthesizeParents, SynthesizeFigures)
SIZES = Stage("sizes", SizesSettings, SizesParents, SizesFigures)
ATTRIBUTE = Stage("attribute", AttributeSettings, AttributeParents, AttributeFigures)
PARTITION = Stage("partition", PartitionSettings, PartitionParents, PartitionFigures)
CHECK = Stage("check", CheckSettings, CheckParents, CheckFigures)
FINETUNE = Stage("finetune", FinetuneSettings, FinetuneParents, FinetuneFigures)
PUBLISH = Stage("publish", PublishConfig, PublishParents, PublishFigures)
ARM = Stage("arm", ArmSettings, ArmParents, ArmFigures)
EVALUATE = Stage("evaluate", EvaluateSettings, EvaluateParents, EvaluateFigures)
