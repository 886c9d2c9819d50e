"""Whether a division can be trusted, and what to do where it cannot: bootstraps of the query items against chance."""

from dataclasses import replace
from typing import get_args

from spa_lsp.progress import progress
from trainer.configs import Normalize, PartitionConfig
from trainer.partition.normalize import Influence, comparable_items
from trainer.partition.solutions import Tasks
from trainer.partition.stability import N_BOOTSTRAPS, chance_stability, stability
from trainer.rows.stages import PartitionFigures

LEAST_SIGNAL = 0.1  # stability above chance; below, most of the division is an accident of the query items
_TINY_SHARE = 0.25  # of the samples that a part of equal size would have
_MAX_TRIED = 2000  # samples on which other ways are tried


def stabilities(
    influence: Influence, config: PartitionConfig, seed: int, tasks: Tasks = ()
) -> tuple[float | None, float | None]:
    """Of the parts, and by chance; influence `[N, K, items]` as the division saw it."""
    with progress("bootstraps", 2 * N_BOOTSTRAPS) as shown:
        own = stability(influence, config, seed=seed, tasks=tasks, on_draw=shown.advance)
        by_chance = chance_stability(influence, config, seed=seed, tasks=tasks, on_draw=shown.advance)
    return own, by_chance


def is_signal(own: float | None, by_chance: float | None) -> bool:
    """Whether parts say more than chance would; yes where nothing can be measured."""
    return own is None or by_chance is None or own >= by_chance + LEAST_SIGNAL


def advice(
    figures: PartitionFigures, influence: Influence, config: PartitionConfig, seed: int, tasks: Tasks = ()
) -> str:
    """What is wrong with the parts and which command would be better; "" when nothing is. Influence is the raw one."""
    said = [] if figures.attribute_method == "random" else _weak(figures, influence, config, seed, tasks)
    equal = sum(figures.sizes.values()) / len(figures.sizes)
    tiny = [f"{name} ({n})" for name, n in figures.sizes.items() if n < _TINY_SHARE * equal]
    if tiny:
        said.append(f"parts of hardly any sample: {', '.join(tiny)}; try: trainer partition --method balanced")
    n_one = (figures.n_tasks or 0) - (figures.n_tasks_of_two or 0)
    if 2 * n_one > (figures.n_tasks or 0):
        said.append(
            f"{n_one} of {figures.n_tasks} tasks have one solution, which all parts get; more come of: "
            "trainer synthesize --responses 20"
        )
    return "; ".join(said)


def _weak(
    figures: PartitionFigures, influence: Influence, config: PartitionConfig, seed: int, tasks: Tasks
) -> list[str]:
    own, by_chance = figures.stability, figures.stability_by_chance
    if own is None or by_chance is None or is_signal(own, by_chance):
        return []
    what = (
        f"the parts are hardly more stable ({own:.2f}) than by chance ({by_chance:.2f}): other query items would give"
    )
    within = [task for task in tasks if max(task) < _MAX_TRIED]
    better = _steadier(influence[:_MAX_TRIED], config, seed, within)
    if better:
        method = "" if config.method == PartitionConfig.method else f"--method {config.method} "
        return [f"{what} others; steadier: trainer partition {method}--normalize {better}"]
    rival = "trainer attribute --method bm25, or " if figures.attribute_method != "bm25" else ""
    return [f"{what} others; try: {rival}trainer partition --method whole, where each adapter learns of all samples"]


def _steadier(influence: Influence, config: PartitionConfig, seed: int, tasks: Tasks) -> Normalize | None:
    """The normalisation with most stability above chance, if that is enough."""
    gains: dict[Normalize, float] = {}
    for how in get_args(Normalize):
        tried = replace(config, normalize=how)
        items = comparable_items(influence, how)
        own = stability(items, tried, seed=seed, tasks=tasks)
        by_chance = chance_stability(items, tried, seed=seed, tasks=tasks)
        if how != config.normalize and own is not None and by_chance is not None and is_signal(own, by_chance):
            gains[how] = own - by_chance
    return max(gains, key=lambda how: gains[how], default=None)
