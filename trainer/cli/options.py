"""The options that several commands of the trainer have, each written once. Imports nothing heavy."""

from pathlib import Path

import click

from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.settings.schema import QUANTIZATIONS

SEED = click.IntRange(0, 2**31 - 1)  # what every generator takes

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
base = click.option("--base", "base_id", metavar="ID", default=DEFAULT_BASE, show_default=True, help="Base model.")
quantization = click.option(
    "--quantization", type=click.Choice(QUANTIZATIONS), default="auto", show_default=True, help="Precision of the base."
)
seed = click.option("--seed", type=SEED, default=0, show_default=True, help="Of everything that is drawn.")
data = click.option(
    "--data", envvar="SPA_DATA", type=click.Path(path_type=Path), help="Folder of the benchmarks.  [env: SPA_DATA]"
)
hub = click.option("--hub", is_flag=True, help="Download humaneval and mbpp-sanitized where nothing else has them.")
unsafe_no_sandbox = click.option("--unsafe-no-sandbox", is_flag=True, help="Run programs even where no sandbox works.")
