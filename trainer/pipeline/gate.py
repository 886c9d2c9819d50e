"""Whether a partition can be trusted, and what to do where it cannot: bootstraps of the query items against chance."""

import shlex
from dataclasses import replace
from typing import get_args

from spa_lsp.progress import progress
from trainer.attribute.anchors import anchors_digest, load_anchors
from trainer.configs import AttributeConfig, AttributeMethod, Normalize, PartitionConfig, as_options
from trainer.partition.normalize import Influence, comparable_items
from trainer.partition.solutions import Tasks
from trainer.partition.stability import N_BOOTSTRAPS, chance_stability, stability
from trainer.rows.stages import AttributeRun, PartitionFigures, PartitionSettings

LEAST_SIGNAL = 0.1  # stability above chance; below, most of the partition is an accident of the query items
ID_LENGTH = 12  # of a run's id in a command
_TINY_SHARE = 0.25  # of the samples that a part of equal size would have
_MAX_TRIED = 2000  # samples on which other ways are tried


def stabilities(
    influence: Influence, config: PartitionConfig, seed: int, tasks: Tasks = ()
) -> tuple[float | None, float | None]:
    """Of the parts, and by chance; influence `[N, K, items]` as the partition saw it."""
    with progress("bootstraps", 2 * N_BOOTSTRAPS) as shown:
        own = stability(influence, config, seed=seed, tasks=tasks, on_draw=shown.advance)
        by_chance = chance_stability(influence, config, seed=seed, tasks=tasks, on_draw=shown.advance)
    return own, by_chance


def is_signal(own: float | None, by_chance: float | None) -> bool:
    """Whether parts say more than chance would; yes where nothing can be measured."""
    return own is None or by_chance is None or own >= by_chance + LEAST_SIGNAL


def advice(
    figures: PartitionFigures,
    influence: Influence,
    source: AttributeRun,
    settings: PartitionSettings,
    seed: int,
    tasks: Tasks = (),
) -> str:
    """What is wrong with the parts and, in backticks, the command that would be better; "" when nothing is.

    Influence is the raw one, of the attribute run `source`; a command can be pasted as it stands.
    """
    said = [] if figures.attribute_method == "random" else _weak(figures, influence, source, settings, seed, tasks)
    equal = sum(figures.sizes.values()) / len(figures.sizes)
    tiny = [f"{name} ({n})" for name, n in figures.sizes.items() if n < _TINY_SHARE * equal]
    if tiny:
        balanced = _divide(source.id, replace(settings.partition, method="balanced"), settings.limit, seed)
        said.append(f"parts of hardly any sample: {', '.join(tiny)}; try `{balanced}`")
    n_one = (figures.n_tasks or 0) - (figures.n_tasks_of_two or 0)
    if 2 * n_one > (figures.n_tasks or 0):
        said.append(
            f"{n_one} of {figures.n_tasks} tasks have one solution, which all parts get; your call of synthesize, "
            "again with --responses 20, finds more"
        )
    return "; ".join(said)


def _weak(
    figures: PartitionFigures,
    influence: Influence,
    source: AttributeRun,
    settings: PartitionSettings,
    seed: int,
    tasks: Tasks,
) -> list[str]:
    own, by_chance = figures.stability, figures.stability_by_chance
    if own is None or by_chance is None or is_signal(own, by_chance):
        return []
    what = f"the parts are hardly more stable ({own:.2f}) than by chance ({by_chance:.2f})"
    return [f"{what}: other query items would give others; {better_way(influence, source, settings, seed, tasks)}"]


def better_way(
    influence: Influence, source: AttributeRun, settings: PartitionSettings, seed: int, tasks: Tasks = ()
) -> str:
    """In backticks, the command that would divide these samples better, or not at all; influence is the raw one."""
    config = settings.partition
    within = [task for task in tasks if max(task) < _MAX_TRIED]
    better = _steadier(influence[:_MAX_TRIED], config, seed, within)
    if better:
        return f"steadier: `{_divide(source.id, replace(config, normalize=better), settings.limit, seed)}`"
    whole = _divide(source.id, replace(config, method="whole"), settings.limit, seed)
    words = _attribute_words(source)
    rival = f"`{words} && {_divide('', config, settings.limit, seed)}`, or " if words else ""
    return f"try {rival}`{whole}`, where each adapter learns of all samples"


def by_solution(source: AttributeRun, settings: PartitionSettings, seed: int) -> str:
    """In backticks, the command that divides by how tasks are solved instead of by what they are about."""
    attribute = _attribute("approach", source)
    divided = _divide("", replace(settings.partition, method="solutions"), settings.limit, seed)
    return f"try `{attribute} && {divided}`, where every adapter sees every task"


def _divide(run_id: str, config: PartitionConfig, limit: int | None, seed: int) -> str:
    """The command that divides the samples of this attribute run, or of the newest."""
    typed = ["trainer partition", *([run_id[:ID_LENGTH]] if run_id else [])]
    typed += as_options(config, always=("method", "normalize", "k"))
    typed += [] if limit is None else [f"--limit {limit}"]
    return " ".join([*typed, *([f"--seed {seed}"] if seed else [])])


def _attribute_words(source: AttributeRun) -> str:
    """The command for lexical influence on the same anchors; "" where it is that, or they are in an own file."""
    is_own_file = source.parents.anchors != anchors_digest(load_anchors())
    return "" if source.figures.method == "bm25" or is_own_file else _attribute("bm25", source)


def _attribute(method: AttributeMethod, source: AttributeRun) -> str:
    """The command that attributes the same samples by another method, which asks no base."""
    typed = ["trainer attribute", *as_options(AttributeConfig(method=method), always=("method",))]
    typed += [*as_options(source.settings.items), "--language", shlex.quote(source.figures.language)]
    return " ".join([*typed, *([f"--seed {source.seed}"] if source.seed else [])])


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
