"""The sizes of all stages that end in a given time, from what each stage costs. Pure; measures and stores nothing."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spa_lsp.errors import BadInput
from spa_lsp.progress import format_seconds
from trainer.configs import BASE_METHODS, AttributeConfig, AttributeMethod, FinetuneConfig
from trainer.pipeline.request import RunRequest
from trainer.rows.stages import SizesFigures

if TYPE_CHECKING:
    from trainer.pipeline.costs import Costs

GRADIENT_SHARE = 0.35  # of the time; the rest is training
SPARE_SHARE = 0.1  # for publishing, the partition, and a machine that is busier later than it was when measured
HELD_OUT_SHARE = 0.1  # for the held-out loss at the end
CHECKS_SHARE = 0.2  # for that and the checks on the way, where there are some
MIN_PER_PART = 4  # samples; a part of fewer is learned by heart
MIN_STEPS = 4
MAX_STEPS = 160  # of each adapter; on our data more no longer helped
MIN_K = 2


@dataclass(frozen=True, kw_only=True)
class _Attribution:
    """What is attributed how, and the seconds that it takes."""

    config: AttributeConfig
    n_samples: int
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class _Training:
    """How long is trained, on how many held-out samples the loss is measured, and the seconds of both."""

    config: FinetuneConfig
    n_held_out: int
    seconds: float


def fit(
    costs: "Costs",
    left_s: float,
    *,
    n_samples: int,
    n_anchor_items: int,
    request: RunRequest,
    instead: AttributeMethod = "bm25",
) -> SizesFigures:
    """The largest sizes that end in time: samples first, up to their share, then steps with what remains.

    Args:
        costs: of this machine, for as many adapters as `n_parts` gives.
        left_s: until the end.
        n_samples: that there are with code to learn from.
        n_anchor_items: of all anchors.
        request: has the stages' configs. k is kept unless there are too few samples for it, and always where the
            adapters go on from a set.
        instead: the method where gradients would take more than their share.

    Raises:
        BadInput: not even the smallest run ends in time; the message says what does. The set has too many adapters.
    """
    k = n_parts(request, n_samples)
    most = request.most_steps or MAX_STEPS
    least = min(MIN_STEPS, most)
    usable_s = left_s * (1 - SPARE_SHARE) - costs.load_s
    if usable_s < least * costs.step_s:
        needed = format_seconds((least * costs.step_s + costs.load_s) / (1 - SPARE_SHARE))
        raise BadInput(
            f"{format_seconds(max(left_s, 0))} are left, the smallest run takes {needed}; give a larger --budget"
        )
    found = _fit_attribution(
        costs, usable_s, request.attribute, k=k, n_samples=n_samples, n_anchor_items=n_anchor_items, instead=instead
    )
    trained = _fit_training(
        costs,
        usable_s,
        request.finetune,
        training_s=usable_s - found.seconds,
        n_held_out=min(request.items.holdout, found.n_samples // 5),
        steps=range(least, most + 1),
    )
    return SizesFigures(
        method=found.config.method,
        n_samples=found.n_samples,
        k=k,
        steps=trained.config.steps,
        warmup_steps=trained.config.warmup_steps,
        holdout=trained.n_held_out,
        expected_s=found.seconds + costs.load_s + trained.seconds,
    )


def n_parts(request: RunRequest, n_samples: int) -> int:
    """How many parts so few samples can have.

    Raises:
        BadInput: the set that is gone on from has more adapters than there are samples.
    """
    k, set_name = request.partition.k, request.finetune.init_from
    if set_name is None:
        return min(k, max(MIN_K, n_samples // MIN_PER_PART))
    if n_samples < k:
        raise BadInput(
            f"adapter set {set_name!r} has {k} adapters, and there are {n_samples} samples, which is less than one for "
            "each; give more samples, or leave out --init-from"
        )
    return k


def _fit_attribution(
    costs: "Costs",
    usable_s: float,
    config: AttributeConfig,
    *,
    k: int,
    n_samples: int,
    n_anchor_items: int,
    instead: AttributeMethod,
) -> _Attribution:
    if config.method not in BASE_METHODS:
        return _Attribution(config=config, n_samples=n_samples)
    n_points = config.checkpoints if config.method == "less" else 1
    sample_s = costs.gradient_s * costs.gradient_share * n_points  # an embedding costs less; it is counted as one
    fixed_s = costs.load_s + costs.anchor_s * n_anchor_items * n_points + costs.warm_up_s * config.warmup_samples
    n = min(n_samples, int((usable_s * GRADIENT_SHARE - fixed_s) / sample_s)) if sample_s else 0
    if n * costs.gradient_share < k * MIN_PER_PART:
        return _Attribution(config=replace(config, method=instead), n_samples=n_samples)
    return _Attribution(config=config, n_samples=n, seconds=fixed_s + n * sample_s)


def _fit_training(
    costs: "Costs", usable_s: float, config: FinetuneConfig, *, training_s: float, n_held_out: int, steps: range
) -> _Training:
    """The most steps of this range, after as many held-out samples as their share has room for."""

    def held_out_s(n_steps: int) -> float:
        """Of one sample: at every check, and at the end."""
        return costs.held_out_s * (1 + replace(config, steps=n_steps).n_checks)

    def seconds(n_steps: int, n_held: int) -> float:
        return n_steps * costs.step_s + n_held * held_out_s(n_steps)

    least, most = steps[0], steps[-1]
    likely = max(least, min(most, int(training_s / costs.step_s)))
    for_held_out_s = usable_s * (CHECKS_SHARE if config.has_checks else HELD_OUT_SHARE)
    room_s = max(0.0, training_s - seconds(least, 0))
    n_held = min(n_held_out, int(for_held_out_s / held_out_s(likely)), int(room_s / held_out_s(least)))
    n_steps = next((n for n in reversed(steps) if seconds(n, n_held) <= training_s), least)
    return _Training(
        config=replace(config, steps=n_steps, warmup_steps=min(config.warmup_steps, n_steps // 4)),
        n_held_out=n_held,
        seconds=seconds(n_steps, n_held),
    )
