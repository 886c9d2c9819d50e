"""The gradient stage: samples and anchors in, influence `[N, Q, items]` out, each sample's gradient kept as a row.

A broken run finds the gradients it has already written; only the warm-up, some minutes, is done anew.
"""

from collections.abc import Iterator, Sequence

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
from trainer.attribute.datainf import datainf
from trainer.attribute.gradients import sample_gradients, warm_up
from trainer.configs import AttributeConfig, ItemsConfig
from trainer.items import token_items
from trainer.loss import TokenItem
from trainer.runs import Run
from trainer.samples import Sample, make_items


def datainf_stage(
    db: Database,
    samples: Sequence[Sample],
    anchors: Sequence[Anchor],
    config: AttributeConfig,
    items_config: ItemsConfig,
    run: Run,
    base_id: str,
) -> NDArray[np.float32]:
    """Influence of every sample on every anchor item, `[N, Q, items]`; NaN for a sample that has no fitting item.

    A sample is represented by its shortest item: the gradient of a few lines says what kind of code it is, and costs a
    third of the whole solution's.

    Raises:
        BadInput: no sample has an item.
    """
    base = load_base(base_id)
    chosen = {sample.id: item for sample in samples if (item := _shortest_item(sample, items_config, run.seed, base))}
    if not chosen:
        raise BadInput("no sample has code that fits into an item; import Python samples or raise --max-tokens")
    bank = AdapterBank(base.model)
    _warm_up(base, bank, list(chosen.values()), config, run)
    sizes = {len(anchor.items) for anchor in anchors}
    assert len(sizes) == 1, "anchors of unequal size"
    queries = [item for anchor in anchors for item in _anchor_items(anchor, base)]
    wanted = {**{f"query:{item.item_id}": item for item in queries}, **chosen}
    gradients = _all_gradients(db, base, bank, wanted, config, run)
    train = torch.stack([gradients[sample_id] for sample_id in chosen])
    query = torch.stack([gradients[f"query:{item.item_id}"] for item in queries])
    influence = np.full((len(samples), len(anchors), sizes.pop()), np.nan, dtype=np.float32)
    is_known = [sample.id in chosen for sample in samples]
    influence[is_known] = datainf(train, query, config.damping).numpy().reshape(len(chosen), len(anchors), -1)
    return influence


def _shortest_item(sample: Sample, config: ItemsConfig, seed: int, base: LoadedBase) -> TokenItem | None:
    items = make_items(sample, config=config, seed=seed)
    fitting = token_items(items, base.prompt, stop_id=base.end_id, max_tokens=config.max_tokens)
    return min(fitting, key=lambda item: item.n_tokens, default=None)


def _anchor_items(anchor: Anchor, base: LoadedBase) -> list[TokenItem]:
    return token_items(
        anchor.items, base.prompt, stop_id=base.end_id, max_tokens=base.model.config.max_position_embeddings
    )


def _warm_up(base: LoadedBase, bank: AdapterBank, items: list[TokenItem], config: AttributeConfig, run: Run) -> None:
    spread = items[:: max(1, len(items) // config.warmup_samples)][: config.warmup_samples]
    with progress("warm-up", max(1, len(spread) // config.batch), "steps") as bar:
        warm_up(base, bank, spread, config, seed=run.seed, on_step=bar.advance)


def _all_gradients(
    db: Database, base: LoadedBase, bank: AdapterBank, wanted: dict[str, TokenItem], config: AttributeConfig, run: Run
) -> dict[str, Tensor]:
    """Gradient `[L, P]` of every item by key, from the store where it is there already."""
    shape = (len(bank.linears), 2 * config.warmup_rank * config.projected)
    rows = db.query("SELECT sample_id, data FROM gradients WHERE run_id = ?", [run.id])
    found = {row["sample_id"]: _unpack(row["data"], shape) for row in rows}
    missing = sorted((key for key in wanted if key not in found), key=lambda key: wanted[key].n_tokens)
    with progress("gradients", len(wanted), "items") as bar:
        bar.advance(len(wanted) - len(missing))
        for keys in _batches(missing, config.batch):
            gradients = sample_gradients(base, bank, [wanted[key] for key in keys], config, seed=run.seed).half()
            with db.atomic():
                db.table("gradients").insert_all(
                    {"run_id": run.id, "sample_id": key, "data": gradient.numpy().tobytes()}
                    for key, gradient in zip(keys, gradients, strict=True)
                )
            found |= {key: gradient.float() for key, gradient in zip(keys, gradients, strict=True)}
            bar.advance(len(keys))
    return {key: found[key] for key in wanted}


def _batches(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))


def _unpack(data: bytes, shape: tuple[int, int]) -> Tensor:
    return torch.from_numpy(np.frombuffer(data, dtype=np.float16).reshape(shape).astype(np.float32))
