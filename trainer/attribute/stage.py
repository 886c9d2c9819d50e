"""The gradient stage: samples and anchors in, influence `[N, Q, items]` out, each sample's gradient kept as a row.

A broken run goes on with the warm-up adapter it had and the gradients it has already written.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sqlite_utils import Database
from torch import Tensor

from spa_lsp.errors import BadInput
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.lm.load import LoadedBase, load_base
from spa_lsp.progress import progress
from trainer.attribute.anchors import Anchor
from trainer.attribute.cosine import cosine
from trainer.attribute.datainf import datainf
from trainer.attribute.gradients import sample_gradients, warm_up
from trainer.attribute.lissa import lissa
from trainer.configs import AttributeConfig, ItemsConfig
from trainer.data.items import TokenItem, check_layouts, token_items
from trainer.data.samples import Sample, make_items
from trainer.rows.build_set import run_folder
from trainer.rows.stages import AttributeRun


def gradient_stage(
    db: Database,
    samples: Sequence[Sample],
    anchors: Sequence[Anchor],
    config: AttributeConfig,
    items_config: ItemsConfig,
    run: AttributeRun,
    base_id: str,
) -> NDArray[np.float32]:
    """Influence of every sample on every anchor item, `[N, Q, items]`; NaN for a sample that has no item short enough.

    A sample is represented by its shortest item: the gradient of a few lines says what kind of code it is, and costs a
    third of the whole solution's.

    Raises:
        BadInput: no sample has an item.
    """
    base = load_base(base_id, is_training=True)
    check_layouts(base, items_config)
    chosen = {sample.id: item for sample in samples if (item := _shortest_item(sample, items_config, run.seed, base))}
    if not any(item.n_tokens <= config.max_tokens for item in chosen.values()):
        raise BadInput(f"no sample has an item of at most {config.max_tokens} tokens; import other Python samples")
    queries = [item for anchor in anchors for item in _anchor_items(anchor, base)]
    short = {sample_id: item for sample_id, item in chosen.items() if item.n_tokens <= config.max_tokens}
    wanted = {**{f"query:{item.item_id}": item for item in queries}, **short}
    n_items = len(queries) // len(anchors)
    gradients = _stored_gradients(db, run)
    missing = {key: item for key, item in wanted.items() if key not in gradients}
    if missing and not _warm_up_path(run).exists():  # gradients under two warm-ups cannot be compared
        gradients, missing = {}, wanted
    if missing:
        bank = AdapterBank(base.model, device=base.device)
        _warm_up(base, bank, list(chosen.values()), config, run)
        gradients |= _new_gradients(db, base, bank, missing, config, run)
    finite = [sample_id for sample_id in short if bool(gradients[sample_id].isfinite().all())]
    query = torch.stack([gradients[f"query:{item.item_id}"] for item in queries])
    if not finite or not bool(query.isfinite().all()):
        raise BadInput("gradients are not finite; choose a lower --learning-rate for the warm-up")
    train = torch.stack([gradients[sample_id] for sample_id in finite])
    influence = np.full((len(samples), len(anchors), n_items), np.nan, dtype=np.float32)
    is_known = [sample.id in set(finite) for sample in samples]
    influence[is_known] = _scores(train, query, config, run.seed).numpy().reshape(len(finite), len(anchors), n_items)
    return influence


def _scores(train: Tensor, query: Tensor, config: AttributeConfig, seed: int) -> Tensor:
    if config.method == "cosine":
        return cosine(train, query)
    return lissa(train, query, seed=seed) if config.method == "lissa" else datainf(train, query, config.damping)


def _shortest_item(sample: Sample, config: ItemsConfig, seed: int, base: LoadedBase) -> TokenItem | None:
    items = make_items(sample, config=config, seed=seed)
    fitting = token_items(items, base.prompt, stop_id=base.end_id, max_tokens=config.max_tokens)
    return min(fitting, key=lambda item: item.n_tokens, default=None)


def _anchor_items(anchor: Anchor, base: LoadedBase) -> list[TokenItem]:
    limit = base.model.config.max_position_embeddings
    items = token_items(anchor.items, base.prompt, stop_id=base.end_id, max_tokens=limit)
    if len(items) < len(anchor.items):
        raise BadInput(f"an item of anchor {anchor.name!r} is longer than the base's {limit} tokens; shorten it")
    return items


def _warm_up(
    base: LoadedBase, bank: AdapterBank, items: list[TokenItem], config: AttributeConfig, run: AttributeRun
) -> None:
    spread = items[:: max(1, len(items) // config.warmup_samples)][: config.warmup_samples]
    with progress("warm-up", max(1, len(spread) // config.batch), "steps") as bar:
        warm_up(base, bank, spread, config, seed=run.seed, checkpoint=_warm_up_path(run), on_step=bar.advance)


def _warm_up_path(run: AttributeRun) -> Path:
    return run_folder(run) / "warm-up.safetensors"


def _stored_gradients(db: Database, run: AttributeRun) -> dict[str, Tensor]:
    """Gradients `[L, P]` that the run has written, by key."""
    rows = db.query("SELECT sample_id, data FROM gradients WHERE run_id = ?", [run.id])
    return {row["sample_id"]: _unpack(row["data"]) for row in rows}


def _new_gradients(
    db: Database,
    base: LoadedBase,
    bank: AdapterBank,
    items: dict[str, TokenItem],
    config: AttributeConfig,
    run: AttributeRun,
) -> dict[str, Tensor]:
    """Compute and write the gradient of every item, shortest first so that little is padded."""
    keys = sorted(items, key=lambda key: items[key].n_tokens)
    found: dict[str, Tensor] = {}
    with progress("gradients", len(keys), "items") as bar:
        for batch in _batches(keys, config.batch):
            gradients = sample_gradients(base, bank, [items[key] for key in batch], config, seed=run.seed).half()
            packed = {key: _pack(gradient) for key, gradient in zip(batch, gradients, strict=True)}
            with db.atomic():
                rows = ({"run_id": run.id, "sample_id": key, "data": data} for key, data in packed.items())
                db.table("gradients").insert_all(rows, replace=True)
            found |= {key: _unpack(data) for key, data in packed.items()}
            bar.advance(len(batch))
    return found


def _batches(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))


def _pack(gradient: Tensor) -> bytes:
    """float16 with its shape in front, two 32-bit numbers."""
    return np.array(gradient.shape, dtype="<i4").tobytes() + gradient.numpy().astype("<f2").tobytes()


def _unpack(data: bytes) -> Tensor:
    shape = tuple(np.frombuffer(data, dtype="<i4", count=2))
    return torch.from_numpy(np.frombuffer(data, dtype="<f2", offset=8).reshape(shape).astype(np.float32))
