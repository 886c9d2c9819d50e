"""The adapter set of an arm: found by its name, found finished, or trained now from the recipe, all with one budget.

All arms learn from the same samples: those that influence could be computed for. `single` takes k times the steps of
one adapter of a set, so that it sees as many items as all k together.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlite_utils import Database

from spa_lsp.adapters.check import check_made_for
from spa_lsp.adapters.finding import find_set, list_sets
from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.adapters.reading import read_set
from spa_lsp.adapters.writing import write_set
from spa_lsp.bases.catalog import find_base, installed_base
from spa_lsp.errors import BadInput, NotFound
from trainer.attribute.anchors import anchors_digest, load_anchors
from trainer.configs import AttributeConfig, Budget, PartitionConfig
from trainer.data.samples import load_samples, weights_digest
from trainer.evaluate.arms import ArmEntry
from trainer.pipeline.stage_rows import data_record
from trainer.pipeline.stages import run_attribute, run_finetune, run_partition
from trainer.rows.build_set import build_set, run_folder
from trainer.rows.records import content_id
from trainer.rows.runs import begin_run, finish_run, finished_run
from trainer.rows.stages import ARM, ArmFigures, ArmParents, ArmSettings

logger = logging.getLogger(__name__)


def arm_set(db: Database, entry: ArmEntry, *, base_id: str, budget: Budget, may_train: bool) -> AdapterSet | None:
    """The adapters of an arm; None for the base.

    In this order: the set named in the entry; a set called `ARM-kK`, say `random-k8`; the one trained here before with
    this budget; a newly trained one; for `influence`, when the store has nothing to train on or training is forbidden,
    the set in use.

    Raises:
        NotFound: none of these.
        BadInput: the set has not enough adapters.
        AdapterMismatch: the set was made for another base.
    """
    if entry.arm.recipe is None:
        return None
    found = _named_set(entry, base_id) or _trained_before(db, entry, base_id, budget)
    if found is None and may_train and load_samples(db, limit=1):
        found = _train(db, entry, base_id, budget)
    if found is None and entry.arm.name == "influence":
        found = find_set(None, base_id)
        logger.warning("arm influence: taking the set in use, %s (%s)", found.name, found.method)
    if found is None:
        why = "it may not be trained (--no-train)" if not may_train else "the store has no samples to train it on"
        raise NotFound(
            f"arm {entry.label!r} has no adapter set for k={entry.k} and {why}; run: trainer import FILE and leave out "
            f"--no-train, or name a set: {entry.arm.name}=NAME"
        )
    return _checked(found, entry, base_id)


def check_budgets(sets: Sequence[tuple[ArmEntry, AdapterSet]]) -> str | None:
    """A sentence about arms whose sets were not trained alike; None when all were."""
    trainings = {entry.label: _training(entry, found) for entry, found in sets}
    first = next(iter(trainings), "")
    others = [label for label, training in trainings.items() if training != trainings[first]]
    if not others:
        return None
    return f"arms {first} and {', '.join(others)} were not trained with equal budgets; compare them with care"


def _named_set(entry: ArmEntry, base_id: str) -> AdapterSet | None:
    if entry.set_name:
        return find_set(entry.set_name, base_id)
    name = f"{entry.arm.name}-k{entry.k}"
    return next((found for found in list_sets(base_id) if found.name == name), None)


def _trained_before(db: Database, entry: ArmEntry, base_id: str, budget: Budget) -> AdapterSet | None:
    settings, parents = _key(db, entry, base_id, budget)
    run = finished_run(db, ARM, settings, parents=parents, seed=budget.seed)
    folder = run_folder(run) / "set" if run else None
    return read_set(folder) if folder and folder.is_dir() else None


def _key(db: Database, entry: ArmEntry, base_id: str, budget: Budget) -> tuple[ArmSettings, ArmParents]:
    """Settings and parents of the run that makes an arm's set."""
    recipe = entry.arm.recipe
    assert recipe is not None
    settings = ArmSettings(arm=entry.arm.name, recipe=recipe, k=entry.k, budget=budget, base=base_id)
    samples = load_samples(db, limit=budget.n_samples)
    parents = ArmParents(
        samples=content_id([sample.id for sample in samples]),
        anchors=anchors_digest(load_anchors(budget.anchors_path)),
        base=find_base(base_id).sha256,
        weights=weights_digest(samples),
    )
    return settings, parents


def _train(db: Database, entry: ArmEntry, base_id: str, budget: Budget) -> AdapterSet:
    """Attribute, divide and train through the stages, which skip what they have done."""
    recipe = entry.arm.recipe
    assert recipe is not None
    settings, parents = _key(db, entry, base_id, budget)
    run = begin_run(db, ARM, settings, parents=parents, seed=budget.seed)
    common: dict[str, Any] = {
        "base_id": base_id,
        "limit": budget.n_samples,
        "anchors_path": budget.anchors_path,
        "seed": budget.seed,
        "is_of_arm": True,
    }
    shared = run_attribute(db, AttributeConfig(), budget.items, **common).run
    method = AttributeConfig(method=recipe.attribute)
    attributed = run_attribute(db, method, budget.items, **common).run
    k = 1 if recipe.is_single else entry.k
    divide = PartitionConfig(method=recipe.partition, k=k)
    divided = run_partition(db, divide, run_id=attributed.id, within=shared.id, seed=budget.seed, is_of_arm=True).run
    steps = budget.finetune.steps * (entry.k if recipe.is_single else 1)
    finetune = replace(budget.finetune, steps=steps)
    trained = run_finetune(
        db, finetune, budget.items, base_id=base_id, run_id=divided.id, seed=budget.seed, is_of_arm=True
    ).run
    base = installed_base(find_base(base_id))
    name = f"{entry.arm.name}-k{entry.k}"
    made, files = build_set(trained, divided, name=name, base=base, data=data_record(db, divided))
    found = write_set(run_folder(run) / "set", made, files, is_replacing=True)
    finish_run(db, run, ArmFigures(name=name, finetune_run=trained.id))
    return found


def _checked(found: AdapterSet, entry: ArmEntry, base_id: str) -> AdapterSet:
    assert entry.arm.recipe is not None
    needed = 1 if entry.arm.recipe.is_single else entry.k
    check_made_for(found, base_id)
    if found.k < needed:
        raise BadInput(
            f"adapter set {found.name!r} has {found.k} adapters, arm {entry.label!r} needs {needed}; lower --k"
        )
    return found


def _training(entry: ArmEntry, found: AdapterSet) -> dict[str, Any]:
    """What must be equal: the training of one of k adapters, and the number of samples."""
    config = dict(found.figures.get("config", {}).get("finetune", {}))
    if entry.arm.recipe is not None and entry.arm.recipe.is_single and "steps" in config:
        config["steps"] /= entry.k
    return {**config, "n_samples": found.data.get("n_samples")}
