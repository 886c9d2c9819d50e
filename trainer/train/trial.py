"""Short trainings of several partitions of the same samples, and the same held-out items under each one's adapters.

The loop is that of the finetune stage. Each partition is kept when it is done, so that a broken trial goes on.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from spa_lsp.errors import BadInput
from spa_lsp.lm.load import load_tokens
from spa_lsp.progress import note
from trainer.configs import FinetuneConfig, ItemsConfig
from trainer.data.items import PartItems, TokenItem, check_layouts, part_items
from trainer.data.samples import Sample
from trainer.executor.held_base import HeldBase
from trainer.executor.work import Local
from trainer.rows.records import plain, read_record
from trainer.train.checkpoint import write_bytes
from trainer.train.group_work import Group, Trained, Training

Items = Mapping[str, Sequence[TokenItem]]  # of each sample by its id


def trial_items(samples: Sequence[Sample], items: ItemsConfig, base_id: str, seed: int) -> dict[str, list[TokenItem]]:
    """The training items of the samples that have some of at most `max_tokens`."""
    tokens = load_tokens(base_id)
    check_layouts(tokens, items)
    found = {sample.id: list(part_items([sample], tokens, items, n_held=0, seed=seed).train) for sample in samples}
    return {sample_id: own for sample_id, own in found.items() if own}


def try_partitions(
    partitions: Sequence[Sequence[Sequence[str]]],
    held: Sequence[str],
    items: Items,
    config: FinetuneConfig,
    *,
    base_id: str,
    folder: Path,
    seed: int,
) -> list[Trained]:
    """Of each partition how its training went; `held_out` has the losses, in the order of `held`.

    Args:
        partitions: the samples that each part is trained on, by their ids.
        held: samples that none is trained on; of each the first item is measured.
        items: from `trial_items`.
        config: what each partition gets alike; adapter k of each starts from the same numbers.
        base_id: the base.
        folder: for checkpoints and what is done.
        seed: of the adapters and of the order of items.

    Raises:
        BadInput: a part has nothing to be trained on.
    """
    base, found = HeldBase(base_id), []
    held_items = tuple(items[sample_id][0] for sample_id in held)
    for number, partition in enumerate(partitions):
        data = [PartItems(train=tuple(item for own in part for item in items[own]), held=()) for part in partition]
        if not all(own.train for own in data):
            raise BadInput("a part has only samples that are held out; choose a smaller --k, or --method balanced")
        note(f"partition {number + 1} of {len(partitions)}: {'the one to check' if number == 0 else 'a random one'}")
        # every item is measured under all adapters, whatever its part is
        data[0] = replace(data[0], held=held_items)
        own_folder = folder / f"partition-{number}"
        work = Training(
            base=base,
            data=data,
            config=config,
            seed=seed,
            start_set=None,
            start_names=(),
            folder=own_folder,
            is_base_measured=number == 0,
        )
        found.append(_trained(work, own_folder / "trained.json"))
    return found


def _trained(work: Training, path: Path) -> Trained:
    """The training that this file tells of; what a broken one has done is in the checkpoint beside it."""
    if path.exists():
        return read_record(Trained, json.loads(path.read_text(encoding="utf-8")), of=str(path))
    found: list[Trained] = []
    group = Group(first=0, n_adapters=len(work.data))
    Local().run(work, [group], lambda rows: found.extend(trained for trained, _ in rows))
    write_bytes(path, json.dumps(plain(found[0])).encode())
    return found[0]
