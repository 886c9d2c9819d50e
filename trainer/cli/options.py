"""The options that several commands of the trainer have, each written once. Imports nothing heavy."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.settings.schema import QUANTIZATIONS
from trainer.configs import (
    Activation,
    AttributeConfig,
    AttributeMethod,
    FinetuneConfig,
    ItemsConfig,
    Normalize,
    PartitionConfig,
    PartitionMethod,
)

_Command = TypeVar("_Command", bound=Callable[..., Any])

SEED = click.IntRange(0, 2**31 - 1)  # what every generator takes


def of_field(
    config: type, name: str, kind: "click.ParamType[Any]", *, flag: str | None = None
) -> Callable[[_Command], _Command]:
    """The option of a stage config's field, with its default and help; `flag` where it is not called as the field."""
    (found,) = (each for each in fields(config) if each.name == name)
    text = found.metadata["help"]
    return click.option(
        flag or f"--{name.replace('_', '-')}", type=kind, default=found.default, show_default=True, help=text
    )


_ABOVE_0 = click.FloatRange(min=0, min_open=True)
_FROM_1 = click.IntRange(min=1)

infill_share = of_field(ItemsConfig, "infill_share", click.FloatRange(0, 1))
max_tokens = of_field(ItemsConfig, "max_tokens", click.IntRange(min=16))
attribute_method = of_field(AttributeConfig, "method", click.Choice(get_args(AttributeMethod)))
warmup_samples = of_field(AttributeConfig, "warmup_samples", _FROM_1)
gradient_tokens = of_field(AttributeConfig, "max_tokens", _FROM_1, flag="--gradient-tokens")
damping = of_field(AttributeConfig, "damping", _ABOVE_0)
warmup_learning_rate = of_field(AttributeConfig, "learning_rate", _ABOVE_0)
_divide = click.Choice(get_args(PartitionMethod))
partition_method = of_field(PartitionConfig, "method", _divide)
partition_method_too = of_field(PartitionConfig, "method", _divide, flag="--partition-method")
normalize = of_field(PartitionConfig, "normalize", click.Choice(get_args(Normalize)))
k = of_field(PartitionConfig, "k", click.IntRange(1, 64))
rank = of_field(FinetuneConfig, "rank", click.IntRange(1, 256))
alpha = of_field(FinetuneConfig, "alpha", _FROM_1)
activation = of_field(FinetuneConfig, "activation", click.Choice(get_args(Activation)))
steps = of_field(FinetuneConfig, "steps", _FROM_1)
accumulate = of_field(FinetuneConfig, "accumulate", _FROM_1)
learning_rate = of_field(FinetuneConfig, "learning_rate", _ABOVE_0)
checkpoint_every = of_field(FinetuneConfig, "checkpoint_every", _FROM_1)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
base = click.option(
    "--base", "base_id", metavar="ID", default=DEFAULT_BASE, show_default=True, help="Base, see spa-lsp models list."
)
quantization = click.option(
    "--quantization", type=click.Choice(QUANTIZATIONS), default="auto", show_default=True, help="Precision of the base."
)
seed = click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of everything that is drawn.")
data = click.option(
    "--data", envvar="SPA_DATA", type=click.Path(path_type=Path), help="Folder of the benchmarks.  [env: SPA_DATA]"
)
hub = click.option("--hub", is_flag=True, help="Download humaneval and mbpp-sanitized where nothing else has them.")
unsafe_no_sandbox = click.option("--unsafe-no-sandbox", is_flag=True, help="Run programs even where no sandbox works.")
allow_package = click.option(
    "--allow-package",
    "allow_packages",
    multiple=True,
    metavar="NAME",
    help="Let programs import this installed package, as in numpy; may be given again.",
)
