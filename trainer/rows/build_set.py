"""From a finished finetune run to the adapter set that is published: names, labels, figures, files. Writes nothing."""

import hashlib
import math
from pathlib import Path
from typing import Any

from spa_lsp import paths
from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.writing import describe_adapter
from spa_lsp.bases.catalog import InstalledBase
from spa_lsp.errors import Damaged, NotFound
from spa_lsp.storage.checked_files import hash_file
from trainer.rows.records import plain
from trainer.rows.runs import AnyRun
from trainer.rows.stages import AdapterFigures, FinetuneRun, PartitionRun


def run_folder(run: AnyRun) -> Path:
    """Where a run keeps its checkpoints and adapter files."""
    return runs_dir() / run.id


def runs_dir() -> Path:
    """The folder of the folders of all runs."""
    return paths.cache_dir() / "runs"


def adapter_files(run: FinetuneRun) -> dict[int, Path]:
    """The safetensors file of each part of a finished finetune run, by the part's number, in order."""
    return {part: run_folder(run) / name for part, name in sorted(run.figures.files.items())}


def has_adapter_files(run: FinetuneRun) -> bool:
    """Whether every adapter of a finished run still lies in the cache as it was written."""
    digests = run.figures.sha256
    return all(path.is_file() and hash_file(path) == digests.get(part) for part, path in adapter_files(run).items())


def build_set(
    run: FinetuneRun,
    divided: PartitionRun,
    *,
    name: str,
    base: InstalledBase,
    data: dict[str, Any],
    temperature: float = 0.0,
    limit: int | None = None,
) -> tuple[AdapterSet, dict[str, bytes]]:
    """The set of a finetune run and its adapters' bytes by name; the parts of `divided` give names and labels.

    With `limit`, of the first that many parts; `temperature` is what they are served at.

    Raises:
        NotFound: a file is gone from the cache. Damaged: it is not as training wrote it.
    """
    names, labels, sizes = divided.figures.names[:limit], divided.figures.labels, divided.figures.sizes
    digests = run.figures.sha256
    files = {names[part]: _read(path, digests[part]) for part, path in adapter_files(run).items() if part < len(names)}
    own, most = run.figures.adapters, run.settings.limit
    infos = [
        describe_adapter(
            names[part],
            files[names[part]],
            label=labels[part],
            figures={"n_samples": min(sizes[names[part]], most or math.inf), **_known(own.get(part, AdapterFigures()))},
        )
        for part in range(len(names))
    ]
    config = run.settings.finetune
    adapter_set = AdapterSet(
        name=name,
        base_id=base.id,
        base_sha256=base.weights_sha256,
        tokenizer_sha256=base.tokenizer_sha256,
        rank=config.rank,
        alpha=float(config.alpha),
        target_modules=config.target_modules,
        activation=config.activation,
        layouts=_layouts(run.settings.items.infill_share),
        method=f"{divided.figures.attribute_method}, {divided.settings.partition.method}",
        run_id=run.id,
        data=data,
        figures=_set_figures(run, divided),
        adapters=tuple(infos),
        temperature=temperature,
    )
    return adapter_set, files


def _read(path: Path, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotFound(f"cannot read {path} ({error.strerror}); run: trainer finetune") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Damaged(f"{path} is not as training wrote it; run: trainer finetune")
    return data


def _layouts(infill_share: float) -> tuple[str, ...]:
    return (*(["infill"] if infill_share > 0 else []), *(["instruct"] if infill_share < 1 else []))


def _known(figures: AdapterFigures) -> dict[str, Any]:
    return {name: value for name, value in plain(figures).items() if value is not None}


def _set_figures(run: FinetuneRun, divided: PartitionRun) -> dict[str, Any]:
    own = plain(run.figures)
    training = {name: value for name, value in own.items() if name not in ("files", "sha256", "adapters")}
    found = plain(divided.figures)
    parts = {name: found[name] for name in ("sizes", "stability", "stability_by_chance", "moved_share")}
    return {"partition": parts, "finetune": training, "config": run.record["config"]}
