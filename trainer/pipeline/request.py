"""What one call of `trainer run` asks for: where samples come from, the stages' configs, and what holds for all."""

from dataclasses import dataclass
from pathlib import Path

from spa_lsp.bases.catalog import DEFAULT_BASE
from trainer.configs import (
    AttributeConfig,
    FinetuneConfig,
    ItemsConfig,
    PartitionConfig,
    PublishConfig,
    SourcesConfig,
    SynthesizeConfig,
)


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """Samples come from a file, from sources, from what was accepted in editors, or from several of these."""

    path: Path | None = None
    from_outcomes: bool = False
    sources: SourcesConfig = SourcesConfig()
    n_seeds: int | None = None  # of the sources, the first ones; None: all
    data: Path | None = None  # folder of benchmarks that made samples are kept clear of
    synthesize: SynthesizeConfig = SynthesizeConfig()
    attribute: AttributeConfig = AttributeConfig()
    partition: PartitionConfig = PartitionConfig()
    finetune: FinetuneConfig = FinetuneConfig()
    items: ItemsConfig = ItemsConfig()
    publish: PublishConfig = PublishConfig()
    base_id: str = DEFAULT_BASE
    language: str = "python"
    anchors_path: Path | None = None  # None: the bundled ones
    limit: int | None = None  # samples, the first ones of the store; None: all
    seed: int = 0
    budget_s: float | None = None  # None: as long as it takes, in the sizes of the configs
    most_steps: int | None = None  # with a budget; None: as many as help
    may_choose: bool = False  # other methods of attribution and partition, by what the samples are
